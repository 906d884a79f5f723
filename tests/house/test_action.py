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


def run(step: dict[str, Any], folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A step of the action, as GitHub runs it in a folder."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RECORDINGS": "",
        **variables,
    }
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("where", "named"), [("tests/recordings", ""), ("recordings", ""), ("kept", "kept")])
def test_the_step_before_verifies_the_recordings(tmp_path: Path, where: str, named: str) -> None:
    [step] = [step for step in loaded("action.yml")["runs"]["steps"] if step["name"] == "Verify the recordings"]
    folder = tmp_path / where
    folder.mkdir(parents=True)
    assert run(step, tmp_path, RECORDINGS=named).returncode == 0
    folder.joinpath("broken.json").touch()
    done = run(step, tmp_path, RECORDINGS=named)
    assert done.returncode == 1
    assert f"{where}/broken.json\n  unreadable: the file is empty" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("command", "code"), [("echo $OPENAI_API_KEY; exit 4", 4), ("true", 0)])
def test_the_last_step_runs_a_command_and_writes_the_summary(tmp_path: Path, command: str, code: int) -> None:
    step = loaded("action.yml")["runs"]["steps"][-1]
    summary = tmp_path / "summary.md"
    done = run(
        step,
        tmp_path,
        HARNESS_MODE="replay",
        COMMAND=command,
        RUNNER_TEMP=str(tmp_path),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.returncode == code, done.stderr
    assert summary.read_text().startswith("## harness, mode replay")


@pytest.mark.slow
def test_the_summary_of_a_run_of_pytest_is_the_plugins(tmp_path: Path) -> None:
    asks = 'urllib.request.urlopen(harness_base_url + \'/chat/completions\', b\'{"model": "m", "messages": []}\')'
    test = f"import urllib.request\n\ndef test_it(harness_base_url):\n    {asks}\n"
    tmp_path.joinpath("test_it.py").write_text(test)
    summary = tmp_path / "summary.md"
    variables = {"COMMAND": "pytest -q", "RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary)}
    done = run(loaded("action.yml")["runs"]["steps"][-1], tmp_path, **variables)
    assert done.returncode == 1
    told = summary.read_text()
    assert told.count("## harness, mode replay") == 1
    assert "### Missed: `test_it.py::test_it`" in told
