"""The most important error: what it looks like, and whether the recording that it names is the nearest."""

from collections.abc import Sequence

import pytest

from harness.errors import RecordingNotFound
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.key_variables import KeyVariables
from harness.recording.lookup import Entry
from harness.recording.model import Json, Request
from harness.recording.near_miss import miss_error, near_miss, record_command

CHAT = "/v1/chat/completions"
ROME = "tests/test_weather.py::test_rome"
PARIS = "tests/test_weather.py::test_paris"
NEAREST = "91ac03be5d10" + "0" * 52


def asked(city: str, *, temperature: Json = 0.7, scope: str | None = ROME, model: str = "gpt-4o") -> Request:
    messages = [
        {"role": "system", "content": "You know the weather."},
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": f"How is it in {city}?"},
    ]
    return Request("POST", CHAT, {"model": model, "messages": messages, "temperature": temperature}, scope)


def entry(name: str, request: Request) -> Entry:
    return Entry(name, request, Canonicalizer().fingerprint(request))


class Searched:
    """A store, as far as a miss tells of it."""

    where = "recordings/"

    def __init__(self, entries: list[Entry], broken: Sequence[str]) -> None:
        self._entries, self._broken = entries, broken

    def entries(self) -> Sequence[Entry]:
        return self._entries

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        return [entry for entry in self._entries if entry.path == request.path][:at_most]

    def broken(self) -> Sequence[str]:
        return self._broken


def error(request: Request, entries: list[Entry], broken: Sequence[str] = ()) -> RecordingNotFound:
    return miss_error(request, Searched(entries, broken), Canonicalizer())


def test_a_miss_looks_as_the_design_shows_it() -> None:
    entries = [
        entry(NEAREST, asked("Paris", temperature=0.2, scope=PARIS)),
        entry("b" * 64, asked("Paris", temperature=0.2, scope=PARIS, model="gpt-3.5-turbo")),
    ]

    assert str(error(asked("Rome"), entries)) == (
        f"No recording for POST /v1/chat/completions (model gpt-4o), key {key(asked('Rome'))[:12]}.\n"
        "Looked in recordings/: 2 recordings, 1 for this model, scope tests/test_weather.py::test_rome.\n"
        "Nearest: 91ac03be5d10 (tests/test_weather.py::test_paris), which differs in\n"
        '  messages[2].content  "How is it in Paris?"  ->  "How is it in Rome?"\n'
        "  temperature          0.2                    ->  0.7\n"
        "Record it:  HARNESS_MODE=record-if-missing OPENAI_API_KEY=… "
        'pytest "tests/test_weather.py::test_rome"'
    )


def test_a_miss_in_an_empty_directory_names_no_neighbour() -> None:
    assert str(error(asked("Rome", scope=None), [])) == (
        f"No recording for POST /v1/chat/completions (model gpt-4o), key {key(asked('Rome', scope=None))[:12]}.\n"
        "Looked in recordings/: 0 recordings, 0 for this model, no scope.\n"
        "Record it:  OPENAI_API_KEY=… harness serve --mode record-if-missing\n"
        "or          OPENAI_API_KEY=… harness run --mode record-if-missing -- COMMAND"
    )


def test_a_model_of_which_nothing_is_recorded_is_said_not_to_be_there() -> None:
    entries = [entry(NEAREST, asked("Rome", model="openai/gpt-5"))]

    line = "\nIn these recordings: Model 'gpt-4o' not found. Use 'client.models.list()' to list available Models.\n"
    assert line in str(error(asked("Paris"), entries))
    assert "not found" not in str(error(asked("Paris", model="gpt-5"), entries))


@pytest.mark.parametrize(
    ("path", "model", "given"),
    [
        ("/v1/chat/completions", "gpt-4o", "OPENAI_API_KEY=… "),
        ("/v1/chat/completions", "openai/gpt-4o", "OPENAI_API_KEY=… "),
        ("/v1/chat/completions", "groq/llama", "MY_GROQ=… "),
        ("/v1/chat/completions", "unknown/llama", "OPENAI_API_KEY=… "),
        ("/v1/chat/completions", "ollama/llama", ""),
        ("/groq/v1/chat/completions", "openai/gpt-oss", "MY_GROQ=… "),
        ("/v1/messages", "claude", "ANTHROPIC_API_KEY=… "),
        ("/v1/v1/messages", "claude", "ANTHROPIC_API_KEY=… "),
    ],
)
def test_the_command_takes_the_key_of_the_upstream_that_was_asked(path: str, model: str, given: str) -> None:
    variables = KeyVariables({"groq": "MY_GROQ", "ollama": ""})
    request = Request("POST", path, {"model": model})
    assert record_command(request, variables) == f"{given}harness serve --mode record-if-missing"


