"""The command as a user runs it: a process of its own, in an empty directory, with a bare environment."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _environ(**more: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "OPENAI_"))}
    return {**bare, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``harness`` to its end; keywords are variables of its environment."""

    def call(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "harness.cli.main", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=_environ(**environ),
            timeout=PATIENCE,
            check=False,
        )

    return call


class Serving:
    """``harness serve`` in the background; what it prints is kept as it comes."""

    def __init__(self, arguments: tuple[str, ...], directory: Path, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.cli.main", "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environ,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.until("Ctrl-C ends it.")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def until(self, text: str) -> None:
        """Wait for the output to hold ``text``."""
        end = time.monotonic() + PATIENCE
        while text not in self.output:
            assert time.monotonic() < end, f"{text!r} never came:\n{self.output}"
            assert self._reader.is_alive() or text in self.output, f"ended without {text!r}:\n{self.output}"
            time.sleep(0.01)

    @property
    def base_url(self) -> str:
        found = re.search(r"OPENAI_BASE_URL +(http\S+)", self.output)
        assert found is not None
        return found[1]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Starts ``harness serve`` on a free port and waits for its block; keywords are variables of its environment."""
    started: list[Serving] = []

    def call(*arguments: str, **environ: str) -> Serving:
        started.append(Serving(arguments, tmp_path, _environ(**environ)))
        return started[-1]

    yield call
    for serving in started:
        if serving.process.poll() is None:
            serving.process.kill()
            serving.process.wait()
