"""``harness prune``: what no whole run used goes, after a question; what a run did not cover stays."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.errors import HarnessError
from harness.pruning import states_of
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key, recording_name
from harness.recording.model import Request
from harness.report import last_run
from harness.report.coverage import Coverage

HERE = "tests/test_a.py::test_one"
SUITE = frozenset({HERE, "tests/test_a.py::test_skipped"})


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("tests").mkdir()
    for name in ("a", "not_collected"):
        Path(f"tests/test_{name}.py").touch()


def write(text: str, scope: str | None = HERE, number: int = 1) -> Path:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    request = Request("POST", "/v1/chat/completions", body, scope)
    file = Path(f"recordings/{recording_name(key(request), number)}.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text(dumps(to_document(author(request, str(number)))), "utf-8")
    return file


def ran(*used: Path, command: str = "pytest", passed: set[str | None] | None = None, suite: bool = True) -> None:
    """A whole run that ends now, as the plugin and ``harness run`` write it down."""
    coverage = Coverage(frozenset({HERE} if passed is None else passed), SUITE if suite else None)
    names = {"recordings": [file.stem for file in used]}
    run = last_run.last_run(command, coverage, Path.cwd(), names, {"recordings": states_of(Path("recordings"))})
    last_run.keep(run, Path.cwd())


def prune(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["prune", *arguments], input=answer, catch_exceptions=False)


def test_what_the_run_covered_and_did_not_use_goes() -> None:
    used, left = write("Used"), write("Left over")
    gone, renamed = write("Gone", "tests/test_a.py::test_gone"), write("Moved", "tests/test_moved.py::test_it")
    kept = [
        used,
        write("Skipped", "tests/test_a.py::test_skipped"),
        write("Not collected", "tests/test_not_collected.py::test_it"),
        write("Foreign", "a test of Node"),
        write("Shared", None),
    ]
    ran(used)

    listed = prune("--dry-run")
    assert listed.exit_code == 0
    assert set(listed.output.split("\n")[:-2:2]) == {str(left), str(gone), str(renamed)}
    assert prune(answer="n\n").exit_code == 1
    assert prune(answer="").exit_code == 1
    assert left.exists()
    assert prune(answer="y\n").exit_code == 0
    assert set(Path("recordings").iterdir()) == set(kept)
    assert prune("--yes").output == "No unused recordings.\n"


def test_shared_recordings_go_when_that_is_asked_for_and_a_command_used_others() -> None:
    used, left, of_another = write("Used", None), write("Left", None), write("Of pytest")
    ran(of_another)
    assert json.loads(prune("--dry-run", "--shared", "--json").output)["unused"] == []
    ran(used, command="harness run -- npm test", passed={None}, suite=False)

    assert prune("--yes").output == "No unused recordings.\n"
    assert json.loads(prune("--yes", "--shared", "--json").output)["unused"] == [
        {
            "file": str(left),
            "test": None,
            "bytes": left.stat().st_size if left.exists() else pytest.approx(700, abs=300),
        }
    ]
    assert set(Path("recordings").iterdir()) == {used, of_another}


def test_no_part_of_a_sequence_goes_before_one_that_is_used() -> None:
    files = [write("Again", number=number) for number in (1, 2, 3)]
    ran(files[1])
    prune("--yes")
    assert set(Path("recordings").iterdir()) == set(files[:2])


def test_without_a_whole_run_nothing_is_pruned() -> None:
    write("Any")
    with pytest.raises(HarnessError, match="No whole run that passed is known here") as refused:
        prune("--yes")
    assert refused.value.hint == "Run all of it first: pytest; harness prune"


@pytest.mark.parametrize("change", ["edited", "added"])
def test_what_came_or_changed_after_the_run_forbids_it(change: str) -> None:
    used, left = write("Used"), write("Left over")
    ran(used)
    if change == "edited":
        used.write_text(used.read_text("utf-8") + "\n", "utf-8")
    else:
        used = write("New")

    with pytest.raises(HarnessError, match=rf"changed after the last whole run: {used.stem[:12]}\.") as refused:
        prune("--yes")
    assert refused.value.hint == "Run all of it again: pytest; harness prune"
    assert left.exists()
    ran(used)
    assert prune("--yes").exit_code == 0
    assert not left.exists()


def test_a_run_that_saw_other_recordings_covers_nothing_and_what_it_used_stays() -> None:
    by_node = write("By Node", "n")
    ran(by_node, command="harness run -- npm test", passed={"n"}, suite=False)
    left, of_node = write("Left over"), write("Of Node too", "n")
    ran()
    prune("--yes")
    assert set(Path("recordings").iterdir()) == {by_node, of_node}
    assert not left.exists()


def test_json_asks_nobody() -> None:
    assert prune("--json").exit_code == 2
