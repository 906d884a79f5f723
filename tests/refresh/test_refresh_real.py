"""Refreshing against a real inference server: a dialogue, and 200 recordings with the process killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.refresh.recorded import assistant, record, refresh, user

COUNT = 200
SETTINGS: dict[str, Any] = {"model": "tiny", "temperature": 0, "seed": 1, "max_tokens": 6}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def test_a_dialogue_and_a_stream_of_a_real_model(tmp_path: Path, upstream_url: str) -> None:
    dialogue = [user("Hello?"), assistant("Recorded by nobody."), user("And then?")]
    record(tmp_path / "recordings", dialogue[:1], "Recorded by nobody.", "t::a", **SETTINGS)
    record(tmp_path / "recordings", dialogue, "Nor this.", "t::a", stream=True, **SETTINGS)
    first = refresh(upstream_url, "--into", "first", "--json")
    again = refresh(upstream_url, "first", "--into", "again", "--json")

    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert json.loads(first.stdout)["summary"]["equal"] == 0
    found = json.loads(again.stdout)
    assert {pair["class"] for pair in found["pairs"]} <= {"equal", "usage"}
    (later,) = [
        document
        for path in Path("first").glob("*.json")
        if len((document := json.loads(path.read_text()))["request"]["body"]["messages"]) == 3
    ]
    (earlier,) = [document for path in Path("first").glob("*.json")
                  if (document := json.loads(path.read_text())) != later]  # fmt: skip
    said = earlier["response"]["body"]["__data__"]["choices"][0]["message"]["content"]
    assert later["request"]["body"]["messages"][1] == assistant(said)
    assert later["response"]["is_streaming"]


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed(tmp_path: Path, upstream_url: str) -> None:
    for number in range(COUNT // 2):
        scope, asked = f"tests/test_a.py::test_{number}", [user(f"Question number {number}?")]
        record(tmp_path / "recordings", asked, "Recorded by nobody.", scope, **SETTINGS)
        later = [*asked, assistant("Recorded by nobody."), user("And then?")]
        record(tmp_path / "recordings", later, "Nor this.", scope, **SETTINGS)

    done = _killed(tmp_path, upstream_url, signal.SIGKILL, at_least=20)
    more = _killed(tmp_path, upstream_url, signal.SIGINT, at_least=done + 20)
    assert not list((tmp_path / "recordings-refreshed").glob("*.json"))
    before = {path: path.stat().st_mtime_ns for path in _answers(tmp_path)}
    kept = {path: path.read_bytes() for path in before}
    result = refresh(upstream_url, "--json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["refresh"]
    assert done < more < COUNT
    assert (told["known"], told["asked"], told["written"]) == (more, COUNT - more, COUNT)
    assert {path.name: data for path, data in kept.items()}.items() <= {
        path.name: path.read_bytes() for path in (tmp_path / "recordings-refreshed").glob("*.json")
    }.items()

    # Nothing changed: nothing differs. Another seed: what differs is said, its request first.
    same = json.loads(refresh(upstream_url, "recordings-refreshed", "--into", "same", "--json").stdout)
    assert same["summary"]["equal"] + same["summary"]["usage"] == COUNT
    changes = ("--set", "seed=7", "--set", "temperature=2")
    other = refresh(upstream_url, "recordings-refreshed", "--into", "other", *changes, "--json", "--fail-on", "text")
    found = json.loads(other.stdout)
    assert other.exit_code == 1
    assert found["summary"]["text"] + found["summary"]["structure"] > COUNT // 2
    places = [{place["path"] for place in pair["request"]} for pair in found["pairs"]]
    assert all({"seed", "temperature"} <= paths for paths in places)


def _answers(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "recordings-refreshed" / ".refresh" / "new" / "1").glob("*.json"))


def _killed(tmp_path: Path, url: str, how: signal.Signals, *, at_least: int) -> int:
    """Begin, end it by a signal once so many answers are there; how many there are then."""
    command: list[Any] = [sys.executable, "-m", "harness.cli", "refresh", "--upstream", url, "--jobs", "4"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    while len(_answers(tmp_path)) < at_least:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    process.send_signal(how)
    _, told = process.communicate(timeout=30)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "The same command goes on from there" in told
    return len(_answers(tmp_path))
