"""Recording again: sequences replaced as a whole, what is left over removed and told, what says the same left alone."""

import os
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from harness.backends.journal import Outcome
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, http, scripted, stream
from tests.secrets_for_tests import SECRETS

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def ask(server: ServerThread, scope: str | None, times: int = 1) -> list[str]:
    url = server.scoped(scope) if scope else server.base_url
    said = []
    with OpenAI(base_url=url, api_key="harness", max_retries=0) as client:
        for _ in range(times):
            pieces = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            said.append("".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices))
    return said


def answer(text: str) -> bytes:
    return stream(chunk(text), chunk(finish="stop"))


def record(directory: Path, *answers: bytes, scope: str | None = "t", **chosen: bool) -> ServerThread:
    """One run that asks as often as there are answers; the server, whose journal can be read."""
    with scripted(*answers) as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=directory, upstream=upstream.url, **chosen)  # type: ignore[arg-type]  # only flags are given
        with ServerThread(settings) as server:
            for _ in answers:
                try:
                    ask_once(server, scope)
                except openai.APIError:
                    break
    return server


def ask_once(server: ServerThread, scope: str | None) -> None:
    url = f"{server.base_url.removesuffix('/v1')}/scope/{scope}/v1" if scope else server.base_url
    with OpenAI(base_url=url, api_key="harness", max_retries=0) as client:
        list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True))


def replayed(directory: Path, scope: str | None, times: int) -> list[str]:
    with ServerThread(Settings(recordings=directory, strict=True)) as server:
        return ask(server, scope, times)


def names(scope: str | None, count: int) -> list[str]:
    base = key(Request("POST", "/v1/chat/completions", BODY, scope))
    return [base, *(f"{base}-{number}" for number in range(2, count + 1))]


def files(directory: Path) -> list[str]:
    return sorted(path.stem for path in directory.glob("*"))


@pytest.mark.parametrize("scope", ["t", None])
def test_a_shorter_sequence_replaces_a_longer_one_as_a_whole(tmp_path: Path, scope: str | None) -> None:
    record(tmp_path, *map(answer, ("one", "two", "three", "four")), scope=scope)
    server = record(tmp_path, *map(answer, ("ONE", "TWO")), scope=scope)
    assert files(tmp_path) == names(scope, 2)
    assert replayed(tmp_path, scope, 3) == ["ONE", "TWO", "TWO"]
    removed = server.parts.journal.of(Outcome.REMOVED)
    assert [line.recording for line in removed] == names(scope, 4)[2:]
    assert {line.scope for line in removed} == {scope}


def test_a_scope_that_holds_a_secret_begins_anew_as_well(tmp_path: Path) -> None:
    scope = f"test_key[{SECRETS['openai']}]"
    with scripted(*map(answer, ("one", "two", "ONE"))) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            assert ask(server, scope, 2) == ["one", "two"]
            assert ask(server, scope) == ["ONE"]
    assert len(files(tmp_path)) == 1
    with ServerThread(Settings(recordings=tmp_path, strict=True)) as server:
        assert ask(server, scope) == ask(server, scope) == ["ONE"]


def test_a_run_that_fails_in_the_middle_removes_nothing(tmp_path: Path) -> None:
    record(tmp_path, *map(answer, ("one", "two", "three")))
    server = record(tmp_path, answer("ONE"), http(b"{}", status=500))
    assert files(tmp_path) == names("t", 3)
    assert replayed(tmp_path, "t", 3) == ["ONE", "two", "three"]
    assert server.parts.journal.of(Outcome.REMOVED) == []


def test_a_failure_that_was_asked_again_counts_for_nothing(tmp_path: Path) -> None:
    record(tmp_path, *map(answer, ("one", "two", "three")))
    with scripted(answer("ONE"), http(b"{}", status=429), answer("TWO")) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            ask_once(server, "t")
            with pytest.raises(openai.RateLimitError):
                ask_once(server, "t")
            ask_once(server, "t")
    assert replayed(tmp_path, "t", 3) == ["ONE", "TWO", "TWO"]
    assert files(tmp_path) == names("t", 2)


