"""``harness verify`` and ``harness rekey``: exactly the faults that were planted, each with what mends it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.ids import completion_id
from harness.recording.key import digest, key, recording_name
from harness.recording.model import Request
from tests.recording.conftest import samples as samples  # noqa: PLC0414 - the fixture, by its name
from tests.secrets_for_tests import SECRETS

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("recordings").mkdir()


def write(text: str, number: int = 1, answer: str = "Yes.", scope: str | None = "t") -> Path:
    """A recording in order; its file."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}
    request = Request("POST", "/v1/chat/completions", body, scope)
    file = Path(f"recordings/{recording_name(key(request), number)}.json")
    file.write_text(dumps(to_document(author(request, answer))), "utf-8")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def found(*arguments: str) -> set[tuple[str, str]]:
    """The findings as (file, kind); the exit code says the same."""
    done = run("verify", "--json", *arguments)
    findings = json.loads(done.output)["findings"]
    assert done.exit_code == (1 if findings else 0)
    assert all(finding["message"] and finding["command"] for finding in findings)
    return {(finding["file"], finding["kind"]) for finding in findings}


def edit(file: Path, **request: Any) -> None:
    document = json.loads(file.read_text("utf-8"))
    document["request"]["body"].update(request)
    file.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def test_each_fault_is_found_once_and_nothing_else() -> None:
    fine = [write(f"Question {number}") for number in range(5)] + [write("Twice"), write("Twice", 2, "No.")]
    assert found() == set()

    truncated, empty, renamed, edited, copied, leaking, form = (write(f"Fault {number}") for number in range(7))
    truncated.write_text(truncated.read_text("utf-8")[:300], "utf-8")
    empty.write_text("", "utf-8")
    away = renamed.rename(renamed.with_name("0" * 64 + ".json"))
    edit(edited, messages=[{"role": "user", "content": "Something else"}])
    copy = Path(shutil.copy(copied, copied.with_name("copy.json")))
    leaking.write_text(leaking.read_text("utf-8").replace("Yes.", SECRETS["aws"]), "utf-8")
    form.write_text(json.dumps(json.loads(form.read_text("utf-8"))), "utf-8")
    orphan = write("Orphan", 3)
    stranger = Path("recordings/settings.json")
    stranger.write_text('{"a": 1}', "utf-8")

    assert found() == {
        (str(truncated), "unreadable"),
        (str(empty), "unreadable"),
        (str(away), "name"),
        (str(edited), "name"),
        (str(copy), "duplicate"),
        (str(leaking), "secret"),
        (str(form), "form"),
        (str(orphan), "orphan"),
        (str(stranger), "unreadable"),
    }
    assert found(*map(str, fine)) == set()
    assert found(str(edited), str(fine[0])) == {(str(edited), "name")}


def test_fix_mends_what_loses_nothing() -> None:
    good, leaking, form, copied = (write(text) for text in ("Good", "Leaking", "Form", "Copied"))
    before = good.read_bytes(), form.read_text("utf-8")
    leaking.write_text(leaking.read_text("utf-8").replace("Yes.", SECRETS["github"]), "utf-8")
    form.write_text(json.dumps(json.loads(before[1])), "utf-8")
    copy = Path(shutil.copy(copied, copied.with_name("copy.json")))
    empty = Path("recordings/empty.json")
    empty.touch()

    done = run("verify", "--fix")

    assert done.exit_code == 1
    assert found() == {(str(empty), "unreadable")}
    assert (good.read_bytes(), form.read_text("utf-8")) == before
    assert copied.exists()
    assert not copy.exists()
    assert SECRETS["github"] not in leaking.read_text("utf-8")


