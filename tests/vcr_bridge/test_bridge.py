"""A test of vcrpy's, bridged: each record mode, what is stored where, what answers, what a miss says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import vcr
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

from harness.errors import RecordingNotFound
from harness.recording.canonical import Canonicalizer
from harness.recording.format import loads, to_exchange
from harness.recording.http_exchange import from_cassette
from harness.recording.model import Request
from harness.recording.near_miss import NearMiss
from harness.recording.redact import Redactor
from harness.recording.rules import replacing
from harness.stores.directory import DirectoryStore
from harness.stores.intake import Intake
from harness.vcr_bridge import Bridge, install, read_cassette
from tests.vcr_bridge.provider import Provider, provider

TEST = "test_a.py::test_it[a/b]"


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as found:
        yield found


@dataclass
class Heard:
    """What the bridge has told: the recordings that answered, what was by place and how it differed, the misses."""

    replayed_: list[str] = field(default_factory=list)
    by_place: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def replayed(self, name: str, request: Request, by_place: NearMiss | None) -> None:
        self.replayed_.append(f"{request.body['messages'][0]['content']}{name[64:]}")
        self.by_place += [] if by_place is None else by_place.lines()

    def recorded(self, name: str, request: Request, *, is_new: bool) -> None:
        pass

    def missed(self, request: Request, error: RecordingNotFound) -> None:
        self.misses.append(f"{request.path}: {error.message}")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def use(tmp_path: Path, heard: Heard) -> Callable[..., Any]:
    """A cassette in use, as pytest-recording would have it."""

    def use(mode: str, *, config: dict[str, Any] | None = None, rules: Any = (), **choices: Any) -> Any:
        canonicalizer = Canonicalizer(rules=rules)
        store = DirectoryStore(tmp_path / "recordings", canonicalizer)
        recorder = vcr.VCR(cassette_library_dir=str(tmp_path / "cassettes" / "test_a"), record_mode=mode)
        for name, matcher in choices.pop("matchers", {}).items():
            recorder.register_matcher(name, matcher)
        recorder.register_persister(choices.pop("persister", recorder.persister))
        name = choices.pop("name", "test_it[a-b].yaml")
        bridge = Bridge(store, canonicalizer, Redactor(), choices.pop("test", TEST), heard, str(tmp_path), **choices)
        install(recorder, lambda _: bridge)
        return recorder.use_cassette(name, **(config or {}))

    return use


def recordings(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """What is recorded: question and answer by the name of the file."""
    found = {}
    for path in sorted((tmp_path / "recordings").glob("*.json")):
        exchange = to_exchange(loads(path.read_text()))
        answer = exchange.response.body["choices"][0]["message"]["content"]
        found[path.stem] = exchange.request.body["messages"][-1]["content"], answer
    return found


def cassette(tmp_path: Path) -> list[str]:
    """The URLs in the cassette; none where there is no file."""
    path = tmp_path / "cassettes" / "test_a" / "test_it[a-b].yaml"
    return [one["request"]["uri"] for one in yaml.safe_load(path.read_text())["interactions"]] if path.exists() else []


def test_models_are_recorded_and_the_rest_is_in_the_cassette(
    use: Callable[..., Any], heard: Heard, there: Provider, tmp_path: Path
) -> None:
    with use("once"):
        said = [there.ask("a"), there.page(), there.ask("b"), there.ask("a")]

    assert sorted(recordings(tmp_path).values()) == [("a", "a: 1"), ("a", "a: 4"), ("b", "b: 3")]
    assert cassette(tmp_path) == [f"{there.url}/page"]
    files = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert not any("k3y" in text for text in files)
    assert all('"test_id": "test_a.py::test_it[a/b]"' in text for text in files)

    with use("none"):
        # Whatever the order: what was asked decides, and the n-th time gives the n-th answer.
        assert [there.ask("b"), there.ask("a"), there.page(), there.ask("a")] == [said[2], said[0], said[1], said[3]]
    assert len(there.asked) == 4
    assert heard.replayed_ == ["b", "a", "a-2"]
    assert not heard.by_place


def test_a_test_with_models_alone_has_no_cassette(use: Callable[..., Any], there: Provider, tmp_path: Path) -> None:
    with use("once"):
        there.ask("a")
    assert not (tmp_path / "cassettes").exists()


def test_once_records_no_more_where_there_is_something(use: Callable[..., Any], there: Provider) -> None:
    with use("once"):
        there.ask("a")
    with use("once"):
        assert there.ask("a") == "a: 1"
        with pytest.raises(CannotOverwriteExistingCassetteException):
            there.ask("b")
    assert there.asked == ["a"]


def test_new_episodes_adds_to_what_is_there(use: Callable[..., Any], there: Provider, tmp_path: Path) -> None:
    with use("once"):
        there.ask("a")
    with use("new_episodes"):
        assert [there.ask("a"), there.ask("b"), there.ask("a")] == ["a: 1", "b: 2", "a: 3"]

    assert sorted(recordings(tmp_path).values()) == [("a", "a: 1"), ("a", "a: 3"), ("b", "b: 2")]


def test_all_replaces_what_is_asked_again(use: Callable[..., Any], there: Provider, tmp_path: Path) -> None:
    with use("once"):
        there.ask("a")
        there.ask("a")
        there.ask("b")
    with use("all"):
        assert there.ask("a") == "a: 4"

    assert sorted(recordings(tmp_path).values()) == [("a", "a: 4"), ("b", "b: 3")]


@pytest.mark.parametrize(("passed", "left"), [(True, ["a"]), (False, ["a", "b"])])
def test_rewrite_leaves_what_is_asked_no_more_only_where_the_test_failed(
    use: Callable[..., Any], there: Provider, tmp_path: Path, *, passed: bool, left: list[str]
) -> None:
    with use("once"):
        there.ask("a")
        there.ask("b")
    # pytest-recording removes the cassette and goes on with this mode of vcrpy's.
    with use("new_episodes", rewrites=True, has_passed=lambda: passed):
        assert there.ask("a") == "a: 3"

    assert sorted(question for question, _ in recordings(tmp_path).values()) == left


@pytest.mark.parametrize("mode", ["all", "new_episodes"])
def test_recordings_stay_in_their_folder(
    use: Callable[..., Any], there: Provider, tmp_path: Path, *, mode: str
) -> None:
    with use("once"):
        there.ask("a")
    (old,) = (tmp_path / "recordings").glob("*.json")
    (tmp_path / "recordings" / "chat").mkdir()
    old = old.rename(tmp_path / "recordings" / "chat" / old.name)

    with use(mode, rewrites=mode == "new_episodes"):
        assert there.ask("a") == "a: 2"
    assert list((tmp_path / "recordings").rglob("*.json")) == [old]
    with use("none"):
        assert there.ask("a") == "a: 2"


def test_what_a_cassette_has_already_stays_there_and_answers(
    use: Callable[..., Any], there: Provider, tmp_path: Path
) -> None:
    plain = vcr.VCR(cassette_library_dir=str(tmp_path / "cassettes" / "test_a"))
    with plain.use_cassette("test_it[a-b].yaml"):
        there.ask("old")
    path = tmp_path / "cassettes" / "test_a" / "test_it[a-b].yaml"
    before = path.read_bytes()

    with use("new_episodes"):
        assert [there.ask("old"), there.ask("new")] == ["old: 1", "new: 2"]
    assert path.read_bytes() == before
    with use("none"):
        assert [there.ask("new"), there.ask("old")] == ["new: 2", "old: 1"]


@pytest.mark.parametrize(("record_errors", "recorded"), [(False, 0), (True, 1)])
def test_a_failure_is_in_the_cassette_unless_it_is_to_be_recorded(
    use: Callable[..., Any], there: Provider, tmp_path: Path, *, record_errors: bool, recorded: int
) -> None:
    for mode in ("once", "none"):
        with use(mode, record_errors=record_errors), pytest.raises(HTTPError, match="429"):
            there.ask("Fail!")
    assert len(list((tmp_path / "recordings").glob("*.json"))) == recorded
    assert len(cassette(tmp_path)) == 1 - recorded
    assert len(there.asked) == 1


def test_a_projects_own_persister_and_hooks_have_their_say(
    use: Callable[..., Any], there: Provider, tmp_path: Path
) -> None:
    saved = []

    class Own(vcr.persisters.filesystem.FilesystemPersister):  # type: ignore[misc] # vcr has no types
        @staticmethod
        def save_cassette(_path: Any, cassette_dict: Any, serializer: Any) -> None:  # noqa: ARG004 - vcr names it
            saved.append([request.uri for request in cassette_dict["requests"]])

    def hide(request: Any) -> Any:
        request.uri = "**HIDDEN**"
        if request.body:
            request.body = request.body.replace(b"Ann", b"NAME")
        return request

    config = {"before_record_request": hide, "match_on": ["method"]}
    with use("once", config=config, persister=Own):
        there.ask("I am Ann")
        there.page()
    assert [question for question, _ in recordings(tmp_path).values()] == ["I am NAME"]
    assert saved == [["**HIDDEN**"]]

    with use("none", config=config, persister=Own):
        assert there.ask("I am Ann") == "I am Ann: 1"


def test_a_miss_says_where_the_recordings_differ(use: Callable[..., Any], heard: Heard, there: Provider) -> None:
    with use("once"):
        there.ask("Weather in Paris?", temperature=0.2)
    bodies = {"match_on": ["method", "uri", "body"]}
    with use("none", config=bodies), pytest.raises(CannotOverwriteExistingCassetteException) as caught:
        there.ask("Weather in Rome?", temperature=0.2)

    (miss,) = heard.misses
    for text in (str(caught.value), miss):
        assert "No recording for POST /v1/chat/completions (model m)" in text
        assert 'messages[0].content  "Weather in Paris?"  ->  "Weather in Rome?"' in text
    with use("none", config=bodies):
        assert there.ask("Weather in Paris?", temperature=0.2)
        with pytest.raises(CannotOverwriteExistingCassetteException):
            there.ask("Weather in Paris?", temperature=0.2)
    assert "has answered already" in heard.misses[1]


def test_where_match_on_has_no_body_other_requests_are_answered_in_the_recorded_order(
    use: Callable[..., Any], heard: Heard, there: Provider
) -> None:
    with use("once"):
        # The shorter one is not the first.
        for question in ("Paris, France", "Rome", "Oslo"):
            there.ask(question)
        there.page()

    with use("none"):
        # As vcrpy alone would answer; but what is recorded goes to whom it was recorded for.
        assert [there.ask(city) for city in ("Lima", "Oslo", "Bonn")] == ["Paris, France: 1", "Oslo: 3", "Rome: 2"]
        with pytest.raises(CannotOverwriteExistingCassetteException):
            there.ask("Cork")
    assert heard.by_place == [
        '  messages[0].content  "Paris, France"  ->  "Lima"',
        '  messages[0].content  "Rome"  ->  "Bonn"',
    ]
    assert len(heard.misses) == 1
    assert len(there.asked) == 4


@pytest.mark.parametrize(
    ("match_on", "answers"),
    [(["method", "uri"], ["old: 1", "today: 2"]), (["method", "uri", "body"], ["today: 2"])],
)
def test_what_was_in_a_cassette_answers_in_its_order(
    use: Callable[..., Any], there: Provider, tmp_path: Path, match_on: list[str], answers: list[str]
) -> None:
    plain = vcr.VCR(cassette_library_dir=str(tmp_path / "cassettes" / "test_a"))
    with plain.use_cassette("test_it[a-b].yaml"):
        there.ask("old")
        there.ask("today")
    path = tmp_path / "cassettes" / "test_a" / "test_it[a-b].yaml"
    intake = Intake(tmp_path / "recordings", Redactor())
    for number, http in enumerate(read_cassette(path)):
        intake.take(http, str(number), TEST, from_cassette(http))
    path.unlink()

    with use("none", config={"match_on": match_on}):
        # vcrpy alone answers with what is older, whatever is asked today.
        assert [there.ask("today") for _ in answers] == answers
        with pytest.raises(CannotOverwriteExistingCassetteException):
            there.ask("today")


def test_what_is_by_place_is_answered_as_often_as_vcrpy_would(use: Callable[..., Any], there: Provider) -> None:
    with use("once"):
        there.ask("a")
        there.ask("b")
    with use("none", config={"allow_playback_repeats": True}):
        assert [there.ask(question) for question in "xxybb"] == ["a: 1", "a: 1", "a: 1", "b: 2", "b: 2"]


@pytest.mark.parametrize(
    ("match_on", "is_answered"),
    [
        (["method", "scheme", "host", "port", "path", "query"], True),
        (["method", "uri"], True),
        (["method", "city"], True),
        (["method", "raw_body"], False),
        (["method", "uri", "body"], False),
        (["method", "headers"], False),
    ],
)
def test_match_on_says_what_is_in_its_place(
    use: Callable[..., Any], there: Provider, match_on: list[str], *, is_answered: bool
) -> None:
    def same_city(one: Any, other: Any) -> None:
        assert (b"Rome" in one.body) == (b"Rome" in other.body)

    with use("once"):
        there.ask("Paris?")
        there.ask("Rome?")
    with use("none", config={"match_on": match_on}, matchers={"city": same_city}):
        if is_answered:
            assert there.ask("And Rome?") == ("Rome?: 2" if "city" in match_on else "Paris?: 1")
        else:
            with pytest.raises(CannotOverwriteExistingCassetteException):
                there.ask("And Rome?")
    with (
        use("none", config={"match_on": match_on}, matchers={"city": same_city}, strict=True),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        there.ask("And Rome?")


def test_other_tests_and_other_endpoints_are_never_in_its_place(use: Callable[..., Any], there: Provider) -> None:
    with use("once", test="test_b.py::test_it[a/b]"):
        there.ask("a")
    with use("once"):
        there.ask("b", path="/v1/completions")
    with use("none"), pytest.raises(CannotOverwriteExistingCassetteException):
        there.ask("c")


@pytest.mark.parametrize(("mode", "asked"), [("once", 2), ("new_episodes", 3), ("all", 4)])
def test_record_modes_and_what_is_by_place(
    use: Callable[..., Any], there: Provider, tmp_path: Path, *, mode: str, asked: int
) -> None:
    with use("once"):
        there.ask("a")
        there.ask("b")
    with use(mode):
        assert there.ask("c") == ("c: 3" if mode == "all" else "a: 1")
        if mode == "new_episodes":
            # What was answered by place has answered; what is new has not taken its place.
            assert [there.ask("b"), there.ask("a")] == ["b: 2", "a: 3"]
        elif mode == "all":
            there.ask("b")

    assert len(there.asked) == asked
    found = [to_exchange(loads(path.read_text())) for path in (tmp_path / "recordings").glob("*.json")]
    order = [one.request.body["messages"][0]["content"] for one in sorted(found, key=lambda one: one.position or 0)]
    assert order == {"once": ["a", "b"], "new_episodes": ["a", "b", "a"], "all": ["a", "c", "b"]}[mode]


def test_rules_make_requests_equal(use: Callable[..., Any], there: Provider) -> None:
    rules = [replacing(r"\d+", "N", "*")]
    with use("once"):
        there.ask("It is 7")
    with use("none", rules=rules):
        assert there.ask("It is 8") == "It is 7: 1"
    with use("none", rules=rules, strict=True), pytest.raises(CannotOverwriteExistingCassetteException) as caught:
        there.ask("It is 8")
    assert "not the very same request" in str(caught.value)


def test_tests_that_share_a_cassette_share_its_recordings(use: Callable[..., Any], there: Provider) -> None:
    with use("once", test="test_a.py::test_one"):
        there.ask("a")
    for test in ("test_a.py::test_two", "test_b.py::test_one"):
        with use("none", test=test):
            assert there.ask("a") == "a: 1"
    with use("once", test="test_b.py::test_one", name="apart.yaml"):
        there.ask("b")
    with (
        use("none", test="test_b.py::test_one", name="apart.yaml", strict=True),
        pytest.raises(CannotOverwriteExistingCassetteException, match="It is of another cassette"),
    ):
        there.ask("a")


def test_cassettes_of_one_name_in_other_folders_are_apart(
    use: Callable[..., Any], there: Provider, tmp_path: Path
) -> None:
    with use("once", name="gpt/sync.yaml"):
        said = there.ask("a")
    with use("once", name="claude/sync.yaml"):
        there.ask("b")
    with use("all", name="claude/sync.yaml", rewrites=True):
        there.ask("c")
    assert sorted(asked for asked, _ in recordings(tmp_path).values()) == ["a", "c"]
    texts = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert any('"test_id": "cassettes/test_a/gpt/sync"' in text for text in texts)
    # Whichever test names it.
    with use("none", name="gpt/sync.yaml", test="test_a.py::test_other"):
        assert there.ask("a") == said
