"""How fast recordings are replayed, beside aimock in the same run.

Each server has a core of its own in turn, and the load another: 64 connections that ask as fast as they are answered.
Rounds alternate between the two, so that a busy machine is busy for both; the best round of each counts. "by CPU" is
the same by answers for each second that the server's processor worked: it says more where others use the cores too.

    npm install --prefix /tmp/aimock @copilotkit/aimock
    python benchmarks/replay.py --aimock /tmp/aimock

Needs Linux (core pinning) and two cores.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from load import answers_a_second

from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Exchange, Json, Request, Response
from harness.stores.directory import DirectoryStore

PATH = "/v1/chat/completions"
CASES = {
    # name: (tokens, whether it is streamed, how many times aimock's rate is the aim)
    "whole answers of 20 tokens": (20, False, 2.5),
    "streams of 20 chunks": (20, True, 2.5),
    "streams of 500 chunks": (500, True, 15.0),
}
SERVER_CORE, LOAD_CORE = 0, 1


def body_of(tokens: int, number: int = 0, *, stream: bool) -> dict[str, Json]:
    body: dict[str, Json] = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"say {tokens} #{number}"}]}
    return {**body, "stream": True} if stream else body


def text_of(tokens: int) -> str:
    return "word" * tokens


def exchange(tokens: int, number: int = 0, *, stream: bool) -> Exchange:
    """A chat whose answer has a chunk of four letters for each token."""
    request = Request("POST", PATH, body_of(tokens, number, stream=stream))
    made = author(request, text_of(tokens))
    if not stream:
        return made
    first, last = made.response.body[0], made.response.body[-1]
    piece = {**first, "choices": [{**first["choices"][0], "delta": {"content": "word"}, "finish_reason": None}]}
    return Exchange(request, Response([first, *[piece] * tokens, last], is_streaming=True))


def write_recordings(directory: Path, others: int) -> None:
    store = DirectoryStore(directory, Canonicalizer())
    for tokens, stream, _ in CASES.values():
        made = exchange(tokens, stream=stream)
        store.save(made, key(made.request))
    for number in range(1, others + 1):
        made = exchange(20, number, stream=False)
        (directory / "others").mkdir(exist_ok=True)
        store.save(made, f"others/{key(made.request)}")


def write_fixtures(file: Path) -> None:
    """The same answers for aimock, cut into as many chunks."""
    fixtures = [
        {"match": {"userMessage": f"say {tokens} #0"}, "response": {"content": text_of(tokens)}, "chunkSize": 4}
        for tokens in (20, 500)
    ]
    file.write_text(json.dumps({"fixtures": fixtures}))


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server on the server's core, once it answers; its process's number."""
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def harness_command(recordings: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "harness.cli", "serve", "--recordings", str(recordings), "--port", str(port)]


def aimock_command(place: Path, fixtures: Path, port: int) -> list[str]:
    cli = place / "node_modules/@copilotkit/aimock/dist/cli.js"
    return ["node", str(cli), "-p", str(port), "-f", str(fixtures), "--log-level", "silent"]


class Rate(NamedTuple):
    """Answers for each second of the clock, and of the server's processor."""

    wall: float
    cpu: float


def cpu_seconds(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def rate(process: int, port: int, tokens: int, *, stream: bool, seconds: float) -> Rate:
    body = json.dumps(body_of(tokens, stream=stream)).encode()
    began = cpu_seconds(process)
    measured, answer = asyncio.run(answers_a_second(port, PATH, body, connections=64, seconds=seconds))
    assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
    assert answer.count(b"word") >= tokens, answer[:500]
    return Rate(measured, measured * seconds / (cpu_seconds(process) - began))


def compare(options: argparse.Namespace, work: Path) -> None:
    write_recordings(work / "few", 7)
    write_recordings(work / "many", 3000)
    write_fixtures(work / "fixtures.json")
    with (
        running(harness_command(work / "few", 9101), 9101) as few,
        running(harness_command(work / "many", 9102), 9102) as many,
        running(aimock_command(options.aimock, work / "fixtures.json", 9103), 9103) as aimock,
    ):
        servers = {few: 9101, many: 9102, aimock: 9103}
        print(f"{'answers a second':<28}{'harness':>9}{'of 3,000':>10}{'aimock':>9}{'times':>7}{'by CPU':>8}{'aim':>6}")
        for name, (tokens, stream, aim) in CASES.items():
            rounds = [
                [
                    rate(process, port, tokens, stream=stream, seconds=options.seconds)
                    for process, port in servers.items()
                ]
                for _ in range(options.rounds)
            ]
            ours, of_many, theirs = (Rate(*map(max, zip(*rates, strict=True))) for rates in zip(*rounds, strict=True))
            times, by_cpu = ours.wall / theirs.wall, ours.cpu / theirs.cpu
            rates = f"{ours.wall:>9.0f}{of_many.wall:>10.0f}{theirs.wall:>9.0f}"
            print(f"{name:<28}{rates}{times:>7.1f}{by_cpu:>8.1f}{aim:>6.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aimock", type=Path, required=True, help="Where `npm install @copilotkit/aimock` was run.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory() as work:
        compare(options, Path(work))


if __name__ == "__main__":
    main()
