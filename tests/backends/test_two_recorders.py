"""Servers that record what is missing in one place, and are asked the same at the same moment: one of them asks."""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.backends.test_kill import start
from tests.scripted_upstream import ScriptedUpstream, chunk, http, scripted, stream

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def said(url: str) -> str:
    with OpenAI(base_url=url, api_key="none", max_retries=0, timeout=20) as client:
        pieces = client.chat.completions.create(**ASK, stream=True)
        return "".join(piece.choices[0].delta.content or "" for piece in pieces)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def settings(tmp_path: Path, upstream: ScriptedUpstream) -> Settings:
    return Settings(Mode.RECORD_IF_MISSING, tmp_path / "recordings", upstream.url, cache=tmp_path / "cache")


def answers(*words: str) -> list[bytes]:
    return [stream(chunk(word), chunk(finish="stop")) for word in words]


def test_both_get_the_answer_that_is_kept(tmp_path: Path) -> None:
    with scripted(*answers("one", "two"), pause=threading.Event()) as upstream, ThreadPoolExecutor(2) as pool:
        with ServerThread(settings(tmp_path, upstream)) as one, ServerThread(settings(tmp_path, upstream)) as other:
            heard = [pool.submit(said, one.base_url)]
            wait_for(lambda: upstream.requests)
            heard.append(pool.submit(said, other.base_url))
            time.sleep(0.2)  # Time enough to ask.
            assert upstream.pause is not None
            upstream.pause.set()
            assert [one.result() for one in heard] == ["one", "one"]
    assert len(upstream.requests) == 1
    assert len(list((tmp_path / "recordings").iterdir())) == 1
    assert list((tmp_path / "cache" / "asked").iterdir()) == []


def test_what_one_is_refused_the_other_asks(tmp_path: Path) -> None:
    refused = http(b"{}", status=500)
    with scripted(refused, *answers("two"), pause=threading.Event()) as upstream, ThreadPoolExecutor(2) as pool:
        with ServerThread(settings(tmp_path, upstream)) as one, ServerThread(settings(tmp_path, upstream)) as other:
            first = pool.submit(said, one.base_url)
            wait_for(lambda: upstream.requests)
            second = pool.submit(said, other.base_url)
            assert upstream.pause is not None
            upstream.pause.set()
            with pytest.raises(openai.InternalServerError):
                first.result()
            assert second.result() == "two"


def test_without_a_place_for_locks_each_asks_for_itself(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a directory")
    with scripted(*answers("one")) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        assert said(server.base_url) == "one"


@pytest.mark.slow
def test_one_that_is_killed_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    with scripted(*answers("one", "two"), pause=threading.Event()) as upstream, ThreadPoolExecutor(2) as pool:
        servers = [start(tmp_path / "recordings", upstream.url, mode="record-if-missing") for _ in range(2)]
        try:
            first = pool.submit(said, servers[0][1])
            wait_for(lambda: upstream.requests)
            second = pool.submit(said, servers[1][1])
            time.sleep(0.5)
            assert len(upstream.requests) == 1
            servers[0][0].send_signal(signal.SIGKILL)
            wait_for(lambda: len(upstream.requests) == 2)
            assert upstream.pause is not None
            upstream.pause.set()
            with pytest.raises(openai.APIError):
                first.result()
            assert second.result() == "two"
        finally:
            for process, _ in servers:
                process.kill()
                process.communicate()
