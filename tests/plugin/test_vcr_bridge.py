"""pytest-recording's tests with their model traffic in recordings: turned on and off, recorded, replayed, reported."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.recording.format import loads, to_exchange
from tests.vcr_bridge.provider import Provider, provider

pytestmark = pytest.mark.slow

SUITE = """
    import json, os, urllib.request
    import pytest
    from app import ask

    PROVIDER = {url!r}

    def openai(question):
        from openai import OpenAI
        with OpenAI(base_url=PROVIDER + "/v1", api_key="my-own-k3y-of-mine", max_retries=0) as client:
            messages = [{{"role": "user", "content": question}}]
            return client.chat.completions.create(model="m", messages=messages).choices[0].message.content

    @pytest.mark.vcr
    @pytest.mark.parametrize("city", ["Rome/Italy", "Paris"])
    def test_weather(city):
        assert openai(city).startswith(city)
        assert urllib.request.urlopen(PROVIDER + "/page").read().startswith(b"page")

    class TestNews:
        @pytest.mark.vcr
        @pytest.mark.default_cassette("news.yaml")
        def test_one(self, vcr):
            assert openai("News?").startswith("News?")

    @pytest.mark.harness
    def test_ours():
        assert ask("Say hello") == "Hello!"
"""


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture(autouse=True)
def _suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, there: Provider) -> None:
    pytest.importorskip("pytest_recording")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:cacheprovider")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path), str(Path(__file__).parents[2])]))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pytester.makepyfile(test_a=SUITE.format(url=there.url))
    from tests.plugin.project import record

    record(pytester, "Say hello", "Hello!", "test_a.py::test_ours")


def scopes(pytester: pytest.Pytester) -> list[str]:
    files = sorted((pytester.path / "recordings").glob("*.json"))
    return sorted(str(to_exchange(loads(file.read_text())).request.scope) for file in files)


ALL = [
    "test_a.py::news",
    "test_a.py::test_ours",
    "test_a.py::test_weather[Paris]",
    "test_a.py::test_weather[Rome/Italy]",
]


@pytest.mark.parametrize("where", ["flag", "pyproject"])
def test_both_plugins_in_one_run(pytester: pytest.Pytester, there: Provider, where: str) -> None:
    flags = ["--harness-vcr"] if where == "flag" else []
    if where == "pyproject":
        pytester.makepyprojecttoml("[tool.harness]\nvcr = true")

    result = pytester.runpytest_subprocess("--record-mode=once", *flags)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*harness, mode replay, vcr once*", "1 replayed, 3 recorded, 0 missed"])
    assert scopes(pytester) == ALL
    cassettes = sorted(path.name for path in pytester.path.rglob("*.yaml"))
    assert cassettes == ["test_weather[Paris].yaml", "test_weather[Rome-Italy].yaml"]
    assert not any("k3y" in path.read_text() for path in (pytester.path / "recordings").iterdir())

    asked = len(there.asked)
    result = pytester.runpytest_subprocess("--block-network", "--harness-prune", *flags)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["4 replayed, 0 recorded, 0 missed", "Pruned 0 recordings."])
    assert len(there.asked) == asked


def test_nothing_changes_where_it_was_not_asked_for(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--record-mode=once")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["1 replayed, 0 recorded, 0 missed"])
    assert scopes(pytester) == ["test_a.py::test_ours"]
    assert len(list(pytester.path.rglob("*.yaml"))) == 3


def test_rewrite_replaces_what_a_test_had_if_it_passes(pytester: pytest.Pytester, there: Provider) -> None:
    pytester.runpytest_subprocess("--record-mode=once", "--harness-vcr").assert_outcomes(passed=4)
    old, new = SUITE.format(url=there.url), SUITE.format(url=there.url).replace('"News?"', '"New?"')
    pytester.makepyfile(test_a=new.replace('"New?")', '"New?") and city_of_nowhere', 1))

    result = pytester.runpytest_subprocess("--record-mode=rewrite", "--harness-vcr", "-k", "news or News")
    result.assert_outcomes(failed=1, deselected=3)
    assert scopes(pytester) == sorted([*ALL, "test_a.py::news"])

    pytester.makepyfile(test_a=old.replace('"News?"', '"New?"'))
    pytester.runpytest_subprocess("--record-mode=rewrite", "--harness-vcr", "-k", "News").assert_outcomes(
        passed=1, deselected=3
    )
    assert scopes(pytester) == ALL


def test_a_miss_is_told_with_its_near_miss(pytester: pytest.Pytester, there: Provider) -> None:
    pytester.runpytest_subprocess("--record-mode=once", "--harness-vcr").assert_outcomes(passed=4)
    changed = SUITE.format(url=there.url).replace('"News?"', '"New?"')
    bodies = "@pytest.mark.vcr(match_on=['body'])\n        @pytest.mark.default"
    changed = changed.replace("@pytest.mark.vcr\n        @pytest.mark.default", bodies)
    pytester.makepyfile(test_a=changed)

    result = pytester.runpytest_subprocess("--harness-vcr", "-k", "News", "--harness-report=run.json")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "E *RecordingNotFound: No recording for POST /v1/chat/completions (model m), key *",
            "*0 replayed, 0 recorded, 1 missed",
            "test_a.py::TestNews::test_one:",
            '  messages?0?.content  "News?"  ->  "New?"',
            "Record what was missed, and nothing else:  OPENAI_API_KEY=… python -m pytest --record-mode=new_episodes *",
        ]
    )
    (miss,) = json.loads((pytester.path / "run.json").read_text())["misses"]
    assert miss["nearest"]["differences"][0]["new"] == "New?"

    command = ["--record-mode=new_episodes", "test_a.py::TestNews::test_one", "--harness-vcr"]
    pytester.runpytest_subprocess(*command).assert_outcomes(passed=1)


def test_what_was_answered_by_place_is_told(pytester: pytest.Pytester, there: Provider) -> None:
    pytester.runpytest_subprocess("--record-mode=once", "--harness-vcr").assert_outcomes(passed=4)
    pytester.makepyfile(test_a=SUITE.format(url=there.url).replace('openai("News?")', 'openai("New?")'))

    result = pytester.runpytest_subprocess("--harness-vcr", "-k", "News", "--harness-report=run.json")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "0 replayed, 0 recorded, 0 missed, 1 replayed by place",
            "Replayed by place: *",
            "  test_a.py::TestNews::test_one: ????????????",
            '    messages?0?.content  "News?"  ->  "New?"',
        ]
    )
    (told,) = json.loads((pytester.path / "run.json").read_text())["by_place"]
    assert (told["test"], told["nearest"]["differences"][0]["new"]) == ("test_a.py::TestNews::test_one", "New?")

    result = pytester.runpytest_subprocess("--harness-vcr", "--harness-strict", "-k", "News")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["0 replayed, 0 recorded, 1 missed"])


PYTEST_VCR = """
    import pytest
    from vcr import VCR

    @pytest.fixture(scope="module")
    def vcr(request):
        place = str(request.path.parent / "cassettes")
        mode = request.config.getoption("--vcr-record")
        return VCR(cassette_library_dir=place, path_transformer=VCR.ensure_suffix(".yaml"), record_mode=mode)

    @pytest.fixture(autouse=True)
    def vcr_cassette(request):
        with request.getfixturevalue("vcr").use_cassette(request.node.name) as cassette:
            yield cassette

    def pytest_addoption(parser):
        parser.addoption("--vcr-record", default="once")
