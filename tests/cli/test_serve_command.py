"""``harness serve`` as a process of its own: what it prints, what ends it, and what it refuses to begin with."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest

from harness.cli.serve import serve as serve_command
from harness.cli.serve import without_password
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Json, Request
from tests.scripted_upstream import chunk, scripted, stream

HARNESS = str(Path(sys.executable).with_name("harness"))
PATIENCE = 20.0
SECRET = "sk-sesame-0123456789"
BODY: dict[str, Json] = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Say hello"}]}


def environ(**more: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "OPENAI_"))}
    return {**bare, **more}


def refused(directory: Path, *arguments: str, **variables: str) -> str:
    """The message of a server that does not begin."""
    command = [HARNESS, "serve", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=directory, env=environ(**variables), timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


class Serving:
    """``harness serve`` in the background; what it prints is kept as it comes."""

    def __init__(self, arguments: tuple[str, ...], directory: Path, variables: dict[str, str]) -> None:
        command = [HARNESS, "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=directory, env=variables
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.until("Ctrl-C ends it.")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def until(self, text: str) -> None:
        """Wait for the output to hold ``text``."""
        end = time.monotonic() + PATIENCE
        while text not in self.output:
            assert self._reader.is_alive(), f"ended without {text!r}:\n{self.output}"
            assert time.monotonic() < end, f"{text!r} never came:\n{self.output}"
            time.sleep(0.01)

    def row(self, name: str) -> str:
        found = re.search(rf"^  {name} +(.*)$", self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]

    def ask(self, body: dict[str, Json] | None = None, sent_key: str = "none") -> IO[bytes]:
        """The answer to a chat request, its body unread."""
        request = urllib.request.Request(  # noqa: S310 - the URL is that of a server begun here
            f"{self.row('OPENAI_BASE_URL')}/chat/completions",
            json.dumps(body or BODY).encode(),
            {"Authorization": f"Bearer {sent_key}"},
        )
        opened: IO[bytes] = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE)
        return opened

    def signalled(self, *numbers: int) -> int:
        """Send signals, one after the other has had its effect; the exit code."""
        for at, number in enumerate(numbers):
            self.process.send_signal(number)
            if at + 1 < len(numbers):
                self.until("Ctrl-C again")
        code = self.process.wait(PATIENCE)
        self._reader.join()
        assert "Traceback" not in self.output
        return code


Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server on a free port and waits for its block; keywords are variables of its environment."""
    started: list[Serving] = []

    def call(*arguments: str, **variables: str) -> Serving:
        started.append(Serving(arguments, tmp_path, environ(**variables)))
        return started[-1]

    yield call
    for serving in started:
        if serving.process.poll() is None:
            serving.process.kill()
            serving.process.wait()


class Endless(ThreadingHTTPServer):
    """An upstream that streams one word after the other until it is told to come to an end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Words)
        self.enough = threading.Event()
        self.keys: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Words(BaseHTTPRequestHandler):
    server: Endless

    def do_POST(self) -> None:
        self.server.keys.append(self.headers.get("Authorization", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while not self.server.enough.wait(0.05):
                self._say(" and", None)
            self._say(".", "stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            return  # Whoever listened has gone.

    def _say(self, text: str, reason: str | None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the output of a test is its own."""


@pytest.fixture
def endless() -> Iterator[Endless]:
    with Endless() as upstream:
        yield upstream
        upstream.enough.set()
        upstream.shutdown()


def record_by_hand(directory: Path, answer: str) -> str:
    request = Request("POST", "/v1/chat/completions", BODY)
    directory.mkdir()
    (directory / f"{key(request)}.json").write_text(dumps(to_document(author(request, answer))))
    return key(request)