@pytest.mark.parametrize("everything", [True, False])
def test_a_run_that_was_abandoned_removes_nothing(tmp_path: Path, everything: bool) -> None:
    record(tmp_path, *map(answer, ("one", "two")))
    with scripted(answer("ONE")) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            ask_once(server, "t")
            ask_once(server, "u")
            if everything:
                server.break_off()
            else:
                server.abandon("t")
    assert set(names("t", 2)) < set(files(tmp_path))


def test_a_scope_that_is_run_again_has_ended_before(tmp_path: Path) -> None:
    record(tmp_path, *map(answer, ("one", "two", "three")))
    with scripted(*map(answer, ("ONE", "TWO", "uno"))) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            ask(server, "t", 2)
            ask(server, "t", 1)
    assert replayed(tmp_path, "t", 2) == ["uno", "uno"]
    assert files(tmp_path) == names("t", 1)


def test_two_recorders_at_once_leave_each_other_what_they_wrote(tmp_path: Path) -> None:
    with scripted(*map(answer, "abc")) as one, scripted(*map(answer, "AB")) as other:
        settings = [Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=each.url) for each in (one, other)]
        with ServerThread(settings[0]) as first:
            with ServerThread(settings[1]) as second:
                ask_once(second, None)
                for _ in range(3):
                    ask_once(first, None)
            # The second has ended with one exchange; two and three are none of its business.
            assert files(tmp_path) == names(None, 3)
    assert replayed(tmp_path, None, 3) == ["a", "b", "c"]


def test_what_is_missing_is_recorded_and_nothing_is_removed(tmp_path: Path) -> None:
    record(tmp_path, *map(answer, ("one", "two")))
    first, second = (tmp_path / f"{name}.json" for name in names("t", 2))
    first.unlink()
    with scripted(answer("ONE")) as upstream:
        settings = Settings(mode=Mode.RECORD_IF_MISSING, recordings=tmp_path, upstream=upstream.url, strict=True)
        with ServerThread(settings) as server:
            ask(server, "t")
    assert second.exists()


def test_what_says_the_same_stays_as_it_is(tmp_path: Path) -> None:
    record(tmp_path, answer("one"), answer("two"))
    for path in tmp_path.glob("*.json"):
        os.utime(path, ns=(1, 1))
    cut = stream(chunk("o"), chunk("ne", obfuscation="xx"), chunk(finish="stop"))
    server = record(tmp_path, cut, answer("TWO"))
    first, second = ((tmp_path / f"{name}.json").stat().st_mtime_ns for name in names("t", 2))
    assert first == 1 != second
    assert server.parts.journal.count() == {Outcome.UNCHANGED: 1, Outcome.RECORDED: 1}
    assert replayed(tmp_path, "t", 2) == ["one", "TWO"]


def test_all_is_written_again_on_request(tmp_path: Path) -> None:
    record(tmp_path, answer("one"))
    [path] = tmp_path.glob("*.json")
    os.utime(path, ns=(1, 1))
    server = record(tmp_path, answer("one"), keep_equal=False)
    assert path.stat().st_mtime_ns != 1
    assert server.parts.journal.count() == {Outcome.RECORDED: 1}


def test_a_sequence_stays_in_the_folder_where_it_is(tmp_path: Path) -> None:
    record(tmp_path, *map(answer, ("one", "two")))
    below = tmp_path / "chat"
    below.mkdir()
    for path in list(tmp_path.glob("*.json")):
        path.rename(below / path.name)
    record(tmp_path, answer("ONE"))
    assert files(below) == names("t", 1)
    assert list(tmp_path.glob("*.json")) == []
    assert replayed(tmp_path, "t", 1) == ["ONE"]
