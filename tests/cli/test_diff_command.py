"""``harness diff`` from outside: arguments in, text and exit code out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.diff import diff_command
from harness.errors import HarnessError, RecordingError
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request

ROOT = Path(__file__).parents[2]
PAIRS = ROOT.parent / "shared" / "recordings-sample" / "diff-pairs"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: Path | str) -> Result:
    return CliRunner().invoke(diff_command, [str(argument) for argument in arguments])


def directory(path: Path, **answers: str) -> Path:
    """A directory with one recording for each question."""
    path.mkdir(parents=True)
    for question, answer in answers.items():
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}
        request = Request("POST", "/v1/chat/completions", body, f"tests/test_a.py::test_{question}")
        (path / f"{key(request)}.json").write_text(dumps(to_document(author(request, answer))))
    return path


def test_equal_directories_exit_with_0(tmp_path: Path) -> None:
    result = run(directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Rome."))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "1 pair: 1 equal" in result.stdout


def test_a_difference_exits_with_1_and_is_shown(tmp_path: Path) -> None:
    result = run(directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Roma."))
    assert result.exit_code == 1
    assert '- "[-Rome-]."' in result.stdout
    assert '+ "{+Roma+}."' in result.stdout


def test_within_one_place_two_models_are_compared(tmp_path: Path) -> None:
    place = directory(tmp_path / "recordings", rome="Rome.")
    for arguments in ([place, "--model", "m"], ["--model", "m", "--model", "m"], ["--model", "m", place]):
        result = run(*arguments)
        assert (result.exit_code, "--model OLD --model NEW" in result.output) == (2, True)


def test_what_only_one_side_has_exits_with_1(tmp_path: Path) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Rome.", oslo="Oslo.")
    assert (run(old, new).exit_code, run(new, old).exit_code) == (1, 1)
    assert "added" in run(old, new).stdout
    assert "removed" in run(new, old).stdout
    (tmp_path / "empty").mkdir()
    assert run(old, tmp_path / "empty").exit_code == 1


@pytest.mark.parametrize(
    ("level", "code"), [("error", 0), ("structure", 0), ("text", 1), ("usage", 1), ("any", 1), ("never", 0)]
)
def test_fail_on_sets_the_exit_code(tmp_path: Path, level: str, code: int) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Roma.")
    assert run("--fail-on", level, old, new).exit_code == code
    same = directory(tmp_path / "same", rome="Rome.", oslo="Oslo.")
    assert run("--fail-on", level, old, same).exit_code == (1 if level == "any" else 0)


def test_every_report_is_written(tmp_path: Path) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Roma.")
    prices = tmp_path / "prices.toml"
    prices.write_text("[prices.m]\ninput = 1\noutput = 2\n")
    result = run("--markdown", "--html", "a.html", "--junit", "a.xml", "--prices", prices, old, new)
    assert result.stdout.startswith("### Recordings: 1 pair: 1 text")
    assert '"user"' in (tmp_path / "a.html").read_text()
    assert "failure" in (tmp_path / "a.xml").read_text()
    assert isinstance(run("--html", "nowhere/a.html", old, new).exception, HarnessError)


def test_two_models_of_one_directory(tmp_path: Path) -> None:
    place = directory(tmp_path / "both", rome="Rome.")
    other = Request("POST", "/v1/chat/completions", {"model": "n", "messages": [{"role": "user", "content": "rome"}]})
    (place / f"{key(other)}.json").write_text(dumps(to_document(author(other, "Roma."))))
    result = run("--model", "m", "--model", "n", "--json", place)
    assert [(pair["class"], pair["paired_by"]) for pair in json.loads(result.stdout)["pairs"]] == [
        ("text", "fingerprint")
    ]
    nothing = run("--model", "x", "--model", "y", place)
    assert (nothing.exit_code, "no recording is of x or y" in nothing.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [[], ["a", "b", "c"], ["--json", "--markdown", "a", "b"], ["--model", "a"] * 3, ["--fail-on", "bad", "a"]],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("option", ["--fail-on", "--html=page.html"])
def test_an_option_behind_the_hyphens_is_no_path(option: str) -> None:
    result = run("HEAD~1..HEAD", "--", "recordings", option)
    assert result.exit_code == 2
    assert f"{option} stands behind --, where only paths are: put it before." in result.stderr


def test_json_is_one_object(tmp_path: Path) -> None:
    result = run("--json", directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Roma."))
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["summary"]["text"] == 1
    assert [pair["class"] for pair in document["pairs"]] == ["text"]


def test_a_missing_directory_and_empty_ones_exit_with_2(tmp_path: Path) -> None:
    old = directory(tmp_path / "old", rome="Rome.")
    assert isinstance(run(old, tmp_path / "nowhere").exception, RecordingError)
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "empty", tmp_path / "empty")
    assert result.exit_code == 2
    assert "No recordings in" in result.stderr


def test_broken_files_are_named_and_the_others_compared(tmp_path: Path) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Rome.")
    for name, content in (("cut.json", b'{"request"'), ("other.json", b"[]"), ("bytes.json", b"\xff\xfe{")):
        (new / name).write_bytes(content)
    (new / ".hidden.json").write_text("{}")
    result = run(old, new)
    assert result.exit_code == 0
    assert {line.split(": ")[1].rpartition("/")[2] for line in result.stderr.splitlines()} == {
        "cut.json", "other.json", "bytes.json"
    }  # fmt: skip


def test_nothing_but_broken_files_exits_with_2(tmp_path: Path) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new")
    (new / "cut.json").write_text("{")
    result = run(old, new)
    assert result.exit_code == 2
    assert "cut.json" in result.stderr


def test_files_of_one_name_in_two_folders_are_both_compared(tmp_path: Path) -> None:
    for side, answer in (("old", "Rome."), ("new", "Roma.")):
        directory(tmp_path / side / "a", rome="Rome.")
        directory(tmp_path / side / "b", rome=answer)
    document = json.loads(run("--json", tmp_path / "old", tmp_path / "new").stdout)
    assert [(pair["name"][:2], pair["class"]) for pair in document["pairs"]] == [("a/", "equal"), ("b/", "text")]


def test_the_projects_own_rules_pair_what_they_make_equal(tmp_path: Path) -> None:
    rule = 'replace = [{pattern = "[0-9]+", placeholder = "N"}]'
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness.match]\n{rule}\n")
    old, new = directory(tmp_path / "old", day1="Rome."), directory(tmp_path / "new", day2="Rome.")
    assert run(old, new).exit_code == 0


def test_real_recordings_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    if not PAIRS.is_dir():
        pytest.skip("no recordings in ../shared/recordings-sample/diff-pairs: they are not part of the project")
    monkeypatch.setenv("COLUMNS", "80")
    result = run(PAIRS / "changed" / "before", PAIRS / "changed" / "after")
    assert result.exit_code == 1
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in run(PAIRS / "changed" / "before", PAIRS / "changed" / "after").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "[-" in run(PAIRS / "changed" / "before", PAIRS / "changed" / "after").stdout


def test_the_help_has_an_example_and_importing_is_cheap() -> None:
    assert "harness diff recordings-before/ recordings/" in run("--help").stdout
    code = "import sys, harness.cli.diff; print({'rich', 'deepdiff', 'aiohttp'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert found.stdout == b"set()\n"


def test_recordings_of_tools_are_passed_over_and_told_once(tmp_path: Path) -> None:
    old, new = directory(tmp_path / "old", rome="Rome."), directory(tmp_path / "new", rome="Rome.")
    for number, folder in enumerate((old, new, new)):
        request = {"test_id": "t", "provider": "p", "tool_name": "search", "kwargs": {"query": "?"}}
        document = {"test_id": "t", "request": request, "response": {"body": {}, "is_streaming": False}}
        (folder / f"{number:064x}.json").write_text(dumps(document))
    done = run(old, new)
    assert (done.exit_code, done.stderr) == (0, "Passed over: 3 recordings of tools, not of an HTTP API.\n")
    assert json.loads(run(old, new, "--json").stdout)["passed_over"] == 3
