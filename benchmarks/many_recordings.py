"""How long a server takes over a large directory of recordings: from its start to its first answer.

    python benchmarks/many_recordings.py [--recordings 30000] [--keep DIR]

Makes the recordings (conversations of a few kilobytes, ten to a scope) and times, each in a process of its own and in
the best of a few runs: a hit by key, a hit by fingerprint, a miss; without an index in the cache, and with one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 3
WORDS = "the model answers what was asked and the harness writes it down so that nobody needs to ask again".split()


def messages(number: int) -> list[dict[str, str]]:
    text = " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 60))
    return [
        {"role": "system", "content": "You are a careful assistant. " * 20},
        {"role": "user", "content": f"Question {number}: {text}?"},
    ]


def request(number: int, **more: object) -> dict[str, object]:
    return {"model": "gpt-4o", "messages": messages(number), "temperature": 0.2, **more}


def make(directory: Path, count: int) -> None:
    from harness.recording import format as file_format
    from harness.recording.author import author
    from harness.recording.key import key
    from harness.recording.model import Request

    directory.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        body = request(number, stream=bool(number % 2))
        asked = Request("POST", "/v1/chat/completions", body, f"tests/test_{number // 10}.py::test")
        text = file_format.dumps(file_format.to_document(author(asked, " ".join(WORDS) * 2)))
        (directory / f"{key(asked)}.json").write_text(text)


def first_answer(directory: Path, scope: str, body: dict[str, object], cache: Path) -> dict[str, float]:
    """Seconds in a new process: from the call of ``build`` to the answer, and of the whole process."""
    code = """
import asyncio, json, sys, time
begun = time.perf_counter()
from pathlib import Path
from harness.backends.protocol import Call
from harness.errors import RecordingNotFound
from harness.settings import Settings
from harness.wiring import build
async def main():
    directory, scope, body = sys.argv[1:]
    parts = await build(Settings(recordings=Path(directory)))
    ready = time.perf_counter()
    try:
        await parts.services.backend.send(Call("POST", "/v1/chat/completions", body.encode(), scope))
    except RecordingNotFound:
        pass
    print(json.dumps({"answer": time.perf_counter() - ready, "process": time.perf_counter() - begun}))
    await parts.services.state.close()
asyncio.run(main())
"""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", code, str(directory), scope, json.dumps(body)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def measure(directory: Path) -> None:
    asked = {
        "hit by key": ("tests/test_0.py::test", request(4, stream=False)),
        "hit by fingerprint": ("tests/renamed.py::test", request(4, stream=False)),
        "miss": ("tests/test_0.py::test", request(10**9)),
    }
    print(f"{'':22} {'no index':>18} {'with the index':>18}   (first answer / whole process, seconds)")
    with tempfile.TemporaryDirectory() as kept:
        for what, (scope, body) in asked.items():
            with tempfile.TemporaryDirectory() as empty:
                cold = first_answer(directory, scope, body, Path(empty))
            first_answer(directory, "none", request(-1), Path(kept))
            warm = min(
                (first_answer(directory, scope, body, Path(kept)) for _ in range(RUNS)), key=lambda t: t["answer"]
            )
            shown = [f"{times['answer']:.3f} / {times['process']:.3f}" for times in (cold, warm)]
            print(f"{what:22} {shown[0]:>18} {shown[1]:>18}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=30_000)
    parser.add_argument("--keep", type=Path, help="make them here, or measure those that are here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.keep or Path(temporary) / "recordings"
        if not directory.is_dir():
            begun = time.perf_counter()
            make(directory, given.recordings)
            print(f"{given.recordings} recordings made in {time.perf_counter() - begun:.1f} s")
        measure(directory)


if __name__ == "__main__":
    main()
