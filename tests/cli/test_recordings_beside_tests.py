"""A project whose recordings lie beside its tests, as pytest keeps them: commands find them with no place named."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request

SCOPE = "tests/test_weather.py::test_rome"


@pytest.fixture(autouse=True)
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one recording of a project, committed; its file."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("tests/recordings").mkdir(parents=True)
    file = write("Rain?", "Yes.")
    git("init", "-q", ".")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "one")
    return file


def write(question: str, answer: str, folder: str = "tests/recordings") -> Path:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    request = Request("POST", "/v1/chat/completions", body, SCOPE)
    file = Path(folder, f"{key(request)}.json")
    file.write_text(dumps(to_document(author(request, answer))), "utf-8")
    return file


def git(*arguments: str) -> None:
    subprocess.run([str(shutil.which("git")), *arguments], check=True, capture_output=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_explain_finds_what_answers(recorded: Path) -> None:
    assert "found by its key" in run("explain", str(recorded)).output


def test_diff_compares_what_is_committed_with_what_is_there() -> None:
    write("Rain?", "No.")
    assert "1 pair: 1 text" in run("diff", "HEAD").output
    git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qam", "two")
    assert "1 pair: 1 text" in run("diff", "HEAD~1..HEAD").output


def test_diff_asks_which_of_several_directories_is_meant() -> None:
    Path("tests/more/recordings").mkdir(parents=True)
    write("Snow?", "No.", "tests/more/recordings")
    for arguments in (["HEAD"], ["--model", "m", "--model", "n"]):
        done = CliRunner().invoke(cli, ["diff", *arguments])
        assert "tests/more/recordings" in str(done.exception)


def test_a_refresh_looks_at_them(recorded: Path) -> None:
    # What was written by hand is no model's, and not asked again.
    assert f"(written by hand): {recorded.name[:12]}" in run("refresh", "--dry-run").output


def test_an_export_has_them() -> None:
    run("export", "cassettes")
    assert Path("tests/cassettes/test_weather/test_rome.yaml").exists()


def test_an_import_goes_where_their_tests_look() -> None:
    call = {
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "headers": [],
            "postData": {"text": json.dumps({"model": "m", "messages": []})},
        },
        "response": {
            "status": 200,
            "headers": [],
            "content": {"mimeType": "application/json", "text": json.dumps({"id": "x", "choices": []})},
        },
    }
    Path("session.har").write_text(json.dumps({"log": {"version": "1.2", "entries": [call]}}), "utf-8")
    assert "tests/recordings/" in run("import", "har", "session.har").output
    assert len(list(Path("tests/recordings").iterdir())) == 2
