"""What a run tells: misses as themselves, exchanges, unused recordings, reports, hosts that were reached for."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from harness.cli.main import cli
from tests.plugin.project import HELLO, completion, record, recordings
from tests.scripted_upstream import http, scripted

MISSES = """
    import subprocess, sys, threading
    import openai, pytest
    from app import ask

    def wrapped(question):
        try:
            return ask(question)
        except openai.OpenAIError as error:
            raise ValueError("no weather today") from error

    def test_wrapped(harness_base_url):
        ask("Say hello")
        wrapped("Never said")

    def test_swallowed(harness_base_url):
        with pytest.raises(ValueError):
            wrapped("Never heard")

    def test_of_another_kind(harness_base_url):
        with pytest.raises(ValueError):
            wrapped("Never known")
        assert ask("Say hello") == "Goodbye!"

    @pytest.fixture
    def made(harness_base_url):
        return ask("Never made")

    def test_in_a_fixture(made):
        pass

    @pytest.mark.xfail
    def test_expected(harness_base_url):
        ask("Never passed")
"""


SHARED = """
    import pytest
    from app import ask

    @pytest.fixture(scope="session")
    def shared(harness_server):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENAI_BASE_URL", harness_server.base_url)
            patch.setenv("OPENAI_API_KEY", "none")
            return ask("Never shared")

    def test_with_it(shared):
        pass
"""


def test_a_miss_of_a_shared_fixture_is_told_as_itself(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest(pytester.makepyfile(test_shared=SHARED))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E * harness.errors.RecordingNotFound: No recording for POST /v1/chat/completions (model m), key *",
            'E * Record it:  HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest "test_shared.py::test_with_it"',
        ]
    )


def test_a_miss_is_told_as_itself(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!\nAnd more.")
    pytester.makepyfile(test_misses=MISSES)
    result = pytester.runpytest("--harness-report=told/run.json", "--harness-report=run.md", "--harness-report=run.xml")
    result.assert_outcomes(passed=1, failed=2, errors=1, xfailed=1)
    result.stdout.fnmatch_lines([
        "*test_in_a_fixture*",
        "E * harness.errors.RecordingNotFound: No recording for POST /v1/chat/completions (model m), key *",
        "*test_wrapped*",
        'E * Record it:  HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest "test_misses.py::test_wrapped"',
        "*harness: exchanges*",
        "replayed  *  m  Hello!",
        "missed    m  No recording for POST *",
        "*test_of_another_kind*",
        "E *assert 'Hello!*' == 'Goodbye!'",
        "*harness: misses*",
        "No recording for POST *",
        "*- harness, mode replay -*",
        "2 replayed, 0 recorded, 5 missed",
        '  messages[[]0].content  "Say hello"  ->  "Never said"',
        "Passed, though a recording was missed:",
        "  test_misses.py::test_swallowed",
        "Record what was missed, and nothing else: *",
        "Report: told/run.json",
    ])  # fmt: skip
    shown = result.stdout.str()
    assert "ValueError: no weather today" not in shown
    assert "openai/_base_client.py" not in shown
    told = json.loads(pytester.path.joinpath("told/run.json").read_text())
    assert told["counts"] == {"replayed": 2, "recorded": 0, "missed": 5}
    assert told["passed_though_missed"] == ["test_misses.py::test_swallowed"]
    [miss] = [miss for miss in told["misses"] if miss["test"] == "test_misses.py::test_wrapped"]
    difference = {"path": "messages[0].content", "old": "Say hello", "new": "Never said"}
    assert miss["nearest"]["differences"] == [difference]
    assert all(f'"{test}"' in told["command"] for test in told["tests"])
    assert told["command"] in pytester.path.joinpath("run.md").read_text()
    suite = ET.fromstring(pytester.path.joinpath("run.xml").read_text())  # noqa: S314 - written by the run above
    assert (suite.get("tests"), suite.get("failures")) == ("5", "3")


def test_the_command_that_is_told_records_just_what_was_missed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream_url: str
) -> None:
    record(pytester, "Say hello", "Hello!")
    other = HELLO.replace("Say hello", "Say two").replace('== "Hello!"', "")
    pytester.makepyfile(test_app=HELLO, test_two=other, test_three=other.replace("two", "three"))
    told = next(line for line in pytester.runpytest().outlines if line.startswith("Record what was missed"))
    assert told.endswith(' pytest "test_three.py::test_hello" "test_two.py::test_hello"')
    monkeypatch.setenv("HARNESS_MODE", "record-if-missing")
    monkeypatch.setenv("HARNESS_UPSTREAM", upstream_url)
    result = pytester.runpytest("test_three.py::test_hello", "test_two.py::test_hello")
    result.assert_outcomes(passed=2)
    monkeypatch.delenv("HARNESS_MODE")
    result = pytester.runpytest()
    result.assert_outcomes(passed=3)
    assert "Record what" not in result.stdout.str()


def test_no_lines_of_libraries_are_among_those_that_led_to_a_miss(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_async="""
        import asyncio, openai

        async def ask():
            async with openai.AsyncOpenAI(max_retries=0) as client:
                await client.chat.completions.create(model="m", messages=[])

        def test_it(harness_base_url):
            asyncio.run(ask())
        """
    )
    result = pytester.runpytest("--tb=short")
    result.stdout.fnmatch_lines(["    asyncio.run(ask())", "test_async.py:*: in ask", "*create(*", "E *No recording *"])
    assert "/asyncio/" not in result.stdout.str()


ODD = """
    import pytest
    from app import ask

    class TestOdd:
        @pytest.mark.parametrize("x", ["2 words", "it's", 'so "said"', "$HOME `id`!", "a::b[c]", "日本", "a\\\\b"])
        def test_it(self, harness_base_url, model, x):
            ask(x, model=model)

    @pytest.mark.slow
    def test_marked(harness_base_url):
        ask("Never marked")

    def test_other(harness_base_url):
        ask("Never other")
