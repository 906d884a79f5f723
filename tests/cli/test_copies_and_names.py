"""Copies, sequences and names: what ``harness verify`` says of them."""

import json
import shutil
from pathlib import Path

import pytest

from harness.recording.format import dumps, to_document
from harness.recording.ids import completion_id
from harness.recording.key import digest, key
from harness.recording.model import Exchange, Json, Request, Response
from tests.cli.kept import commands, edit, found, provided, run, write
from tests.cli.kept import project as project  # noqa: PLC0414 - the fixture, by its name


def test_a_listing_of_ogx_that_was_edited_cannot_be_renamed() -> None:
    request = Request("POST", "/v1/models", {})
    asked: Json = {"method": "POST", "endpoint": "/v1/models", "body": {}, "test_id": None}
    file = Path(f"recordings/models-{digest(asked)}-01234567.json")
    file.write_text(dumps(to_document(Exchange(request, Response({"object": "list", "data": []})))), "utf-8")
    assert found() == set()
    edit(file, model="m")
    assert found() == {(str(file), "name")}
    assert commands() == {f"rm {file}"}


def test_a_name_in_capitals_is_mended_to_its_last_letter() -> None:
    file = write("Capitals")
    loud = file.rename(file.with_name(file.name.upper()))
    assert found() == {(str(loud), "name")}
    assert commands() == {f"harness rekey {loud}"}
    run("rekey", str(loud))
    assert [one.name for one in Path("recordings").iterdir()] == [file.name]
    assert found() == set()


def test_a_copy_in_another_folder_is_found_and_left() -> None:
    file = write("There twice", scope=None)
    other = Path("recordings/more") / file.name
    other.parent.mkdir()
    shutil.copy(file, other)
    assert found("--fix") == {(str(other), "duplicate")}
    assert other.exists()


def test_of_two_folders_that_of_the_test_has_no_copy() -> None:
    file = write("Where?", scope="tests/zoo/test_lion.py::test_roar")
    own, other = (Path("recordings", folder, "recordings", file.name) for folder in ("zoo", "art"))
    for place in (own, other):
        place.parent.mkdir(parents=True)
        shutil.copy(file, place)
    file.unlink()
    assert found("recordings") == {(str(other), "duplicate")}


def test_a_copy_in_the_name_of_a_second_answer_is_found_and_removed_where_it_is_the_last() -> None:
    first, more = provided("Copied"), provided("Copied and more")
    copies = [first.with_stem(f"{first.stem}-{number}") for number in (2, 3)]
    middle = more.with_stem(f"{more.stem}-2")
    for copy in copies:
        shutil.copy(first, copy)
    shutil.copy(more, middle)
    last = provided("Copied and more", 3, "No.")
    apart = provided("Twice"), provided("Twice", 2, id=f"{completion_id('0' * 12)}-2")

    assert found() == {(str(file), "duplicate") for file in (*copies, middle)}
    assert {line for line in commands() if "&&" in line} == {f"rm {middle} && harness rekey {last}"}
    run("verify", "--fix")
    assert found() == {(str(middle), "duplicate")}
    middle.unlink()
    run("rekey", str(last))
    assert found() == set()
    assert all(file.exists() for file in (first, more, middle, *apart))
    assert not last.exists()


@pytest.mark.parametrize(
    ("id", "is_copy"),
    [
        ("chatcmpl-BzGzNNfGJkmeuVUYpQRBKi4Eqk9EE", True),
        ("chatcmpl-0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("chatcmpl-123", False),
        ("chatcmpl-mock", False),
        ("", False),
    ],
)
def test_a_sequence_may_say_the_same_twice_but_not_by_an_id_that_was_given_once(id: str, is_copy: bool) -> None:
    file = provided("Twice", id=id)
    second = Path(shutil.copy(file, file.with_stem(f"{file.stem}-2")))
    assert found() == ({(str(second), "duplicate")} if is_copy else set())


def test_what_was_written_by_hand_may_be_in_a_sequence_twice() -> None:
    file = write("By hand")
    shutil.copy(file, file.with_stem(f"{file.stem}-2"))
    assert found() == set()


def test_what_each_folder_asks_its_own_server_is_no_copy_of_another() -> None:
    for folder, model in (("a", "x"), ("b", "x"), ("c", "y")):
        request = Request("POST", "/api/ps", {})
        listing = to_document(Exchange(request, Response({"models": [{"model": model}]})))
        file = Path("recordings", folder, f"{key(request)}.json")
        file.parent.mkdir()
        file.write_text(dumps(listing), "utf-8")
    assert found() == set()


def test_of_two_copies_the_one_that_an_older_rule_names_stays() -> None:
    file = write("Older")
    request = json.loads(file.read_text("utf-8"))["request"]
    plain = {"method": "POST", "endpoint": "/v1/chat/completions", "body": request["body"]}
    older = file.rename(file.with_name(f"{digest(plain)[:12]}.json"))
    copy = Path(shutil.copy(older, older.with_name("00-copy.json")))

    assert found() == {(str(copy), "duplicate")}
