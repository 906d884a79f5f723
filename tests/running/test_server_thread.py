"""The server in a thread beside a test: it begins, it fails to begin, it ends."""

import contextlib
import dataclasses
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from harness.backends.journal import Outcome
from harness.errors import HarnessError, SettingsError
from harness.running import ServerThread, client_environment, scoped_url, without_proxy
from harness.settings import NO_KEY, Mode, Settings
from harness.settings.upstreams import named_upstreams
from tests.scripted_upstream import http, scripted


def threads() -> set[threading.Thread]:
    """The servers' threads; that of the run's own server may be among them."""
    return {thread for thread in threading.enumerate() if thread.name == "harness-server"}


def test_it_serves_until_its_block_ends(tmp_path: Path) -> None:
    before = threads()
    with ServerThread(Settings(recordings=tmp_path)) as server:
        assert len(threads() - before) == 1
        with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            assert client.models.list().data == []
        port = server.base_url
    assert threads() == before
    with (
        openai.OpenAI(base_url=port, api_key="none", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.models.list()


STALLED = b"""HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"choices": []}\n\n"""


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientSession]:
    """The sessions with upstreams that a test's servers make."""
    made: list[aiohttp.ClientSession] = []
    make = aiohttp.ClientSession

    def noted(**options: Any) -> aiohttp.ClientSession:
        made.append(make(**options))
        return made[-1]

    monkeypatch.setattr(aiohttp, "ClientSession", noted)
    return made


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.RECORD, Mode.RECORD_IF_MISSING])
def test_a_stalled_stream_does_not_hold_up_a_server_that_is_broken_off(
    tmp_path: Path, mode: Mode, sessions: list[aiohttp.ClientSession]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        settings = Settings(mode, tmp_path, f"http://127.0.0.1:{upstream.getsockname()[1]}/v1")
        with ServerThread(settings) as server:
            asking = threading.Thread(target=_ask_in_vain, args=(server.base_url,))
            asking.start()
            connection, _ = upstream.accept()
            connection.sendall(STALLED)
            began = time.monotonic()
            server.break_off()
        assert time.monotonic() - began < 3
        asking.join()
        connection.close()
    assert list(tmp_path.iterdir()) == []
    assert server.parts.journal.of(Outcome.FAILED) == []
    assert [session.closed for session in sessions] == [True]


def _ask_in_vain(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client, contextlib.suppress(Exception):
        for _ in client.chat.completions.create(model="m", messages=[], stream=True):
            pass


def test_two_at_once(tmp_path: Path) -> None:
    settings = Settings(recordings=tmp_path)
    with ServerThread(settings) as one, ServerThread(settings) as other:
        assert one.base_url != other.base_url


@pytest.mark.parametrize("mode", Mode)
def test_what_cannot_begin_says_so_in_the_thread_that_waits(tmp_path: Path, mode: Mode) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="not a directory"), ServerThread(Settings(mode, tmp_path / "file")):
        pytest.fail("it began")
    before = threads()
    nowhere = Settings(mode, tmp_path, state=str(tmp_path / "nowhere" / "state.db"))
    with pytest.raises(SettingsError, match="cannot be opened"), ServerThread(nowhere):
        pytest.fail("it began")
    assert threads() == before


def test_its_parts_are_there_while_it_runs(tmp_path: Path) -> None:
    server = ServerThread(Settings(recordings=tmp_path))
    with pytest.raises(RuntimeError, match="with statement"):
        _ = server.parts
    with server:
        assert server.parts.settings is server.settings


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        (None, "http://h/v1"),
        ("", "http://h/v1"),
        ("a.py::b[c/d é]", "http://h/scope/a.py%3A%3Ab%5Bc%2Fd%20%C3%A9%5D/v1"),
        ("%2F?#", "http://h/scope/%252F%3F%23/v1"),
    ],
)
def test_a_scope_goes_into_the_url(scope: str | None, url: str) -> None:
    assert scoped_url("http://h", scope) == url


def test_what_proxies_are_kept_from_already_is_kept() -> None:
    both = {"no_proxy": "a,127.0.0.1,localhost", "NO_PROXY": "a,127.0.0.1,localhost"}
    assert without_proxy({"NO_PROXY": "a"}) == without_proxy({"no_proxy": "a", "NO_PROXY": ""}) == both
    assert without_proxy({})["no_proxy"] == "127.0.0.1,localhost"


def test_a_forked_process_is_told_that_it_has_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        here = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: here + 1)
        with pytest.raises(HarnessError, match="was forked"):
            server.begin("a")


def test_every_client_is_led_to_the_server_and_away_from_real_keys() -> None:
    environ = {"OPENAI_API_KEY": "sk-real", "GATE_KEY": "real"}
    tables = {"azure": {"base_url": "https://me.openai.azure.com"}, "anthropic": {}}
    gate = {"base_url": "https://gate.example/v1", "key_env": "GATE_KEY"}
    settings = Settings(upstreams=named_upstreams({**tables, "my-gate": gate}, environ))
    given = client_environment(settings, "http://here", None, environ)
    bases = {name: value for name, value in given.items() if value.startswith("http")}
    assert bases == {
        "OPENAI_BASE_URL": "http://here/v1",
        "AZURE_OPENAI_ENDPOINT": "http://here/azure",
        "ANTHROPIC_BASE_URL": "http://here/anthropic",
        "MY_GATE_BASE_URL": "http://here/my-gate/v1",
    }
    keys = {"OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GATE_KEY"}
    assert {name for name, value in given.items() if value == NO_KEY} == keys
    recording = client_environment(dataclasses.replace(settings, mode=Mode.RECORD), "http://here", None, environ)
    dummies = {name for name, value in recording.items() if value == NO_KEY}
    assert dummies == {"AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY"}


def test_a_server_that_cannot_begin_lets_go_of_its_upstream(
    tmp_path: Path, sessions: list[aiohttp.ClientSession]
) -> None:
    with scripted(http(b"{}")) as upstream:
        chosen = Settings(
            Mode.RECORD, tmp_path, upstream.url, api_key="a-key", state=str(tmp_path / "nowhere" / "state.db")
        )
        with pytest.raises(SettingsError, match="cannot be opened"), ServerThread(chosen):
            pytest.fail("it began")
    assert [session.closed for session in sessions] == [True]
