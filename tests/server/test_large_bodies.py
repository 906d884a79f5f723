"""Bodies of many bytes: whoever sends one waits for it, and nobody else does."""

import json
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Json, Request
from harness.recording.redact import Redactor
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import http, scripted

LARGE, SMALL = "large " * 50_000, "small"


def body(text: str) -> dict[str, Json]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def ask(server: ServerThread, text: str) -> str:
    sent = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(body(text)).encode())  # noqa: S310 - a server begun here
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(sent, timeout=10) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


@pytest.mark.parametrize("mode", [Mode.REPLAY, Mode.RECORD, Mode.RECORD_IF_MISSING])
def test_a_large_body_is_searched_for_secrets_once_while_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    searching, others_are_answered = threading.Event(), threading.Event()
    search = Redactor.request

    def slow(self: Redactor, request: Request, known: Sequence[str] = ()) -> Request:
        if len(str(request.body)) > len(LARGE):
            assert not searching.is_set(), "it was searched before"
            searching.set()
            assert others_are_answered.wait(10), "the server answers nobody"
        return search(self, request, known)

    exchange = author(Request("POST", "/v1/chat/completions", body(LARGE)), "Hello!")
    if mode is Mode.REPLAY:
        for text in (LARGE, SMALL):
            request = Request("POST", "/v1/chat/completions", body(text))
            (tmp_path / f"{key(request)}.json").write_text(dumps(to_document(author(request, "Hello!"))))
    monkeypatch.setattr(Redactor, "request", slow)
    with scripted(http(json.dumps(exchange.response.body).encode())) as upstream:
        with ServerThread(Settings(mode=mode, recordings=tmp_path, upstream=upstream.url)) as server:
            said: list[str] = []
            large = threading.Thread(target=lambda: said.append(ask(server, LARGE)))
            large.start()
            assert searching.wait(10)
            assert ask(server, SMALL) == "Hello!"
            others_are_answered.set()
            large.join()
    assert said == ["Hello!"]
    assert len(list(tmp_path.iterdir())) == 2