def test_the_block_the_log_and_the_end(serve: Serve, tmp_path: Path) -> None:
    name = record_by_hand(tmp_path / "recordings", "Hello!")
    (tmp_path / "recordings" / "broken.json").write_text("{")
    serving = serve(OPENAI_API_KEY=SECRET)

    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+/v1", serving.row("OPENAI_BASE_URL"))
    assert serving.row("mode") == "replay"
    assert serving.row("recordings") == f"1 in {tmp_path / 'recordings'}"
    assert "broken.json" in serving.output
    assert serving.row("upstream") == "none: replay asks nobody"
    assert serving.row("state") == "in memory"

    with serving.ask(sent_key=SECRET) as answer:
        assert b"Hello!" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as miss:
        serving.ask({**BODY, "model": "other"}, SECRET)
    miss.value.close()
    assert miss.value.code == 404
    serving.until("missed")
    assert serving.signalled(signal.SIGINT) == 0
    assert f"replayed  /v1/chat/completions m {name[:12]}\n" in serving.output
    assert "missed    /v1/chat/completions other No recording for POST" in serving.output
    assert serving.output.endswith("Stopped. 1 replayed, 1 missed\n")
    assert SECRET not in serving.output


def test_what_is_left_over_of_a_longer_sequence_is_named(serve: Serve, tmp_path: Path) -> None:
    name = record_by_hand(tmp_path / "recordings", "Hello!")
    shutil.copy(tmp_path / "recordings" / f"{name}.json", tmp_path / "recordings" / f"{name}-2.json")
    with scripted(stream(chunk("Hello!"), chunk(finish="stop"))) as upstream:
        serving = serve("--mode", "record", "--upstream", upstream.url)
        with serving.ask() as answer:
            assert b"Hello!" in answer.read()
        assert serving.signalled(signal.SIGINT) == 0
    assert f"removed   /v1/chat/completions m {name[:12]}-2\n" in serving.output
    assert serving.output.endswith("1 recorded, 1 removed\n")
    assert [path.stem for path in (tmp_path / "recordings").iterdir()] == [name]


@pytest.fixture
def block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """The rows that a server in this process begins with; it is ended with its first word."""
    monkeypatch.chdir(tmp_path)
    for name in environ().keys() ^ os.environ.keys():
        monkeypatch.delenv(name)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def call(*arguments: str) -> dict[str, str]:
        monkeypatch.setattr("harness.cli.serve._say", say)
        serve_command(["--port", "0", *arguments], standalone_mode=False)
        assert said[-1] == "Stopped. Nothing was answered."
        return {row[2:18].rstrip(): row[19:] for row in said[0].splitlines()[1:-1]}

    return call


def test_no_directory_in_replay_is_said(block: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    rows = block("--recordings", "nowhere", "--state", "state.db")
    assert rows["recordings"].startswith(f"none: {tmp_path / 'nowhere'} does not exist")
    assert rows["state"] == str(tmp_path / "state.db")
    assert not (tmp_path / "nowhere").exists()


def test_recording_says_whose_key_and_whether_the_url_looks_right(serve: Serve) -> None:
    serving = serve("--mode", "record", "--upstream", "http://127.0.0.1:9", OPENAI_API_KEY=SECRET)
    assert serving.row("key") == "OPENAI_API_KEY's, for requests that bring none"
    assert "no path" in serving.output
    with pytest.raises(urllib.error.HTTPError) as failed:
        serving.ask(sent_key=SECRET)
    failed.value.close()
    serving.until("failed")
    assert serving.signalled(signal.SIGINT) == 0
    assert SECRET not in serving.output


def test_recording_from_openai_without_a_key(block: Callable[..., dict[str, str]]) -> None:
    rows = block("--mode", "Record", "--host", "0.0.0.0")  # noqa: S104 - what is printed of it is what is tested
    assert rows["mode"] == "record"
    assert rows["upstream"] == "https://api.openai.com/v1"
    assert rows["key"] == "each request's own: OPENAI_API_KEY is not set"
    assert rows["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert rows["open to"] == "every machine that reaches this one"


def test_a_stream_in_flight_is_finished_and_recorded(serve: Serve, tmp_path: Path, endless: Endless) -> None:
    serving = serve("--mode", "record", "--upstream", endless.url, OPENAI_API_KEY=SECRET)
    with serving.ask() as answer:
        assert answer.readline().startswith(b"data: ")
        serving.process.send_signal(signal.SIGINT)
        serving.until("Finishing what is in flight.")
        endless.enough.set()
        assert answer.read().endswith(b"data: [DONE]\n\n")
    assert serving.signalled() == 0
    assert serving.output.endswith("Stopped. 1 recorded\n")
    (recording,) = (tmp_path / "recordings").iterdir()
    assert json.loads(recording.read_text())["response"]["is_streaming"]
    assert endless.keys == [f"Bearer {SECRET}"]
    assert SECRET not in serving.output + recording.read_text()


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM, signal.SIGINT), pytest.param((signal.SIGINT, signal.SIGINT), marks=pytest.mark.slow)],
)
def test_a_second_signal_ends_it_at_once(
    serve: Serve, tmp_path: Path, endless: Endless, numbers: tuple[int, int]
) -> None:
    serving = serve("--mode", "record", "--upstream", endless.url)
    with serving.ask() as answer:
        answer.readline()
        assert serving.signalled(*numbers) == 0
    assert serving.output.endswith("Stopped. Nothing was answered.\n")
    assert "error" not in serving.output.lower()
    assert not (tmp_path / "recordings").exists()