"""


@pytest.mark.slow
def test_the_command_can_be_copied_into_a_shell_whatever_the_tests_are_called(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\naddopts = -m 'not slow'\nmarkers = slow")
    below = pytester.mkdir("all tests")
    below.joinpath("test_odd.py").write_text(textwrap.dedent(ODD))
    monkeypatch.chdir(below)
    flags = ["--harness-models", "m, n", "--harness-recordings=kept here", "-mslow or not slow"]
    result = pytester.runpytest(*flags, "-k", "not other")
    result.assert_outcomes(failed=15, deselected=1)
    [command] = [line.partition(":  ")[2] for line in result.outlines if line.startswith("Record what was missed")]
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    with scripted(http(completion("Hello!"))) as upstream:
        monkeypatch.setenv("HARNESS_UPSTREAM", upstream.url)
        done = subprocess.check_output(["/bin/bash", "-c", command.replace("=… ", "=k ")], text=True)
    assert "15 passed" in done
    assert len(list(below.joinpath("kept here").glob("*.json"))) == 15
    pytester.runpytest(*flags, "-k", "not other").assert_outcomes(passed=15, deselected=1)


def test_the_properties_of_a_test_are_in_its_own_report(pytester: pytest.Pytester) -> None:
    name = record(pytester, "Say hello", "Hello!").stem
    pytester.makepyfile(test_app=HELLO, test_other="def test_other(): pass")
    pytester.runpytest("--junitxml=junit.xml")
    suite = ET.fromstring(pytester.path.joinpath("junit.xml").read_text())  # noqa: S314 - written by the run above
    found = {case.get("name"): [item.get("name") for item in case.iter("property")] for case in suite.iter("testcase")}
    assert found == {"test_hello": ["harness.replayed", "harness.recording"], "test_other": []}
    assert name in {item.get("value") for item in suite.iter("property")}


def test_a_report_in_no_known_form_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--harness-report=run.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--harness-report: 'run.txt' says no form of a report.*"])


@pytest.fixture
def with_unused(pytester: pytest.Pytester) -> dict[str, Path]:
    """A project with recordings that are used, left over, of a test that is gone, of one that is skipped, of none."""
    pytester.makepyfile(
        test_app=HELLO, test_skipped="import pytest\n@pytest.mark.skip\ndef test_it(harness_base_url): pass"
    )
    return {
        "used": record(pytester, "Say hello", "Hello!", "test_app.py::test_hello"),
        "left": record(pytester, "Said before", "Hm.", "test_app.py::test_hello"),
        "gone": record(pytester, "Say hello", "Hm.", "test_app.py::test_gone"),
        "skipped": record(pytester, "Say hello", "Hm.", "test_skipped.py::test_it"),
        "shared": record(pytester, "Said by others", "Hm."),
        "foreign": record(pytester, "Said in Node", "Hm.", "a test of Node"),
    }


def test_unused_recordings_are_listed_and_fail_a_run_that_asks_for_it(
    pytester: pytest.Pytester, with_unused: dict[str, Path]
) -> None:
    result = pytester.runpytest("--harness-unused")
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == 0
    files = sorted(f"  recordings/{with_unused[name].name}" for name in ("left", "gone"))
    result.stdout.fnmatch_lines(["2 unused recordings:", *files])
    pytester.runpytest().stdout.no_fnmatch_line("* unused recording*")
    failing = pytester.runpytest("--harness-fail-on-unused")
    assert failing.ret == pytest.ExitCode.TESTS_FAILED
    failing.stdout.fnmatch_lines(["2 unused recordings:", *files, "The run fails of them: --harness-fail-on-unused. *"])
    narrow = pytester.runpytest("--harness-unused", "test_app.py")
    narrow.stdout.fnmatch_lines(["1 unused recording:", f"  recordings/{with_unused['left'].name}"])
    assert len(recordings(pytester)) == len(with_unused)


def test_they_are_pruned_after_a_whole_green_run_alone(pytester: pytest.Pytester, with_unused: dict[str, Path]) -> None:
    red = pytester.makepyfile(test_red="def test_red(): assert 0")
    pytester.runpytest("--harness-prune").stdout.fnmatch_lines(["Nothing was pruned: the run was not green."])
    red.unlink()
    for narrow in (["-k", "hello"], ["test_app.py"], ["--deselect=test_skipped.py"], ["--harness-models=m"]):
        pytester.runpytest("--harness-prune", *narrow).stdout.fnmatch_lines(["Nothing was pruned: this was not*"])
    assert len(recordings(pytester)) == len(with_unused)
    pytester.runpytest("--harness-prune").stdout.fnmatch_lines(["Pruned 2 recordings."])
    kept = {path for name, path in with_unused.items() if name not in ("left", "gone")}
    assert set(recordings(pytester)) == kept
    pytester.runpytest("--harness-prune").stdout.fnmatch_lines(["No unused recordings.", "Pruned 0 recordings."])


def test_the_last_whole_run_is_kept_for_later(pytester: pytest.Pytester, with_unused: dict[str, Path]) -> None:
    from harness.report import last_run

    pytester.runpytest("-k", "hello")
    assert last_run.load(pytester.path) == []
    pytester.runpytest()
    [known] = last_run.load(pytester.path)
    assert known.command == "pytest"
    assert known.coverage.passed == frozenset({"test_app.py::test_hello"})
    assert known.coverage.known == frozenset({"test_app.py::test_hello", "test_skipped.py::test_it"})
    assert known.used == {"recordings": {with_unused["used"].stem}}
    assert known.files["recordings"].keys() == {path.stem for path in with_unused.values()}
    assert pytester.path.joinpath(last_run.FOLDER, ".gitignore").read_text() == "*\n"

    pytester.makepyfile(test_red="def test_red(): assert 0")
    pytester.runpytest("test_red.py")
    assert last_run.load(pytester.path) == [known]
    pytester.runpytest()
    assert last_run.load(pytester.path) == []


def test_what_a_later_run_of_a_part_used_is_noted_beside_the_last_whole_run(
    pytester: pytest.Pytester, with_unused: dict[str, Path]
) -> None:
    """A test that has come since may be answered by what no other one needs."""
    pytester.runpytest()
    pytester.makepyfile(
        test_new="""
        from app import ask

        def test_new(harness_base_url):
            assert ask("Said before") == "Hm."
    """
    )
    pytester.runpytest("test_new.py").assert_outcomes(passed=1)
    pruned = CliRunner().invoke(cli, ["prune", "--yes"])
    assert pruned.output.endswith("1 recording unused, 1 kB.\nDeleted 1 recording.\n"), pruned.output
    assert with_unused["left"].exists()


PAST = """
    import asyncio, contextlib, http.client, socket, threading
    import harness, httpx, openai, pytest
    from app import ask

    def test_routed(harness_base_url):
        assert ask("Say hello") == "Hello!"

    def test_forgotten(monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        ask("Say hello")

    def test_swallowed():
        with pytest.raises(socket.gaierror):
            socket.create_connection(("api.anthropic.com", 443))

    def test_by_an_older_look_up():
        with pytest.raises(socket.gaierror):
            socket.gethostbyname(b"api.groq.com")

    def test_by_a_proxy():
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            def answer():
                connection, _ = proxy.accept()
                with connection:
                    assert connection.recv(1000).startswith(b"CONNECT api.mistral.ai:443 ")
                    connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
                    connection.recv(1)

            thread = threading.Thread(target=answer)
            thread.start()
            with contextlib.closing(http.client.HTTPSConnection(*proxy.getsockname())) as client:
                client.set_tunnel("api.mistral.ai", 443)
                with pytest.raises(ConnectionRefusedError):
                    client.request("GET", "/v1/models")
            thread.join()

    def test_by_a_resolver_of_its_own():
        def fail(request):
            raise httpx.ConnectError("not found") from socket.gaierror(-2, "not found")

        with httpx.Client(transport=httpx.MockTransport(fail)) as client:
            client.get("https://api.together.xyz/v1/models")

    def test_by_its_address():
        async def ask():
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get("http://127.0.0.1:9/v1/models")

        with pytest.raises(httpx.ConnectError):
            asyncio.run(ask())

    def test_another_port_of_the_same_address():
        with pytest.raises(ConnectionRefusedError, match="Connection refused"):
            socket.create_connection(("127.0.0.1", 10))

    def test_meant_by_its_client():
        client = httpx.Client(transport=harness.transport(mode="live", upstream="https://api.openai.com.invalid/v1"))
        with client:
            assert client.get("http://any/v1/models").status_code == 502
        with pytest.raises(socket.gaierror, match="not known|resolution|associated"):
            socket.getaddrinfo("gateway.invalid", 443)

    @pytest.mark.harness(mode="live")
    def test_meant():
        with pytest.raises(socket.gaierror, match="not known|resolution|associated"):
            socket.getaddrinfo("nothing.openai.azure.com.invalid", 443)

    def test_elsewhere():
        assert socket.getaddrinfo("localhost", 80)
"""


def test_a_test_that_reaches_past_the_harness_fails_and_is_told_the_way(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!")
    pytester.makepyprojecttoml("[tool.harness.upstreams.mine]\nbase_url = 'http://localhost:9/v1'\n")
    pytester.makepyfile(test_past=PAST)
    result = pytester.runpytest("--harness-upstream=https://gateway.invalid/v1")
    result.assert_outcomes(passed=5, failed=6)
    result.stdout.fnmatch_lines([
        "E*NetworkRefused: test_past.py::test_forgotten replays, and reached for api.openai.com past the harness.",
        "E*Take the fixture harness_base_url*",
        "*NetworkRefused: test_past.py::test_swallowed replays, and reached for api.anthropic.com past the harness.",
        "*NetworkRefused: test_past.py::test_by_an_older_look_up replays, and reached for api.groq.com *",
        "*NetworkRefused: test_past.py::test_by_a_proxy replays, and reached for api.mistral.ai past the harness.",
        "*NetworkRefused: test_past.py::test_by_a_resolver_of_its_own replays, and reached for api.together.xyz *",
        "*NetworkRefused: test_past.py::test_by_its_address replays, and reached for 127.0.0.1:9 past the harness.",
    ])  # fmt: skip


def test_what_is_asked_past_the_harness_while_it_records_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("[tool.harness.upstreams.mine]\nbase_url = 'https://gateway.invalid/v1'\n")
    pytester.makepyfile(
        test_past="""
        import ssl

        def test_recorded(harness_base_url):
            from app import ask
            assert ask("Say hello") == "Hello!"

        def test_past():
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="gateway.invalid")
        """
    )
    with scripted(http(completion("Hello!"))) as upstream:
        result = pytester.runpytest("--harness-mode=record", f"--harness-upstream={upstream.url}")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([
        "0 replayed, 1 recorded, 0 missed",
        "Asked past the harness, and so not recorded:",
        "  test_past.py::test_past  (gateway.invalid)",
        "Take the fixture harness_base_url*",
    ])  # fmt: skip


def test_a_run_that_does_not_use_it_is_not_guarded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import socket\nreal = socket.getaddrinfo\ndef test_it(): assert socket.getaddrinfo is real\n")
    pytester.runpytest().assert_outcomes(passed=1)
