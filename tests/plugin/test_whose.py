"""Whose a request is: a test's, whichever client asks while it runs; what a fixture of wider scope asks is shared."""

import json

import pytest

from tests.plugin.project import HELLO, completion, record, recordings
from tests.scripted_upstream import http, scripted

CONFTEST = """
    import harness, openai, pytest

    @pytest.fixture(scope="session", params=["by url", "by transport"])
    def say(request, harness_server):
        if request.param == "by url":
            client = openai.OpenAI(base_url=harness_server.base_url, api_key="none", max_retries=0)
        else:
            http_client = openai.DefaultHttpxClient(transport=harness.transport())
            client = openai.OpenAI(api_key="none", max_retries=0, http_client=http_client)

        def say(text):
            messages = [{"role": "user", "content": text}]
            answer = client.chat.completions.create(model="m", messages=messages)
            return answer.choices[0].message.content

        with client:
            say("made")
            yield say
            say("unmade")
"""
TESTS = """
    import pytest

    @pytest.fixture(scope="module")
    def prepared(say):
        return [say("twice"), say("twice")]

    def test_one(say, prepared):
        say("the same")

    @pytest.mark.parametrize("n", [1, 2])
    def test_more(say, n):
        say("the same")
"""


def scopes(pytester: pytest.Pytester) -> list[tuple[str | None, str, str]]:
    """Of each recording the scope, what was asked, and the end of its name."""
    found = []
    for path in recordings(pytester):
        document = json.loads(path.read_text())
        question = document["request"]["body"]["messages"][0]["content"]
        found.append((document["test_id"], question, path.stem[64:]))
    return sorted(found, key=repr)


@pytest.mark.parametrize("mode", ["record", "record-if-missing"])
def test_what_is_recorded_does_not_depend_on_which_test_came_first(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    # Neither to the server nor to an upstream on this machine does a proxy lead.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_a=TESTS, test_b=TESTS)
    expected: list[tuple[str | None, str, str]] = [(None, "made", ""), (None, "twice", ""), (None, "unmade", "")]
    expected += [(None, "twice", "-2")] if mode == "record" else []
    for way in ("by url", "by transport"):
        for file in ("test_a.py", "test_b.py"):
            ids = [f"test_one[{way}]", *(f"test_more[{way}-{n}]" for n in (1, 2))]
            expected += [(f"{file}::{name}", "the same", "") for name in ids]
    for order in (["test_a.py", "test_b.py"], ["test_b.py", "test_a.py"]):
        with scripted(http(completion("Hello!"))) as upstream:
            flags = [f"--harness-mode={mode}", f"--harness-upstream={upstream.url}"]
            pytester.runpytest(*flags, *order).assert_outcomes(passed=12)
        assert scopes(pytester) == sorted(expected, key=repr)
        pytester.runpytest("--harness-strict", *order).assert_outcomes(passed=12)
        for path in recordings(pytester):
            path.unlink()


def test_a_recording_of_another_test_that_is_older_than_the_run_answers(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", "test_before.py::test_that_was_renamed")
    pytester.makepyfile(test_app=HELLO)
    with scripted() as upstream:
        result = pytester.runpytest("--harness-mode=record-if-missing", f"--harness-upstream={upstream.url}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 replayed, 0 recorded, 0 missed"])


def test_a_miss_of_a_shared_client_is_the_tests_and_the_command_names_the_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST.replace('"by url", "by transport"', '"by url"'))
    for question in ("made", "unmade", "the same"):
        record(pytester, question, "Hello!")
    pytester.makepyfile(test_a=TESTS, test_b="def test_it(say):\n    say('Never said')\n")
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines([
        "E *harness.errors.RecordingNotFound: No recording for POST *",
        'E *pytest "test_b.py::test_it[[]by url]"',
        "*harness: exchanges*",
        "missed    m  No recording for POST *",
        "no scope:",
        "test_b.py::test_it[[]by url]:",
        'Record what was missed, *: *pytest "test_a.py::test_one[[]by url]" "test_b.py::test_it[[]by url]"',
    ])  # fmt: skip


CACHED = """
    import functools, openai

    @functools.cache
    def client():
        return openai.OpenAI(max_retries=0)

    def say(text):
        messages = [{"role": "user", "content": text}]
        return client().chat.completions.create(model="m", messages=messages).choices[0].message.content
"""


def test_a_client_that_is_made_in_one_test_and_kept_is_each_tests_own(pytester: pytest.Pytester) -> None:
    for name in ("one", "two", "three"):
        record(pytester, "the same", name, f"test_kept.py::test_{name}")
    pytester.makepyfile(
        cached=CACHED,
        test_kept="""
        import pytest
        from cached import client, say

        def test_one(harness_base_url):
            assert [say("the same"), say("the same")] == ["one", "one"]

        def test_two(harness_base_url):
            assert [say("the same"), say("the same")] == ["two", "two"]

        @pytest.mark.harness
        def test_three():
            assert say("the same") == "three"

        def test_four(harness_base_url):
            with client():
                say("Never said")
        """,
    )
    result = pytester.runpytest("--harness-strict")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(['E *Record it: *"test_kept.py::test_four" --harness-strict'])


IMPORTED = """
    import openai

    CLIENT = openai.OpenAI(max_retries=0)

    def say(text):
        messages = [{"role": "user", "content": text}]
        return CLIENT.chat.completions.create(model="m", messages=messages).choices[0].message.content
"""


def test_a_client_that_a_module_makes_is_each_tests_own(pytester: pytest.Pytester) -> None:
    for name in ("one", "two"):
        record(pytester, "the same", name, f"test_early.py::test_{name}")
    pytester.makepyfile(
        early=IMPORTED,
        test_early="""
        from early import CLIENT, say

        def test_one(harness_base_url):
            assert [say("the same"), say("the same")] == ["one", "one"]

        def test_two():
            with CLIENT:
                assert say("the same") == "two"
        """,
    )
    told = pytester.runpytest("--harness-strict")
    told.assert_outcomes(errors=1)
    told.stdout.fnmatch_lines(
        ["*OpenAIError: Missing credentials*", "*harness_on_import = true*", "*--harness-on-import*"]
    )
    pytester.makeini("[pytest]\nharness_on_import = true")
    result = pytester.runpytest("--harness-strict", "-Wignore::ResourceWarning")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["3 replayed, 0 recorded, 0 missed"])