def test_ipv6(serve: Serve) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no ::1")
    serving = serve("--host", "::1")
    assert serving.row("OPENAI_BASE_URL").startswith("http://[::1]:")
    with pytest.raises(urllib.error.HTTPError, match="404") as miss:
        serving.ask()
    miss.value.close()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_port_that_is_taken(mistake: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = mistake("serve", "--port", str(port))
    assert message.splitlines() == [
        f"harness: 127.0.0.1:{port} cannot be served: Address already in use",
        "  Try --port 0 for a free port.",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mode", "rec"], "--mode: 'rec' is not a mode.\n  Use one of: replay, record, record-if-missing, live."),
        (["--port", "70000"], "0<=x<=65535"),
        (["--host", "nowhere.invalid"], "nowhere.invalid:8321 cannot be served: "),
        (["--host", "192.0.2.1"], "Name an address of this machine"),
        (["--recordings", "file"], "is not a directory"),
        (["--mode", "record", "--recordings", "file/below"], "nothing can be written"),
        (["--state", "nowhere/state.db"], "cannot be opened"),
        (["--upstream", "api.openai.com"], "--upstream: 'api.openai.com' is not a base URL."),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, mistake: Callable[..., str], arguments: list[str], said: str
) -> None:
    (tmp_path / "file").touch()
    assert said in mistake("serve", *arguments)


def test_a_mode_from_the_environment_that_is_none(mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_MODE", "")
    message = mistake("serve")
    assert message.splitlines() == [
        "harness: HARNESS_MODE: '' is not a mode.",
        "  Use one of: replay, record, record-if-missing, live.",
    ]


@pytest.mark.slow
def test_a_state_in_postgresql(tmp_path: Path, postgres_url: str, serve: Callable[..., Serving]) -> None:
    password = urlsplit(postgres_url).password or ""
    serving = serve("--recordings", "nowhere", "--state", f"{postgres_url}?sslmode=disable")
    assert serving.row("state").endswith("?sslmode=disable")
    assert ":***@" in serving.row("state")
    assert password not in serving.output
    message = refused(tmp_path, "--state", postgres_url.replace(password, "hunter2"))
    assert "password authentication failed" in message
    assert "  Check the user and the password with: psql" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("state.db", "state.db"),
        ("at:me@home.db", "at:me@home.db"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://me:a/b@c@db:1/x?ssl=require", "postgresql://me:***@db:1/x?ssl=require"),
        ("postgresql://db/x?user=me&password=secret&ssl=require", "postgresql://db/x?user=me&password=***&ssl=require"),
    ],
)
def test_a_password_is_never_printed(place: str, shown: str) -> None:
    assert without_password(place) == shown