def test_a_miss_is_an_error_that_no_sdk_repeats() -> None:
    found = error(asked("Rome"), [])

    assert (found.http_status, found.code) == (404, "recording_not_found")
    assert found.hint == f"Record it:  {record_command(asked('Rome'))}"


def test_files_that_could_not_be_read_are_named() -> None:
    text = str(error(asked("Rome"), [], broken=["a.json: not JSON", "b.json", "c.json", "d.json"]))

    assert "Could not be read: a.json: not JSON, b.json, c.json …\n" in text


def test_a_recording_that_means_the_same_is_said_to_mean_the_same() -> None:
    """What ``--strict`` passes over: the canonical requests do not differ at all."""
    text = str(error(asked("Rome"), [entry(NEAREST, asked("Rome", scope=PARIS))]))

    assert f"Nearest: 91ac03be5d10 ({PARIS}), which means the same" in text
    assert "differs in" not in text


def test_the_nearest_differs_in_the_fewest_places() -> None:
    entries = [entry("a" * 64, asked("Bonn", temperature=0.2)), entry("b" * 64, asked("a town with a long name"))]

    nearest = near_miss(asked("Rome"), entries, Canonicalizer())

    assert nearest is not None
    assert nearest.name == "b" * 64
    assert [place.path for place in nearest.places] == ["messages[2].content"]


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        (asked("Romes"), asked("Constantinople")),
        (asked("Nome", scope=ROME), asked("Nome", scope=PARIS)),
        (asked("Nome", scope=ROME), asked("Nome", scope=None)),
    ],
)
def test_of_those_the_likest_text_wins_and_then_the_own_scope(nearer: Request, farther: Request) -> None:
    entries = [entry("a" * 64, farther), entry("b" * 64, nearer)]

    for order in (entries, entries[::-1]):
        nearest = near_miss(asked("Rome"), order, Canonicalizer())
        assert nearest is not None
        assert nearest.name == "b" * 64


def test_another_endpoint_is_never_near() -> None:
    other = Request("POST", "/v1/embeddings", asked("Rome").body)
    doubled = Request("POST", "/v1/v1/chat/completions", asked("Paris").body)

    assert near_miss(asked("Rome"), [entry("a" * 64, other)], Canonicalizer()) is None
    assert near_miss(asked("Rome"), [entry("a" * 64, doubled)], Canonicalizer()) is not None


def lines(old: Json, new: Json) -> list[str]:
    entries = [entry("a" * 64, Request("POST", CHAT, old))]
    nearest = near_miss(Request("POST", CHAT, new), entries, Canonicalizer())
    assert nearest is not None
    return nearest.lines()


def test_what_is_absent_is_said_to_be() -> None:
    assert lines({"seed": 1}, {"stop": None, "top_p": 1}) == [
        "  seed   1         ->  (absent)",
        "  top_p  (absent)  ->  1",
    ]


def test_many_differences_are_counted() -> None:
    found = lines({}, {f"x{number}": number for number in range(9)})

    assert len(found) == 6
    assert found[-1] == "  and 4 places more"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("same " * 40 + "old end", "same " * 40 + "new end"),
        ("same " * 40, "same " * 40 + "and more"),
        ("same " * 40 + "and less", "same " * 40),
    ],
)
def test_long_texts_are_shown_from_where_they_part(old: str, new: str) -> None:
    (line,) = lines({"x": old}, {"x": new})

    left, right = line.split("->")
    assert left.strip().removeprefix("x").strip() != right.strip()
    assert "…" in left
    assert len(line) < 150


def test_the_command_is_one_that_records_it() -> None:
    assert record_command(asked("Rome", scope="tests/t.py::test_a[b/c-ü]")).endswith(
        'pytest "tests/t.py::test_a[b/c-ü]"'
    )
    assert record_command(asked("Rome", scope="some token")).endswith("harness serve --mode record-if-missing")
