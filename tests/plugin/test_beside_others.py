"""The plugin beside others: any number of xdist's workers, pytest-recording, pytest-asyncio's and anyio's tests."""

import os
import re
import textwrap
from pathlib import Path

import pytest

from harness.recording.format import loads, to_exchange
from tests.plugin.project import HELLO, completion, record, recordings
from tests.scripted_upstream import http, scripted

pytestmark = pytest.mark.slow

MANY = """
    import pytest
    from app import ask

    @pytest.mark.parametrize("number", range(12))
    def test_many(harness_base_url, number):
        ask(f"Say {number % 4}", max_tokens=4, temperature=0)
        if number % 3 == 0:
            ask(f"Say {number}", max_tokens=4, temperature=0)
            ask(f"Say {number}", max_tokens=4, temperature=0)
"""


@pytest.fixture
def _xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))


def summary(result: pytest.RunResult) -> list[str]:
    """Everything from the harness's heading on, without durations."""
    text = result.stdout.str().partition("- harness, mode")[2]
    return re.sub(r"in [\d.]+s", "", text).splitlines()


def said(path: Path) -> object:
    """What a recording says, without what its upstream says of itself (timings, its cache)."""
    exchange = to_exchange(loads(path.read_text()))
    return exchange.request, exchange.response.body["choices"]


@pytest.mark.usefixtures("_xdist")
def test_any_number_of_workers_gives_the_same_result(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream_url: str
) -> None:
    pytester.makepyfile(test_many=MANY)
    monkeypatch.setenv("HARNESS_UPSTREAM", upstream_url)
    recorded = {}
    for workers in ("0", "3"):
        result = pytester.runpytest_subprocess("-n", workers, "--harness-mode=record")
        result.assert_outcomes(passed=12)
        result.stdout.fnmatch_lines(["0 replayed, 20 recorded, 0 missed"])
        recorded[workers] = {path.name: said(path) for path in recordings(pytester)}
        for path in recordings(pytester)[: 0 if workers == "3" else None]:
            path.unlink()
    assert recorded["0"] == recorded["3"]

    kept = {path.name: path.read_bytes() for path in recordings(pytester)}
    for workers in ("0", "3"):
        for path in recordings(pytester):
            path.unlink()
        pytester.runpytest_subprocess("-n", workers, "--harness-mode=record-if-missing").assert_outcomes(passed=12)
        assert {path.name for path in recordings(pytester)} == {name for name in kept if "-" not in name}
    for name, text in kept.items():
        pytester.path.joinpath("recordings", name).write_bytes(text)

    for path in [path for path in recordings(pytester) if "::test_many[5]" in path.read_text()]:
        path.unlink()
    one, three = (pytester.runpytest_subprocess("-n", workers, "--harness-strict") for workers in ("0", "3"))
    for result in (one, three):
        result.assert_outcomes(passed=11, failed=1)
        result.stdout.fnmatch_lines(["19 replayed, 0 recorded, 1 missed"])
    assert summary(one)[:9] == summary(three)[:9]


