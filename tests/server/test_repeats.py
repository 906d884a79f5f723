"""Requests that come again, byte for byte: answered by their connection, as the first time and counted like it."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.backends.journal import Outcome
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key, recording_name
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Settings
from harness.stores.directory import DirectoryStore

PATH = "/v1/chat/completions"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(Settings(recordings=tmp_path)) as running:
        yield running


class Connection:
    """A bare connection, which says what a test tells it to and reads one answer at a time."""

    def __init__(self, server: ServerThread) -> None:
        parts = urlsplit(server.base_url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=5)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
        )
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return head, body

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError(self._rest)
        self._rest += data

    def is_closed(self) -> bool:
        return not self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def connect(server: ServerThread) -> Iterator[Callable[[], Connection]]:
    """Makes connections to the server."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Connection(server)))


@pytest.fixture
def connection(connect: Callable[[], Connection]) -> Connection:
    return connect()


def body(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def record(directory: Path, asked: dict[str, Any], answer: str, number: int = 1) -> Path:
    request = Request("POST", PATH, asked)
    name = recording_name(key(request), number)
    DirectoryStore(directory, Canonicalizer()).save(author(request, answer), name)
    return directory / f"{name}.json"


def request(asked: dict[str, Any], *headers: str) -> bytes:
    data = json.dumps(asked).encode()
    head = "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: harness", f"Content-Length: {len(data)}", *headers, "", ""])
    return head.encode() + data


def said(answer: tuple[bytes, bytes]) -> str:
    content: str = json.loads(answer[1])["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_every_answer_is_the_first_ones_bytes_and_is_counted(
    server: ServerThread, connection: Connection, tmp_path: Path, more: dict[str, Any]
) -> None:
    record(tmp_path, body(**more), "Hello!")
    answers = []
    for _ in range(4):
        connection.send(request(body(**more)))
        answers.append(connection.answer())
    assert len(set(answers)) == 1
    assert b"Hello!" in answers[0][1]
    assert server.parts.journal.count() == {Outcome.REPLAYED: 4}


def test_a_sequence_goes_on(connection: Connection, tmp_path: Path) -> None:
    for number, answer in enumerate(("one", "two", "three"), 1):
        record(tmp_path, body(), answer, number)
    heard = []
    for _ in range(5):
        connection.send(request(body()))
        heard.append(said(connection.answer()))
    assert heard == ["one", "two", "three", "three", "three"]


def test_what_changes_on_the_disk_changes_the_answer(connection: Connection, tmp_path: Path) -> None:
    file = record(tmp_path, body(), "old")
    for _ in range(3):
        connection.send(request(body()))
        assert said(connection.answer()) == "old"
    record(tmp_path, body(), "the new one")
    connection.send(request(body()))
    assert said(connection.answer()) == "the new one"
    file.unlink()
    connection.send(request(body()))
    assert connection.answer()[0].startswith(b"HTTP/1.1 404")


def test_another_connection_profits_and_each_piece_of_a_request_may_come_alone(
    connect: Callable[[], Connection], connection: Connection, tmp_path: Path
) -> None:
    record(tmp_path, body(), "Hello!")
    for _ in range(2):
        connection.send(request(body()))
        connection.answer()
    other = connect()
    asked = request(body())
    for cut in (len(asked), 5, asked.index(b"\r\n\r\n") + 2, asked.index(b"\r\n\r\n") + 4, len(asked) - 1):
        other.send(asked[:cut])
        other.send(asked[cut:])
        assert said(other.answer()) == "Hello!"


def test_pipelined_requests_are_answered_in_order(connection: Connection, tmp_path: Path) -> None:
    for text in ("a", "b", "c"):
        record(tmp_path, body(text), f"answer to {text}")
    for _ in range(2):
        connection.send(request(body("a")))
        connection.answer()
    connection.send(request(body("a")) + request(body("b")) + request(body("c"))[:-3])
    assert [said(connection.answer()) for _ in "ab"] == ["answer to a", "answer to b"]
    connection.send(request(body("c"))[-3:] + request(body("a")))
    assert [said(connection.answer()) for _ in "ca"] == ["answer to c", "answer to a"]


def test_other_requests_between_are_aiohttps(connection: Connection, tmp_path: Path) -> None:
    record(tmp_path, body(), "Hello!")
    chunked = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH.encode()
    data = json.dumps(body()).encode()
    others = [
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        request(body("missing")),
        chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data),
        request(body(padding="x" * 100_000)),
        request(body("not json"))[:-1] + b"!",
    ]
    statuses = []
    for other in others:
        connection.send(request(body()))
        assert said(connection.answer()) == "Hello!"
        connection.send(other)
        statuses.append(connection.answer()[0].split()[1])
    assert statuses == [b"200", b"404", b"200", b"404", b"400"]


def test_a_connection_that_is_to_close_closes(
    connect: Callable[[], Connection], connection: Connection, tmp_path: Path
) -> None:
    record(tmp_path, body(), "Hello!")
    asked = request(body(), "Connection: close")
    connection.send(asked)
    assert said(connection.answer()) == "Hello!"
    assert connection.is_closed()
    again = connect()
    again.send(request(body()))
    again.answer()
    again.send(asked)
    assert said(again.answer()) == "Hello!"
    assert again.is_closed()