"""


def test_so_are_the_tests_of_pytest_vcr(pytester: pytest.Pytester, there: Provider) -> None:
    """It cannot be installed beside pytest-recording, so this is what its fixtures do."""
    pytester.makepyfile(pytest_vcr=PYTEST_VCR)
    pytester.makepyfile(
        test_a=f"""
        from tests.vcr_bridge.provider import Provider

        def test_one():
            assert Provider({there.url!r}).ask("One?").startswith("One?")

        def test_two(vcr):
            assert Provider({there.url!r}).ask("Two?").startswith("Two?")
            with vcr.use_cassette("shared"):
                assert Provider({there.url!r}).ask("Shared?").startswith("Shared?")
        """
    )
    plugins = ["-p", "no:recording", "-p", "pytest_vcr", "--harness-vcr"]
    result = pytester.runpytest_subprocess(*plugins)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["-* harness, mode vcr once -*", "0 replayed, 3 recorded, 0 missed"])
    assert scopes(pytester)[:3] == ["test_a.py::shared", "test_a.py::test_one", "test_a.py::test_ours"]
    assert not list(pytester.path.rglob("*.yaml"))

    result = pytester.runpytest_subprocess(*plugins, "--vcr-record=none")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["3 replayed, 0 recorded, 0 missed"])
    assert there.asked == ["One?", "Two?", "Shared?"]


def test_xdist_gives_the_same_result(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    result = pytester.runpytest_subprocess("--record-mode=once", "--harness-vcr", "-n2")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["1 replayed, 3 recorded, 0 missed"])
    assert scopes(pytester) == ALL
    again = pytester.runpytest_subprocess("--harness-vcr", "-n1", "-k", "News")
    again.stdout.fnmatch_lines(["-* harness, mode vcr none -*"])
