"""``harness rekey``: files get the names of what they hold, and whatever cannot is told."""

import errno
from pathlib import Path

import pytest

from harness.errors import RecordingError
from tests.cli.kept import commands, edit, found, run, write
from tests.cli.kept import project as project  # noqa: PLC0414 - the fixture, by its name


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


def test_files_that_have_each_others_names_are_exchanged_by_rekey() -> None:
    one, other = write("One"), write("Other")
    before = one.read_bytes(), other.read_bytes()
    one.write_bytes(before[1])
    other.write_bytes(before[0])
    assert found() == {(str(one), "name"), (str(other), "name")}
    assert run("rekey").exit_code == 0
    assert (one.read_bytes(), other.read_bytes()) == before
    assert len(list(Path("recordings").iterdir())) == 2


def test_rekey_of_a_file_closes_the_gap_of_its_whole_sequence() -> None:
    last = [write("Gap", number, str(number)) for number in (1, 3, 4)][1]
    assert run("rekey", str(last)).exit_code == 0
    assert found() == set()


def test_rekey_writes_nothing_over() -> None:
    there, moved = write("There"), write("Moved", answer="Something else.")
    edit(moved, messages=[{"role": "user", "content": "There"}])
    before = there.read_bytes(), moved.read_bytes()

    done = run("rekey")

    assert done.exit_code == 1
    assert "answers the same request" in done.output
    assert "2 recordings: 0 renamed, 1 cannot have their name." in done.output
    assert commands() == {f"rm {moved}"}
    assert (there.read_bytes(), moved.read_bytes()) == before


def test_rekey_tells_of_what_cannot_be_read_and_of_how_many_are_in_order() -> None:
    write("In order")
    assert run("rekey").output == "1 recording: 0 renamed.\n"
    Path("recordings/broken.json").write_text("{", "utf-8")
    done = run("rekey")
    assert (done.exit_code, "2 recordings: 0 renamed, 1 cannot be read." in done.output) == (1, True)
    assert run("rekey", "recordings/broken.json").exit_code == 2


def test_rekey_in_a_folder_that_may_not_be_written_to_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    edit(write("Edited"), messages=[{"role": "user", "content": "Now this"}])

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(RecordingError, match="could not be renamed: Permission denied"):
        run("rekey")


def test_a_file_that_is_no_recording_is_named_and_nobody_is_told_to_remove_it() -> None:
    Path("README.md").write_text("# A page", "utf-8")
    for command in ("verify", "rekey"):
        with pytest.raises(RecordingError, match=r"README\.md is no recording"):
            run(command, "README.md")