def test_a_secret_that_a_stream_spells_out_is_found_and_mended() -> None:
    file = write("Spell it", answer="The key is x")
    document = json.loads(file.read_text("utf-8"))
    chunks = document["response"]["body"]
    spoken = next(chunk for chunk in chunks if chunk["__data__"]["choices"][0]["delta"].get("content"))
    at, secret = chunks.index(spoken), SECRETS["openai"]
    pieces = []
    for start in range(0, len(secret), 7):
        piece = json.loads(json.dumps(spoken))
        piece["__data__"]["choices"][0]["delta"]["content"] = secret[start : start + 7]
        pieces.append(piece)
    chunks[at : at + 1] = pieces
    file.write_text(dumps(document), "utf-8")

    assert found() == {(str(file), "secret")}
    assert run("verify", "--fix").exit_code == 0
    assert secret[:14] not in file.read_text("utf-8")
    assert secret[7:14] not in file.read_text("utf-8")


def test_real_recordings_of_every_generation_are_in_order(samples: list[Path]) -> None:
    folders = {file.parent for file in samples}
    assert {
        (finding.split("\n")[0])
        for folder in folders
        for finding in [run("verify", str(folder)).output]
        if ": 0 findings" not in finding
    } == set()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_ages_come_from_the_repositorys_history(tmp_path: Path) -> None:
    def git(*arguments: str, when: str = "2020-01-01T00:00:00Z") -> None:
        who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        subprocess.run(
            [str(shutil.which("git")), "-C", str(tmp_path), *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, **who, **dates},
        )

    old = write("Old")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "old")
    new = write("New")
    git("add", ".")
    git("commit", "-qm", "new", when="2099-01-01T00:00:00Z")
    fresh = write("Not committed")

    assert found("--max-age", "30d") == {(str(old), "age")}
    assert found("--warn-age", "30d") == set()
    assert new.exists()
    assert fresh.exists()
    assert run("verify", "--max-age", "soon").exit_code == 2


def test_rekey_gives_files_the_names_of_what_they_hold() -> None:
    edited, gap, other = write("Edited"), write("Gap", 3), write("Other")
    edit(edited, messages=[{"role": "user", "content": "Now this"}])
    older = other.rename(other.with_name("0123456789ab.json"))
    right = write("Now this").name
    Path("recordings", right).unlink()

    plan = run("rekey", "--dry-run")
    assert (plan.exit_code, edited.exists(), gap.exists(), older.exists()) == (0, True, True, True)
    assert run("rekey").exit_code == 0

    assert {file.name for file in Path("recordings").iterdir()} == {right, gap.name.replace("-3", ""), other.name}
    assert found() == set()


def test_rekey_writes_nothing_over() -> None:
    there, moved = write("There"), write("Moved", answer="Something else.")
    edit(moved, messages=[{"role": "user", "content": "There"}])
    before = there.read_bytes(), moved.read_bytes()

    done = run("rekey")

    assert done.exit_code == 1
    assert "answers the same request" in done.output
    assert (there.read_bytes(), moved.read_bytes()) == before


def test_a_directory_that_is_none_is_a_sentence() -> None:
    Path("recordings").rmdir()
    done = run("verify")
    assert done.exit_code == 2
    assert "No recordings" in done.output


def test_of_two_copies_the_one_that_an_older_rule_names_stays() -> None:
    file = write("Older")
    request = json.loads(file.read_text("utf-8"))["request"]
    plain = {"method": "POST", "endpoint": "/v1/chat/completions", "body": request["body"]}
    older = file.rename(file.with_name(f"{digest(plain)[:12]}.json"))
    copy = Path(shutil.copy(older, older.with_name("00-copy.json")))

    assert found() == {(str(copy), "duplicate")}


def test_a_recording_of_a_generation_that_did_not_tell_its_test_is_not_misnamed() -> None:
    file = write("Untold")
    document = json.loads(file.read_text("utf-8"))
    plain = {"method": "POST", "endpoint": "/v1/chat/completions", "body": document["request"]["body"]}
    del document["test_id"]
    for item in document["response"]["body"]:
        item["__data__"]["id"] = completion_id(digest(plain))
    file.write_text(dumps(document), "utf-8")
    assert found() == set()

    edit(file, messages=[{"role": "user", "content": "Another"}])
    assert found() == {(str(file), "name")}
