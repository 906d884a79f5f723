"""The GitHub Action and the pre-commit hook: files that are read, and steps that are run as GitHub runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def test_the_hook_is_one_that_pre_commit_takes() -> None:
    [hook] = loaded(".pre-commit-hooks.yaml")
    assert {"id", "name", "entry", "language"} <= hook.keys()


def test_the_steps_of_the_action_use_inputs_that_it_has() -> None:
    action = loaded("action.yml")
    used = {
        word.split("}}")[0].strip().removeprefix("inputs.")
        for step in action["runs"]["steps"]
        for value in (*step.get("env", {}).values(), step.get("working-directory", ""))
        for word in value.split("${{")[1:]
    }
    assert used | {"verify"} == set(action["inputs"])


@pytest.mark.slow
@pytest.mark.parametrize(("command", "code"), [("echo $OPENAI_API_KEY; exit 4", 4), ("true", 0)])
def test_the_last_step_runs_a_command_and_writes_the_summary(tmp_path: Path, command: str, code: int) -> None:
    step = loaded("action.yml")["runs"]["steps"][-1]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HARNESS_RECORDINGS": "recordings",
        "HARNESS_MODE": "replay",
        "COMMAND": command,
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(bash, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert tmp_path.joinpath("summary.md").read_text().startswith("## harness, mode replay")
