"""pytest-recording's tests with their model traffic in recordings: turned on and off, recorded, replayed, reported."""

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
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path), str(Path.cwd())]))
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
    pytester.makepyfile(test_a=SUITE.format(url=there.url).replace('"News?"', '"New?"'))

    result = pytester.runpytest_subprocess("--harness-vcr", "-k", "News")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(['*messages?0?.content  "News?"  ->  "New?"*'])


def test_xdist_gives_the_same_result(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    result = pytester.runpytest_subprocess("--record-mode=once", "--harness-vcr", "-n2")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["1 replayed, 3 recorded, 0 missed"])
    assert scopes(pytester) == ALL
    again = pytester.runpytest_subprocess("--harness-vcr", "-n1", "-k", "News")
    again.stdout.fnmatch_lines(["-* harness, mode vcr none -*"])