@pytest.mark.usefixtures("_xdist")
def test_workers_prune_and_report_as_one(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", "test_a.py::test_hello")
    record(pytester, "Say hello", "Hello!", "test_b.py::test_hello")
    left = record(pytester, "Said before", "Hm.", "test_b.py::test_hello")
    pytester.makepyfile(test_a=HELLO, test_b=HELLO)
    result = pytester.runpytest_subprocess("-n2", "--harness-prune", "--harness-report=run.json")
    result.stdout.fnmatch_lines(["2 replayed, 0 recorded, 0 missed", "Pruned 1 recording.", "Report: run.json"])
    assert not left.exists()
    assert len(recordings(pytester)) == 2


@pytest.mark.usefixtures("_xdist")
def test_what_xdist_writes_behind_a_node_id_is_no_part_of_it(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", "test_a.py::test_hello")
    left = record(pytester, "Said before", "Hm.", "test_a.py::test_hello")
    pytester.makepyfile(
        test_a="import pytest\npytestmark = pytest.mark.xdist_group('ours')\n" + textwrap.dedent(HELLO),
        test_b="def test_other(harness_base_url):\n    pass\n",
    )
    result = pytester.runpytest_subprocess("-n2", "--dist=loadgroup", "--harness-strict", "--harness-prune")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["1 replayed, 0 recorded, 0 missed", "Pruned 1 recording."])
    assert not left.exists()


@pytest.mark.usefixtures("_xdist")
def test_what_is_wrong_with_the_settings_fails_the_tests_of_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_a=HELLO)
    pytester.makeini("[pytest]\nharness_strict = maybe")
    result = pytester.runpytest_subprocess("-n1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["harness: harness_strict in *: 'maybe' is neither true nor false."])


@pytest.mark.usefixtures("_xdist")
def test_workers_prune_nothing_when_tests_were_left_out(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", "test_a.py::test_hello")
    record(pytester, "Say hello", "Hello!", "test_b.py::test_hello")
    pytester.makepyfile(test_a=HELLO, test_b=HELLO)
    flags = ("-n2", "--harness-prune", "--deselect=test_b.py::test_hello")
    pytester.runpytest_subprocess(*flags).stdout.fnmatch_lines(["Nothing was pruned: this was not the whole suite *"])
    assert len(recordings(pytester)) == 2


BOTH = """
    import socket, urllib.request
    import pytest
    from app import ask

    def test_ours(harness_base_url):
        assert ask("Say hello") == "Hello!"

    def test_by_a_client_of_the_session(harness_server, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", harness_server.base_url)
        assert ask("Say hello") == "Hello!"

    @pytest.mark.vcr
    def test_theirs(vcr, vcr_config, record_mode):
        url = "http://api.openai.com/v1/models"
        assert urllib.request.urlopen(url).read() == b"from the cassette"

    @pytest.mark.vcr
    def test_both(harness_base_url):
        url = "http://api.openai.com/v1/models"
        assert urllib.request.urlopen(url).read() == b"from the cassette"

    def test_blocked(harness_base_url):
        with pytest.raises(RuntimeError, match="Network is disabled"):
            socket.create_connection(("127.0.0.1", 9))

    def test_not_blocked_any_more_after_it():
        assert socket.socket.connect.__name__ == EXPECTED
"""
CASSETTE = """
interactions:
- request: {body: null, headers: {}, method: GET, uri: 'http://api.openai.com/v1/models'}
  response:
    body: {string: from the cassette}
    headers: {}
    status: {code: 200, message: OK}
version: 1
"""


@pytest.mark.parametrize("blocks", [True, False])
def test_beside_pytest_recording(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *, blocks: bool) -> None:
    pytest.importorskip("pytest_recording")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    record(pytester, "Say hello", "Hello!")
    expected = "'network_guard'" if blocks else "'connect'"
    pytester.makepyfile(test_two=BOTH.replace("EXPECTED", expected))
    for name in ("test_theirs", "test_both"):
        cassette = pytester.path / "cassettes" / "test_two" / f"{name}.yaml"
        cassette.parent.mkdir(parents=True, exist_ok=True)
        cassette.write_text(CASSETTE)
    flags = ["--block-network", "--record-mode=none"] if blocks else ["-k", "not test_blocked"]
    result = pytester.runpytest_subprocess(*flags)
    result.assert_outcomes(passed=6 if blocks else 5, deselected=0 if blocks else 1)
    result.stdout.fnmatch_lines(["2 replayed, 0 recorded, 0 missed"])
    with scripted(http(completion("Hello!"))) as upstream:
        recording = ["--harness-mode=record", f"--harness-upstream={upstream.url}"]
        result = pytester.runpytest_subprocess(*flags, *recording, "-k", "ours or session")
    result.stdout.fnmatch_lines(["0 replayed, 2 recorded, 0 missed"])


ASYNC = """
    import anyio, openai, pytest
    import harness

    pytestmark = [pytest.mark.anyio, pytest.mark.harness]

    async def say(client):
        messages = [{"role": "user", "content": "Say hello"}]
        answer = await client.chat.completions.create(model="m", messages=messages)
        return answer.choices[0].message.content

    async def test_by_url():
        async with openai.AsyncOpenAI(max_retries=0) as client:
            assert await say(client) == "Hello!"

    async def test_by_transport(request):
        transport = harness.async_transport()
        async with openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(transport=transport)) as client:
            assert await say(client) == "Hello!"
"""


def test_async_tests_are_scoped(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    for test in ("test_by_url", "test_by_transport"):
        for backend in ("asyncio", "trio"):
            record(pytester, "Say hello", "Hello!", f"test_async.py::{test}[{backend}]")
    pytester.makepyfile(test_async=ASYNC)
    pytester.runpytest_subprocess("--harness-strict").assert_outcomes(passed=4)
