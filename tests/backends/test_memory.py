"""What a server keeps while it runs is bounded, however long that is."""

import asyncio
import gc
import json
from pathlib import Path

import pytest

from harness.backends import replay
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Answer, Call
from harness.backends.replay import ReplayBackend
from harness.backends.runs import Runs
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request
from harness.server import repeats
from harness.server.inference import headers_of
from harness.server.repeats import Repeats
from harness.stores.directory import DirectoryStore


def test_requests_that_were_found_by_meaning_are_forgotten_when_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Say hello. " * 100}]}
    request = Request("POST", "/v1/chat/completions", body)
    (tmp_path / f"{key(request)}.json").write_text(dumps(to_document(author(request, "Hello!"))))
    backend = ReplayBackend(DirectoryStore(tmp_path, Canonicalizer()), Canonicalizer(), Journal())
    monkeypatch.setattr(replay, "_MOST_BYTES", 50_000)

    async def ask_often() -> None:
        for number in range(200):
            # Who asks does not count: each request is another one, and means the same.
            raw = json.dumps({**body, "user": f"user {number}"}).encode()
            assert (await backend.send(Call("POST", "/v1/chat/completions", raw))).status == 200

    asyncio.run(ask_often())
    gc.collect()
    kept = [one for one in gc.get_objects() if type(one) is Request]
    assert sum("user" in one.body for one in kept) < 50


def test_lines_of_a_journal_that_only_counts_are_not_kept() -> None:
    heard: list[Line] = []
    journal = Journal(listener=heard.append)
    line = Line(Outcome.REPLAYED, None, "/v1/models", "m")
    journal.write(line)
    journal.keeps_lines = False
    journal.write(line)
    assert (journal.lines, heard) == ([line], [line, line])
    assert journal.count() == {Outcome.REPLAYED: 2}


def repeated(text: str, recording: str = "a") -> Answer:
    body = text.encode()
    return Answer(200, "application/json", body, recording=recording, again=lambda: repeated(text, recording))


def test_requests_that_may_come_again_are_forgotten_when_they_and_their_answers_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeats, "_MOST_BYTES", 100_000)
    known = Repeats(headers_of)
    asked = [b"POST / HTTP/1.1\r\n\r\n%d" % number for number in range(100)]
    for request in asked:
        known.remember(request, repeated("x" * 3000))
        assert known.answer(request) is not None
    assert 5 < sum(known.answer(request) is not None for request in asked) < 30
    assert known.answer(asked[-1]) is not None
    assert known.answer(asked[0]) is None

    large = b"POST / HTTP/1.1\r\n\r\n" + b"x" * 30_000
    known.remember(large, repeated("x"))
    assert known.answer(large) is None


def test_the_answers_of_one_request_that_comes_again_and_again_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_MOST_BYTES", 100_000)
    known, request, number = Repeats(headers_of), b"POST / HTTP/1.1\r\n\r\n", 0

    def again() -> Answer:
        nonlocal number
        number += 1
        return Answer(200, "application/json", b"x" * 3000, recording=str(number), again=again)

    known.remember(request, again())
    answered = 0
    while known.answer(request) is not None:
        answered += 1
        assert answered < 100
    assert answered > 5


def test_what_was_recorded_is_not_kept(tmp_path: Path) -> None:
    runs = Runs(DirectoryStore(tmp_path, Canonicalizer()), Journal(), trims=True)

    async def record() -> None:
        for number in range(10):
            request = Request("POST", "/v1/chat/completions", {"model": "m", "recorded": number})
            await runs.save(key(request), author(request, "Hello!"))

    asyncio.run(record())
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Request and "recorded" in one.body]
    assert len(list(tmp_path.iterdir())) == 10
