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
from openai import OpenAI

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
            process, url = _start(tmp_path, upstream.url)
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


def _start(directory: Path, upstream: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "harness.cli", "serve", "--mode", "record", "--recordings", str(directory)]
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
