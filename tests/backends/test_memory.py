"""What a server keeps while it runs is bounded, however long that is."""

import asyncio
import gc
import json
from pathlib import Path

import pytest

from harness.backends import replay
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Call
from harness.backends.replay import ReplayBackend
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request
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
