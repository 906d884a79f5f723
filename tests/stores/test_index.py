"""The index that is kept between runs: used when it is right, and no worse than none when it is not."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from harness.recording import format as file_format
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.stores import facts
from harness.stores.directory import DirectoryStore
from harness.stores.index import index_facts

MANY = 600


def request(text: str, **more: object) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return Request("POST", "/v1/chat/completions", body)


@cache
def recording(text: str) -> tuple[str, str]:
    """The name of a recording, and what its file has in it."""
    return key(request(text)), file_format.dumps(file_format.to_document(author(request(text), text)))


def write(directory: Path, text: str, name: str = "") -> Path:
    own, content = recording(text)
    path = directory / f"{name or own}.json"
    path.write_text(content)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "recordings"
    (directory / "below").mkdir(parents=True)
    for number in range(MANY):
        write(directory / "below" if number % 2 else directory, f"question {number}")
    return directory


class Counted(Canonicalizer):
    """Counts what is made canonical: as many files as were read into the index, and candidates looked at."""

    seen = 0

    def canonical(self, request: Request) -> dict[str, object]:
        Counted.seen += 1
        return super().canonical(request)


@pytest.fixture(autouse=True)
def _from_nothing() -> None:
    Counted.seen = 0


def opened(directory: Path, cache: Path, rules: str = "") -> DirectoryStore:
    return DirectoryStore(directory, Counted(), facts=index_facts(cache, directory, rules))


def fingerprint(text: str) -> str:
    return Canonicalizer().fingerprint(request(text))


def names(store: DirectoryStore, text: str) -> list[str]:
    return [entry.name for entry in store.sharing(fingerprint(text))]


def test_a_second_run_reads_only_what_it_is_asked_for(directory: Path, tmp_path: Path) -> None:
    first = names(opened(directory, tmp_path / "cache"), "question 7")
    assert first == [f"below/{key(request('question 7'))}"]
    Counted.seen = 0
    again = opened(directory, tmp_path / "cache")
    assert names(again, "question 7") == first
    assert Counted.seen == 1
    assert len(again.entries()) == again.count() == MANY
    assert Counted.seen == 1
    assert list(directory.rglob("*.sqlite")) == []


def test_what_changed_between_two_runs_is_seen(directory: Path, tmp_path: Path) -> None:
    names(opened(directory, tmp_path / "cache"), "question 0")
    changed, gone = directory / f"{key(request('question 2'))}.json", directory / f"{key(request('question 4'))}.json"
    write(directory, "quite another", changed.stem)
    gone.unlink()
    new = write(directory, "quite new")
    Counted.seen = 0
    store = opened(directory, tmp_path / "cache")
    assert names(store, "quite another") == [changed.stem]
    assert names(store, "quite new") == [new.stem]
    assert names(store, "question 2") == names(store, "question 4") == []
    assert Counted.seen < 10


def test_what_changes_in_place_is_not_trusted(directory: Path, tmp_path: Path) -> None:
    store = opened(directory, tmp_path / "cache")
    path = directory / f"{key(request('question 0'))}.json"
    assert names(store, "question 0") == [path.stem]
    # In place: no folder changes.
    path.write_text(path.read_text().replace("question 0", "question zero"))
    assert names(store, "question 0") == []
    assert names(store, "question zero") == [path.stem]


def test_another_recording_of_what_is_known_is_seen(directory: Path, tmp_path: Path) -> None:
    store = opened(directory, tmp_path / "cache")
    first = key(request("question 0"))
    assert names(store, "question 0") == [first]
    write(directory, "question 0", f"{first}-2")
    assert sorted(names(store, "question 0")) == [first, f"{first}-2"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_index_is_made_again(directory: Path, tmp_path: Path, content: bytes) -> None:
    names(opened(directory, tmp_path / "cache"), "question 0")
    [file] = (tmp_path / "cache").rglob("*.sqlite")
    file.write_bytes(content)
    assert names(opened(directory, tmp_path / "cache"), "question 1") == [f"below/{key(request('question 1'))}"]
    opened(directory, tmp_path / "cache").entries()
    Counted.seen = 0
    opened(directory, tmp_path / "cache").entries()
    assert Counted.seen == 0


def test_an_index_that_lies_misleads_nobody(directory: Path, tmp_path: Path) -> None:
    names(opened(directory, tmp_path / "cache"), "question 0")
    [file] = (tmp_path / "cache").rglob("*.sqlite")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE facts SET fingerprint = ? WHERE name NOT IN ('', 'below/')", (fingerprint("q"),))
    database.close()
    assert names(opened(directory, tmp_path / "cache"), "q") == []


def test_a_cache_that_cannot_be_written_is_done_without(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    store = opened(directory, tmp_path / "cache")
    assert names(store, "question 0") == [key(request("question 0"))]
    assert len(store.entries()) == MANY


def test_other_rules_have_another_index(directory: Path, tmp_path: Path) -> None:
    opened(directory, tmp_path / "cache", "one").entries()
    Counted.seen = 0
    opened(directory, tmp_path / "cache", "two").entries()
    assert Counted.seen == MANY


def test_another_process_that_is_writing_holds_nobody_up(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_BUSY_SECONDS", 0.2)
    opened(directory, tmp_path / "cache").entries()
    [file] = (tmp_path / "cache").rglob("*.sqlite")
    with sqlite3.connect(file) as database:
        database.execute("BEGIN IMMEDIATE")
        write(directory, "quite new")
        assert names(opened(directory, tmp_path / "cache"), "quite new") == [key(request("quite new"))]
    database.close()


def test_the_nearest_are_found_among_many(directory: Path, tmp_path: Path) -> None:
    opened(directory, tmp_path / "cache").entries()
    asked = request("question 41", temperature=0.5)
    for store in (opened(directory, tmp_path / "cache"), opened(directory, tmp_path / "none")):
        store.entries()
        found = store.nearest(asked, 5)
        assert len(found) == 5
        assert found[0].name == f"below/{key(request('question 41'))}"
    assert store.nearest(Request("POST", "/v1/embeddings", {}), 5) == []


def test_a_file_that_is_no_recording_is_remembered_as_such(directory: Path, tmp_path: Path) -> None:
    (directory / "notes.json").write_text(json.dumps([1]))
    opened(directory, tmp_path / "cache").entries()
    again = opened(directory, tmp_path / "cache")
    assert len(again.entries()) == MANY
    assert [line.split(" ")[0] for line in again.broken()] == ["notes.json"]


def test_threads_that_look_at_once_read_each_file_once(directory: Path) -> None:
    store = DirectoryStore(directory, Counted())
    prints = [Canonicalizer().fingerprint(request(f"question {number}")) for number in range(8)]

    def look(number: int) -> list[str]:
        for _ in range(5):
            found = store.sharing(prints[number])
            new = write(directory, f"new {number}")
            assert len(store.entries()) >= MANY
            assert store.nearest(request("question"), 3)
            new.unlink()
        return [entry.name for entry in found]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(look, range(8)))
    assert [names[0].rpartition("/")[2] for names in found] == [recording(f"question {n}")[0] for n in range(8)]
    # Each file, what came, and the candidates; and not each file in each thread.
    assert Counted.seen < 2 * MANY
