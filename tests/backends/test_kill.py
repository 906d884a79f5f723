"""Processes that are killed in the middle of recording: no broken file, and nothing lost that was complete."""

import random
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, OpenAI

from harness.recording import format as file_format
from tests.scripted_upstream import chunk, scripted, stream

KILLS = 200
ASKED = 20
CHUNKS = [chunk(f"word {number} " * 20) for number in range(200)]


@pytest.mark.slow
def test_kill_in_the_middle_of_recording(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - the times of the kills are no secret
    complete: dict[Path, bytes] = {}
    with scripted(stream(*CHUNKS, chunk(finish="stop")), piece=4096) as upstream:
        for round_ in range(KILLS):
            process, url = start(tmp_path, upstream.url)
            askers = [threading.Thread(target=_ask, args=(url, f"{round_}.{number}")) for number in range(4)]
            for asker in askers:
                asker.start()
            threading.Event().wait(dice.uniform(0.02, 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            for asker in askers:
                asker.join()
            for path, data in complete.items():
                assert path.read_bytes() == data, f"{path.name} was lost in round {round_}"
            complete = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
            for path, data in complete.items():
                exchange = file_format.to_exchange(file_format.loads(data.decode()))
                assert len(exchange.response.body) == len(CHUNKS) + 1, f"{path.name} is cut off"
    assert complete, "no recording was ever finished: the test kills too early to show anything"
    assert len(complete) < 4 * ASKED * KILLS, (
        "no recording was ever interrupted: the test kills too late to show anything"
    )


def start(directory: Path, upstream: str, *how: str, mode: str = "record") -> tuple[subprocess.Popen[str], str]:
    """A server in a process of its own, and its base URL."""
    run = how or ("-m", "harness.cli")
    command = [sys.executable, *run, "serve", "--mode", mode, "--recordings", str(directory)]
    process = subprocess.Popen([*command, "--upstream", upstream, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"OPENAI_BASE_URL\s+(\S+)", line)
        if found:
            return process, found[1]
    raise AssertionError("the server did not start")


def _ask(url: str, text: str) -> None:
    # The server is killed under the client, which is the point: whatever the client makes of it is fine.
    with suppress(Exception), OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        for number in range(ASKED):
            messages: Any = [{"role": "user", "content": f"{text}.{number}"}]
            list(client.chat.completions.create(model="m", messages=messages, stream=True))


@pytest.mark.slow
def test_kill_while_recording_again(tmp_path: Path) -> None:
    """What was there before is there after, as it was or as it was recorded again."""
    dice = random.Random(8)  # noqa: S311 - the times of the kills are no secret
    said = {word: [*(chunk(f"{word} {number}") for number in range(50)), chunk(finish="stop")] for word in ("a", "b")}
    with scripted(stream(*said["a"])) as upstream:
        process, url = start(tmp_path, upstream.url)
        _ask(url, "again")
        process.terminate()
        process.communicate()
    before = {path.name for path in tmp_path.glob("*.json")}
    assert len(before) == ASKED
    seen = set()
    with scripted(stream(*said["b"]), stream(*said["a"]), piece=2048) as upstream:
        for round_ in range(KILLS // 4):
            upstream.answers = [stream(*said["ab"[round_ % 2 == 0]])]
            process, url = start(tmp_path, upstream.url)
            asker = threading.Thread(target=_ask, args=(url, "again"))
            asker.start()
            threading.Event().wait(dice.uniform(0.02, 0.3))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            asker.join()
            assert {path.name for path in tmp_path.glob("*.json")} == before
            seen.add("".join(sorted({_word(path, len(said["a"])) for path in tmp_path.glob("*.json")})))
    assert "ab" in seen, "no run was ever ended in the middle: the test kills at the wrong times"


def _word(path: Path, chunks: int) -> str:
    """Which of the two answers a file has, which must have all of it."""
    exchange = file_format.to_exchange(file_format.loads(path.read_text()))
    assert len(exchange.response.body) == chunks, f"{path.name} is cut off"
    words = {piece["choices"][0]["delta"].get("content", "")[:1] for piece in exchange.response.body} - {""}
    assert len(words) == 1, f"{path.name} is two recordings in one"
    return str(words.pop())


@pytest.mark.slow
def test_two_recorders_on_one_directory(tmp_path: Path) -> None:
    with scripted(stream(*CHUNKS, chunk(finish="stop")), piece=4096) as upstream:
        recorders = [start(tmp_path, upstream.url) for _ in range(2)]
        askers = [
            threading.Thread(target=_ask, args=(url, text))
            for number, (_, url) in enumerate(recorders)
            for text in ("both", f"own.{number}")
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        for process, _ in recorders:
            process.terminate()
            process.communicate()
    assert len(list(tmp_path.iterdir())) == 3 * ASKED
    for path in tmp_path.iterdir():
        exchange = file_format.to_exchange(file_format.loads(path.read_text()))
        assert len(exchange.response.body) == len(CHUNKS) + 1


@pytest.mark.slow
def test_a_disk_that_is_full_loses_nothing_that_was_there(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: what does not fit fails in the middle of being written."""
    short, long = ([chunk("word") for _ in range(length)] for length in (3, 2000))
    with scripted(stream(*short, chunk(finish="stop"))) as upstream:
        limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
        run = f"{limited}; runpy.run_module('harness.cli', None, '__main__')"
        process, url = start(tmp_path, upstream.url, "-c", run)
        _ask(url, "fits")
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        upstream.answers = [stream(*long, chunk(finish="stop"))]
        messages: Any = [{"role": "user", "content": "fits.0"}]
        with OpenAI(base_url=url, api_key="none", max_retries=0) as client, pytest.raises(APIError, match="written"):
            list(client.chat.completions.create(model="m", messages=messages, stream=True))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert len(before) == ASKED
        process.terminate()
        told, _ = process.communicate()
    assert "File too large" in told
