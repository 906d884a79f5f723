"""The pytest plugin from outside: a project's files in, the outcome of its run out."""

import pytest

from tests.plugin.project import HELLO, completion, record, recordings
from tests.scripted_upstream import http, scripted


def test_a_recorded_test_passes(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!")
    pytester.makepyfile(test_app=HELLO)
    result = pytester.runpytest()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*- harness, mode replay -*", "1 replayed, 0 recorded, 0 missed"])


def test_a_miss_fails_and_says_what_to_do(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello!", "Hello!", "test_app.py::test_other")
    pytester.makepyfile(test_app=HELLO, test_more=HELLO.replace("test_hello", "test_also"))
    result = pytester.runpytest()
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    summary = text.partition("0 replayed, 0 recorded, 2 missed")[2]
    for part in (text, summary):
        assert "No recording for POST /v1/chat/completions (model m), key " in part
        assert "(test_app.py::test_other), which differs in" in part
        assert "HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest " in part
    assert 'messages[0].content  "Say hello!"  ->  "Say hello"' in summary
    assert summary.index("test_app.py::test_hello:") < summary.index("test_more.py::test_also:")
    assert len(recordings(pytester)) == 1


def test_the_same_miss_twice_is_counted_twice_and_told_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import openai, pytest
        from app import ask

        def test_twice(harness_base_url):
            for _ in range(2):
                with pytest.raises(openai.NotFoundError, match="No recording"):
                    ask("Say hello")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["0 replayed, 0 recorded, 2 missed"])
    assert result.stdout.str().count("No recording for") == 1


def test_the_environment_of_a_test(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    record(pytester, "Say hello", "Hello!")
    pytester.makepyfile(
        test_app="""
        import os, subprocess, sys

        def test_in_a_process_of_its_own(harness_base_url):
            assert os.environ["OPENAI_BASE_URL"] == harness_base_url
            assert os.environ["OPENAI_API_KEY"] == "harness"
            assert os.environ["NO_PROXY"].split(",")[0] == "example.org"
            code = "from app import ask; print(ask('Say hello'))"
            assert subprocess.check_output([sys.executable, "-c", code], text=True) == "Hello!\\n"

        def test_without_the_fixture():
            assert "OPENAI_BASE_URL" not in os.environ
            assert os.environ["OPENAI_API_KEY"] == "sk-real"
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


def test_the_server_has_a_base_url_without_a_scope(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!")
    pytester.makepyfile(
        """
        def test_shared(harness_server, harness_base_url, monkeypatch):
            from app import ask
            assert "/scope/" in harness_base_url
            assert harness_server.base_url.count("/") == 3
            monkeypatch.setenv("OPENAI_BASE_URL", harness_server.base_url)
            assert ask("Say hello") == "Hello!"
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_unittest_case_can_use_it(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", "test_case.py::Case::test_hello")
    pytester.makepyfile(
        test_case="""
        import unittest, pytest
        from app import ask

        @pytest.mark.usefixtures("harness_base_url")
        class Case(unittest.TestCase):
            def test_hello(self):
                self.assertEqual(ask("Say hello"), "Hello!")
        """
    )
    pytester.runpytest("--harness-strict").assert_outcomes(passed=1)


def test_the_scope_is_the_node_id_whatever_is_in_it(pytester: pytest.Pytester) -> None:
    odd = ["a/b::c é", "50%2F?x=1#y", "..", "日本", " ", "a\\nb"]
    pytester.makepyfile(
        test_odd=f"""
        import pytest
        from app import ask

        @pytest.mark.parametrize("x", {odd!r})
        def test_x(harness_base_url, request, x):
            assert ask("Say hello") == request.node.nodeid
        """
    )
    listed = pytester.runpytest("--collect-only", "-q").outlines
    ids = [line for line in listed if line.startswith("test_odd.py::")]
    assert len(ids) == len(odd)
    for scope in ids:
        record(pytester, "Say hello", scope, scope)
    pytester.runpytest("--harness-strict").assert_outcomes(passed=len(odd))


def test_the_sequence_of_a_test_that_runs_again_begins_anew(pytester: pytest.Pytester) -> None:
    first = record(pytester, "Say hello", "One.", "test_again.py::test_again")
    second = first.with_name(f"{first.stem}-2.json")
    second.write_text(first.read_text().replace("One.", "Two."))
    pytester.makepyfile(
        test_again="""
        from app import ask

        def test_again(harness_base_url):
            assert [ask("Say hello") for _ in range(3)] == ["One.", "Two.", "Two."]
        """
    )
    pytester.runpytest("--keep-duplicates", "test_again.py", "test_again.py").assert_outcomes(passed=2)


@pytest.mark.parametrize("by_flag", [True, False])
def test_recorded_from_a_real_upstream_and_replayed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream_url: str, by_flag: bool
) -> None:
    pytester.makepyfile(
        """
        import pathlib, pytest
        from app import ask

        @pytest.mark.parametrize("word", ["a/b::c é", "plain"])
        def test_words(harness_base_url, word):
            said = ask(f"Say {word}", max_tokens=8, temperature=0)
            with pathlib.Path("said.txt").open("a") as file:
                file.write(said + chr(10))
        """
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sesame")
    monkeypatch.setenv("HARNESS_UPSTREAM", upstream_url)
    if not by_flag:
        monkeypatch.setenv("HARNESS_MODE", "Record")
    result = pytester.runpytest(*(["--harness-mode=RECORD"] if by_flag else []))
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*- harness, mode record -*", "0 replayed, 2 recorded, 0 missed"])
    said = pytester.path / "said.txt"
    recorded = said.read_text()
    said.unlink()
    assert "sk-sesame" not in result.stdout.str() + "".join(path.read_text() for path in recordings(pytester))
    assert len(recordings(pytester)) == 2

    # Where nobody answers, only a recording can.
    monkeypatch.setenv("HARNESS_UPSTREAM", "http://127.0.0.1:9/v1")
    monkeypatch.delenv("HARNESS_MODE", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY")
    for flags in ([], ["--harness-strict"], ["--harness-mode=record-if-missing"]):
        pytester.runpytest(*flags).assert_outcomes(passed=2)
        assert said.read_text() == recorded
        said.unlink()


def test_a_key_is_left_where_it_is_needed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        """
        import os

        def test_key(harness_base_url):
            print("key:", os.environ["OPENAI_API_KEY"])
        """
    )
    pytester.runpytest("-s", "--harness-mode=live").stdout.fnmatch_lines(["*key: harness"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    pytester.runpytest("-s", "--harness-mode=live").stdout.fnmatch_lines(["*key: sk-mine"])


def test_an_upstream_that_fails_is_told_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_app=HELLO)
    result = pytester.runpytest("--harness-mode=record", "--harness-upstream=http://127.0.0.1:9/v1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["0 replayed, 0 recorded, 0 missed, 1 failed", "*http://127.0.0.1:9/v1 could not be*"])


@pytest.mark.parametrize(
    ("flags", "variable", "line", "source"),
    [
        (["--harness-mode=rec"], None, "", "--harness-mode: 'rec'"),
        ([], "", "", "HARNESS_MODE: ''"),
        ([], None, "mode = 'rec'", "mode in *pyproject.toml: 'rec'"),
    ],
)
def test_a_wrong_mode_is_a_usage_error(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    *,
    flags: list[str],
    variable: str | None,
    line: str,
    source: str,
) -> None:
    pytester.makepyfile(test_app=HELLO)
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n[tool.harness]\n{line}\n")
    if variable is not None:
        monkeypatch.setenv("HARNESS_MODE", variable)
    result = pytester.runpytest(*flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = [*result.outlines, *result.errlines]
    pytest.LineMatcher(shown).fnmatch_lines([f"*harness: *{source} is not a mode.", "Use one of: replay, record, *"])
    assert "Traceback" not in "\n".join(shown)


def test_a_server_that_cannot_begin_fails_the_tests_that_need_it(pytester: pytest.Pytester) -> None:
    (pytester.path / "recordings").touch()
    pytester.makepyfile(test_app=HELLO, test_other="def test_other(): pass")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["harness: recordings: * is not a directory."])
    assert "running.py" not in result.stdout.str()


def test_places_are_where_they_were_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\n[tool.harness]\nrecordings = "kept"\n')
    pytester.makepyfile(
        test_places="""
        def test_places(harness_settings):
            print("in", harness_settings.recordings)
        """
    )
    below = pytester.mkdir("below")
    monkeypatch.chdir(below)
    pytester.runpytest("-s", "..").stdout.fnmatch_lines([f"*in {pytester.path}/kept"])
    monkeypatch.setenv("HARNESS_RECORDINGS", "mine")
    pytester.runpytest("-s", "..").stdout.fnmatch_lines([f"*in {below}/mine"])
    pytester.runpytest("-s", "..", "--harness-recordings=flag").stdout.fnmatch_lines([f"*in {below}/flag"])


def test_a_project_chooses_its_own_settings(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!").parent.rename(pytester.path / "elsewhere")
    pytester.makeconftest(
        """
        import dataclasses, pathlib, pytest

        @pytest.fixture(scope="session")
        def harness_settings(harness_settings):
            return dataclasses.replace(harness_settings, recordings=pathlib.Path(__file__).parent / "elsewhere")
        """
    )
    pytester.makepyfile(test_app=HELLO)
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_run_that_does_not_use_it_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("harness")
            heavy = {"aiohttp", "deepdiff", "openai", "pydantic", "rich", "sqlalchemy", "vcr", "click"}
            assert not heavy & set(sys.modules)
            ours = {name.split(".")[1] for name in sys.modules if name.startswith("harness.")}
            assert ours == {"pytest_plugin", "ambient"}
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert "mode replay" not in result.stdout.str()


def test_the_flags_are_in_the_help(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest("--help").stdout.str()
    for flag in ("mode=MODE", "recordings=PLACE", "upstream=URL", "state=PATH", "strict"):
        assert f"--harness-{flag}" in shown


def asking(pytester: pytest.Pytester, times: int, ending: str) -> None:
    """A test that asks the same so many times, and ends in a way of its own."""
    body = f"for _ in range({times}):\n        ask('Say hello')\n    {ending}"
    pytester.makepyfile(test_it=f"from app import ask\n\ndef test_it(harness_base_url):\n    {body}\n")


def test_a_failing_test_replaces_no_more_than_it_recorded(pytester: pytest.Pytester) -> None:
    with scripted(*(http(completion(str(number))) for number in range(5))) as upstream:
        flags = ["--harness-mode=record", f"--harness-upstream={upstream.url}"]
        asking(pytester, 3, "pass")
        pytester.runpytest(*flags).assert_outcomes(passed=1)
        asking(pytester, 1, "raise ValueError")
        pytester.runpytest(*flags).assert_outcomes(failed=1)
        assert len(recordings(pytester)) == 3
        asking(pytester, 1, "assert True")
        result = pytester.runpytest(*flags)
    result.assert_outcomes(passed=1)
    assert len(recordings(pytester)) == 1
    result.stdout.fnmatch_lines(["*1 recorded, 0 missed, 2 removed*", "*longer sequence*", "*-2.json*", "*-3.json*"])


def test_what_says_the_same_is_written_again_on_request(pytester: pytest.Pytester) -> None:
    asking(pytester, 1, "pass")
    with scripted(http(completion("always"))) as upstream:
        flags = ["--harness-mode=record", f"--harness-upstream={upstream.url}"]
        for more, told in ([], "1 recorded"), ([], "1 unchanged"), (["--harness-no-keep-equal"], "1 recorded"):
            pytester.runpytest(*flags, *more).stdout.fnmatch_lines([f"*{told}*"])
