"""``harness verify``: exactly the faults that were planted, each with what mends it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecordingError
from harness.recording.format import dumps, to_document
from harness.recording.ids import completion_id
from harness.recording.key import digest, key
from harness.recording.model import MULTIPART, Exchange, Request, Response
from tests.cli.kept import commands, edit, found, run, write
from tests.cli.kept import project as project  # noqa: PLC0414 - the fixture, by its name
from tests.recording.conftest import samples as samples  # noqa: PLC0414 - the fixture, by its name
from tests.secrets_for_tests import ANYWHERE, IN_CONTEXT, QUERIES, SECRETS

DAY = 24 * 3600


def git(*arguments: str, when: str = "2020-01-01T00:00:00Z") -> None:
    who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    subprocess.run(
        [str(shutil.which("git")), *arguments], check=True, capture_output=True, env={**os.environ, **who, **dates}
    )


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


def test_what_is_no_readable_file_is_found_with_what_mends_it() -> None:
    target, kept = write("Linked to"), write("Kept")
    dangling, folder, link = (Path(f"recordings/{name * 64}.json") for name in "abc")
    dangling.symlink_to("nothing.json")
    folder.mkdir()
    early = Path("recordings/a") / target.name
    early.parent.mkdir()
    early.symlink_to(target.resolve())
    link.symlink_to(target.name)

    assert found() == {
        (str(dangling), "unreadable"),
        (str(folder), "unreadable"),
        (str(link), "duplicate"),
        (str(early), "duplicate"),
    }
    assert commands() == {f"rm {dangling}", f"mv {folder} {folder.with_suffix('')}", f"rm {link}", f"rm {early}"}
    run("verify", "--fix")
    assert target.is_file()
    assert not target.is_symlink()
    assert not link.is_symlink()
    assert not early.is_symlink()
    assert kept.exists()


def test_what_is_left_of_writes_and_edits_is_found_and_removed_where_it_is_ours_and_old() -> None:
    kept = write("Kept")
    ours, fresh = (kept.with_name(f".{name}-x1y2.json.tmp") for name in ("old", "new"))
    theirs = kept.with_name(f"{kept.name}.orig")
    for file in (ours, fresh, theirs, kept.with_name("README.md")):
        file.write_text("{", "utf-8")
    os.utime(ours, (0, 0))

    assert found() == {(str(file), "left over") for file in (ours, fresh, theirs)}
    assert commands() == {f"rm {file}" for file in (ours, fresh, theirs)}
    assert found("--fix") == {(str(file), "left over") for file in (fresh, theirs)}


def test_a_folder_that_may_not_be_looked_into_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = write("Kept")
    closed = Path("recordings/chat/closed")
    (closed / "below").mkdir(parents=True)
    for folder in (closed, closed / "below"):
        shutil.copy(kept, folder / "copy.json")
    # Whoever runs the tests may be allowed everything.
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and allowed(path, mode))

    assert found() == {(str(closed), "unreadable")}
    assert commands() == {f"chmod u+rx {closed}"}
    assert run("rekey").exit_code == 1
    assert f"{closed}: a folder that may not be looked into" in run("rekey").stderr
    assert f"skipped: {closed}\n" in run("import", "ogx", "recordings", "--into", "other").stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_is_lost_comes_back_from_git_where_git_has_it() -> None:
    committed = write("Committed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    staged, untracked = write("Staged"), write("Not committed")
    git("add", str(staged))
    for file in (committed, staged, untracked):
        file.write_text(file.read_text("utf-8")[:200], "utf-8")

    assert commands() == {f"git checkout HEAD -- {committed}", f"rm {staged}", f"rm {untracked}"}
    for command in commands():
        subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True)
    assert found() == set()


def test_recordings_beside_tests_are_looked_at_where_nobody_named_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("Fine")
    beside, other = Path("tests/unit/recordings"), Path("tests/project/recordings")
    for folder in (beside, other):
        folder.mkdir(parents=True)
        (folder / "broken.json").touch()
    (other.parent / "pyproject.toml").touch()

    assert found() == {(str(beside / "broken.json"), "unreadable")}
    monkeypatch.setenv("HARNESS_RECORDINGS", "recordings")
    assert found() == set()
    monkeypatch.delenv("HARNESS_RECORDINGS")
    shutil.rmtree(file.parent)
    assert found() == {(str(beside / "broken.json"), "unreadable")}


@pytest.mark.parametrize(
    ("change", "kind", "is_mended"),
    [
        (lambda document: dict(reversed(document.items())), "form", True),
        (lambda document: {**document, "request": dict(reversed(document["request"].items()))}, "form", True),
        (lambda document: document | {"response": document["response"] | {"is_streaming": False}}, "type", False),
        (lambda document: document | {"response": {"is_streaming": True}}, "unreadable", False),
        (lambda document: document | {"request": document["request"] | {"model": "another"}}, "form", True),
    ],
)
def test_what_a_file_says_of_itself_has_to_fit(change: Any, kind: str, is_mended: bool) -> None:
    file = write("Fine")
    before = file.read_bytes()
    file.write_text(dumps(change(json.loads(before))), "utf-8")

    assert found() == {(str(file), kind)}
    run("verify", "--fix")
    assert (file.read_bytes() == before) is is_mended


@pytest.mark.parametrize("label", ["os.system", "subprocess.Popen", "openai.types.chat.Nonsense", "", 5])
def test_a_label_that_no_answer_has_is_found(label: Any) -> None:
    file = write("Fine")
    document = json.loads(file.read_text("utf-8"))
    document["response"]["body"][1]["__type__"] = label
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "type")}


def test_a_key_that_stands_twice_is_not_mended_by_forgetting_one() -> None:
    file = write("Twice")
    text = file.read_text("utf-8").replace('"request": {', '"request": {\n    "method": "GET",', 1)
    file.write_text(text, "utf-8")
    assert found("--fix") == {(str(file), "form")}
    assert file.read_text("utf-8") == text


def test_a_number_that_json_does_not_have_is_found() -> None:
    file = write("Not a number")
    document = json.loads(file.read_text("utf-8"))
    document["response"]["body"][0]["__data__"]["note"] = float("nan")
    file.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    assert found("--fix") == {(str(file), "form")}


def test_an_edit_that_changes_the_model_is_told_once_and_mended_by_its_command() -> None:
    file = write("Another model")
    edit(file, model="another")
    assert found() == {(str(file), "name")}
    assert commands() == {f"harness verify --fix {file} && harness rekey {file}"}
    assert found("--fix") == {(str(file), "name")}
    assert run("rekey", str(file)).exit_code == 0
    assert found() == set()


def test_a_form_says_its_model_in_one_of_its_fields() -> None:
    fields = [{"name": "model", "value": "whisper-1"}, {"name": "file", "filename": "a.mp3", "sha256": "0", "size": 1}]
    request = Request("POST", "/v1/audio/transcriptions", {MULTIPART: fields}, "t", media_type="multipart/form-data")
    file = Path(f"recordings/{key(request)}.json")
    file.write_text(dumps(to_document(Exchange(request, Response({"text": "Hello."})))), "utf-8")
    assert found() == set()


def test_a_header_is_a_secret_for_its_name() -> None:
    file = write("Who?")
    document = json.loads(file.read_text("utf-8"))
    document["response"]["headers"] = {"openai-organization": "user-WgRqwNrzDmDxGAnjDzeXlTsz"}
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "secret")}
    run("verify", "--fix")
    assert found() == set()
    assert "WgRq" not in file.read_text("utf-8")


@pytest.mark.slow
def test_secrets_of_every_kind_are_found_however_deep_and_mended() -> None:
    texts = [("It is ", text) for text in ANYWHERE]
    texts += [("", text.format(word)) for text, word in (IN_CONTEXT[name] for name in QUERIES)]
    files = set()
    for number, (before, text) in enumerate(texts):
        # As it is, and as the arguments of a tool have it, which are JSON in JSON.
        for depth, said in enumerate((text, json.dumps({"found": text}), json.dumps(json.dumps({"found": text})))):
            file = write(f"Secret {number} at {depth}")
            document = json.loads(file.read_text("utf-8"))
            document["response"]["body"][1]["__data__"]["choices"][0]["delta"]["content"] = before + said
            file.write_text(dumps(document), "utf-8")
            files.add((str(file), "secret"))

    assert found() == files
    assert run("verify", "--fix").exit_code == 0


@pytest.mark.parametrize("named_with_it", [True, False])
def test_a_secret_of_a_request_goes_and_the_name_follows(named_with_it: bool) -> None:
    file = write("Which key?")
    document = json.loads(file.read_text("utf-8"))
    document["request"]["url"] = "https://me:aB3dE6gH9jK2@api.example.com/v1/chat/completions"
    document["request"]["body"]["messages"][0]["content"] = f"Use {SECRETS['github']}"
    if named_with_it:
        # As a recorder names it that hashes what it was given.
        body = document["request"]["body"]
        plain = {"method": "POST", "endpoint": "/v1/chat/completions", "body": body, "test_id": "t"}
        file = file.rename(file.with_name(f"{digest(plain)}.json"))
    file.write_text(dumps(document), "utf-8")

    kinds = {kind for _, kind in found()}
    assert kinds == ({"secret"} if named_with_it else {"secret", "name"})
    assert run("verify", "--fix").exit_code == (0 if named_with_it else 1)
    assert run("rekey").exit_code == 0

    assert found() == set()
    [left] = Path("recordings").iterdir()
    assert SECRETS["github"] not in left.read_text("utf-8")
    assert json.loads(left.read_text("utf-8"))["request"]["url"] == "https://api.example.com/v1/chat/completions"


@pytest.mark.parametrize("hashed", [("test_id", "tool_name", "kwargs"), ("tool_name", "kwargs")])
def test_a_secret_of_a_tools_exchange_goes_too(hashed: tuple[str, ...]) -> None:
    request = {"test_id": "t", "tool_name": "search", "kwargs": {"query": f"Use {SECRETS['github']}"}}
    document = {"test_id": "t", "request": request, "response": {"body": {}, "is_streaming": False}}
    file = Path(f"recordings/{digest({name: request[name] for name in hashed})}.json")
    file.write_text(dumps(document), "utf-8")

    assert found() == {(str(file), "secret")}
    assert run("verify", "--fix").exit_code == 0
    [left] = Path("recordings").iterdir()
    assert SECRETS["github"] not in left.read_text("utf-8")


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
def test_ages_come_from_the_repositorys_history() -> None:
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


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_recording_is_no_younger_for_another_name_or_folder() -> None:
    moved, changed = write("Moved"), write("Changed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "old")
    git("mv", str(moved), "recordings/aside.json")
    git("mv", str(changed), "recordings/other.json")
    git("commit", "-qm", "renamed", when="2098-01-01T00:00:00Z")
    Path("recordings/other.json").write_text(write("Changed", answer="Now.").read_text("utf-8"), "utf-8")
    changed.unlink()
    Path("recordings/sub").mkdir()
    git("mv", "recordings/aside.json", f"recordings/sub/{moved.name}")
    git("add", ".")
    git("commit", "-qm", "renamed and changed", when="2099-01-01T00:00:00Z")

    aged = {file for file, kind in found("--max-age", "30d") if kind == "age"}
    assert aged == {f"recordings/sub/{moved.name}"}


def test_a_directory_that_is_none_is_a_sentence() -> None:
    Path("recordings").rmdir()
    for command in ("verify", "rekey"):
        with pytest.raises(RecordingError, match=r"No recordings: .*recordings is not a directory"):
            run(command)


def test_a_recording_of_a_generation_that_did_not_tell_its_test_is_not_misnamed() -> None:
    file = write("Untold")
    document = json.loads(file.read_text("utf-8"))
    plain = {"method": "POST", "endpoint": "/v1/chat/completions", "body": document["request"]["body"]}
    del document["test_id"], document["id_normalization_mapping"]
    for item in document["response"]["body"]:
        item["__data__"]["id"] = completion_id(digest(plain))
    file.write_text(dumps(document), "utf-8")
    assert found() == set()

    edit(file, messages=[{"role": "user", "content": "Another"}])
    assert found() == {(str(file), "name")}


SEARCHED = (
    "[1] document_id: 0f8fad5b-d9cb-469f-a165-70867728950e, score: 0.0033899, attributes: {'page': 1.0}"
    " cite as <|0f8fad5b-d9cb-469f-a165-70867728950e|>"
)
FOUND = "[1] document_id: __NORMALIZED__, score: __NORMALIZED__ cite as <|__NORMALIZED__|>"


@pytest.mark.parametrize(
    ("asked", "hashed", "test"),
    [
        ({"seed": 0.123456789, "note": "0.123456789"}, {"seed": 0.12346, "note": "0.12346"}, "t"),
        ({"note": SEARCHED}, {"note": FOUND}, "t"),
        ({"stream_options": {"include_usage": True}}, {}, "t"),
        ({"extra_body": {"project_id": "p", "n": 1}}, {"extra_body": {"n": 1}}, "t"),
        ({"note": "OGX, in ogx_and_models.pdf"}, {"note": "Llama Stack, in llama_stack_and_models.pdf"}, "t"),
        ({}, {}, "a.py::test_it[llama_stack_client-1]"),
    ],
)
def test_names_are_known_by_each_rule_of_ogx_and_proven_by_it(asked: Any, hashed: Any, test: str) -> None:
    file = write("Yes?", scope=test.replace("llama_stack", "ogx"))
    document = json.loads(file.read_text("utf-8"))
    named_for = {"method": "POST", "endpoint": "/v1/chat/completions", "test_id": test}
    body = dict(document["request"]["body"])
    document["request"]["body"] = body | asked
    file.write_text(dumps(document), "utf-8")
    file = file.rename(file.with_name(f"{digest({**named_for, 'body': body | hashed})}.json"))
    assert found() == set()

    edit(file, temperature=0.7)
    assert found() == {(str(file), "name")}


def test_what_was_rewritten_before_names_told_so_is_known_by_its_answer() -> None:
    file = write("Yes?")
    document = json.loads(file.read_text("utf-8"))
    name = digest("Some other request")
    for item in document["response"]["body"]:
        item["__data__"]["id"] = completion_id(name)
    file = file.rename(file.with_name(f"{name}.json"))
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "name")}

    del document["id_normalization_mapping"]
    for marks in ({"tool_call_id": f"toolcall-{name[:8]}-0"}, {"content": "document_id: file-446066738449"}):
        document["request"]["body"]["messages"] = [{"role": "tool", **marks}]
        file.write_text(dumps(document), "utf-8")
        assert found() == set()
    document["request"]["body"]["messages"] = [{"role": "tool", "tool_call_id": "call_1", "content": "4"}]
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "name")}
