"""Recordings that are far away, or many: whoever asks for one waits for it, and nobody else does."""

import asyncio
import json
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key, recording_name
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Mode, Settings
from harness.stores.directory import DirectoryStore
from tests.scripted_upstream import http, scripted

PATH = "/v1/chat/completions"
OF_THE_INDEX = ("sharing", "nearest", "entries")
SLOW = (*OF_THE_INDEX, "find", "load", "beginning", "save", "renew")


class Slow:
    """A store some methods of which take so long that none may be called in an event loop."""

    def __init__(self, store: DirectoryStore, slow: Collection[str], *, is_remote: bool) -> None:
        self._store, self._slow, self.is_remote, self.used = store, slow, is_remote, set[str]()

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._store, name)
        if name not in self._slow:
            return method

        def called(*arguments: Any) -> Any:
            self.used.add(name)
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return method(*arguments)

        return called


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def opened(monkeypatch: pytest.MonkeyPatch, directory: Path, *, is_remote: bool) -> Slow:
    """A store over a directory in which some answers are, for the next server."""
    store = DirectoryStore(directory, Canonicalizer())
    for text, number in (("Hi", 1), ("Hi", 2), ("Bye", 1)):
        asked = Request("POST", PATH, body(text))
        store.save(author(asked, f"{text} {number}"), recording_name(key(asked), number))
    slow = Slow(store, SLOW if is_remote else OF_THE_INDEX, is_remote=is_remote)
    monkeypatch.setattr("harness.wiring.open_store", lambda *_: slow)
    return slow


def said(client: OpenAI, text: str, **more: Any) -> str | None:
    completion: ChatCompletion = client.chat.completions.create(**body(text), **more)
    return completion.choices[0].message.content


@pytest.mark.parametrize("is_remote", [True, False], ids=["remote", "large"])
@pytest.mark.parametrize("mode", [Mode.REPLAY, Mode.RECORD_IF_MISSING, Mode.RECORD])
def test_nothing_slow_is_done_in_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, is_remote: bool
) -> None:
    slow = opened(monkeypatch, tmp_path, is_remote=is_remote)
    answer = author(Request("POST", PATH, body("New")), "New 1").response.body
    with scripted(http(json.dumps(answer).encode())) as upstream:
        chosen = Settings(mode, tmp_path, upstream.url, keep_equal=True)
        with ServerThread(chosen) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            if mode is Mode.RECORD:
                assert said(client, "Hi") == "New 1"
            else:
                assert [said(client, "Hi") for _ in range(3)] == ["Hi 1", "Hi 2", "Hi 2"]
                assert said(client, "Bye", user="me") == "Bye 1"
                client.models.list()
            # A normalized id, as a client has it from a recording.
            quoted = body("New", metadata={"id": f"resp_{key(Request('POST', PATH, body('Hi')))[:16]}00010001"})
            if mode is Mode.REPLAY:
                with pytest.raises(openai.NotFoundError, match="Nearest"):
                    client.chat.completions.create(**quoted)
            else:
                assert client.chat.completions.create(**quoted).choices[0].message.content == "New 1"
    looked = set() if mode is Mode.RECORD else {"sharing", "entries"} | ({"find", "load"} if is_remote else set())
    written = {"beginning", "save"} if is_remote and mode is not Mode.REPLAY else set()
    assert slow.used >= looked | written


def test_equal_requests_get_their_answers_in_the_order_in_which_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = opened(monkeypatch, tmp_path, is_remote=True)
    first_looks, second_is_answered = threading.Event(), threading.Event()
    find = slow.find

    def found(name: str) -> Any:
        if not first_looks.is_set():
            first_looks.set()
            assert second_is_answered.wait(10)
        return find(name)

    monkeypatch.setattr(slow, "find", found, raising=False)
    with ServerThread(Settings(recordings=tmp_path)) as server, ThreadPoolExecutor(1) as pool:
        with OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            first = pool.submit(said, client, "Hi")
            assert first_looks.wait(10)
            assert said(client, "Hi") == "Hi 2"
            second_is_answered.set()
            assert first.result() == "Hi 1"
