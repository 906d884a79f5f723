"""The examples as a newcomer runs them: copied away, offline, answered from the recordings that are with them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a command in a copy of an example, where no key is known and no upstream can be asked."""

    def run(example: str, *command: str) -> "subprocess.CompletedProcess[str]":
        place = tmp_path / example
        if not place.exists():
            shutil.copytree(EXAMPLES / example, place)
        others = ("HARNESS_", "OPENAI_", "PYTEST_")
        own = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        environment = own | {"HARNESS_UPSTREAM": "http://127.0.0.1:9/v1"}
        return subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.mark.parametrize(("example", "needs", "asked"), [("python-pytest", "openai", 3), ("agents", "agents", 2)])
def test_in_pytest(
    run: Callable[..., "subprocess.CompletedProcess[str]"], example: str, needs: str, asked: int
) -> None:
    pytest.importorskip(needs)
    done = run(example, sys.executable, "-m", "pytest", "--harness-strict", "--harness-fail-on-unused")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{asked} replayed, 0 recorded, 0 missed" in done.stdout
    assert "No unused recordings." in done.stdout


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
def test_in_node(run: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    installed = run("node", "npm", "install", "--no-audit", "--no-fund", "--silent")
    assert installed.returncode == 0, installed.stderr
    done = run("node", sys.executable, "-m", "harness.cli", "run", "--", "npm", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 replayed, 0 recorded, 0 missed" in done.stderr
