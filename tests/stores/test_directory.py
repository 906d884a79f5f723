"""Recordings in a directory: found, indexed, written whole."""

import os
import threading
import time
from pathlib import Path

import pytest

from harness.errors import RecordingError
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.stores.directory import DirectoryStore


def request(text: str, scope: str | None = None) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return Request("POST", "/v1/chat/completions", body, scope)


def saved(store: DirectoryStore, text: str, answer: str = "yes", number: int = 1) -> str:
    asked = request(text)
    name = key(asked) if number == 1 else f"{key(asked)}-{number}"
    store.save(author(asked, answer), name)
    return name


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "recordings", Canonicalizer())


def test_what_is_saved_is_found_by_its_key_in_order(store: DirectoryStore) -> None:
    names = [saved(store, "a", str(number), number) for number in (1, 2, 3)]
    assert store.find(names[0]) == names
    assert store.find(key(request("b"))) == []
    assert store.beginning(names[0][:12]) == sorted(names)
    assert store.beginning(key(request("b"))[:12]) == []
    assert store.load(names[1]).response.body["choices"][0]["message"]["content"] == "2"


def test_folders_below_are_read_too(tmp_path: Path, store: DirectoryStore) -> None:
    below = DirectoryStore(tmp_path / "recordings" / "chat", Canonicalizer())
    name = saved(below, "a")
    assert store.find(name) == [f"chat/{name}"]
    assert store.beginning(name[:16]) == [f"chat/{name}"]
    assert [entry.name for entry in store.entries()] == [f"chat/{name}"]


def test_the_index_follows_what_others_do_to_the_directory(tmp_path: Path, store: DirectoryStore) -> None:
    assert list(store.entries()) == []
    other = DirectoryStore(tmp_path / "recordings", Canonicalizer())
    name = saved(other, "a")
    assert [entry.name for entry in store.entries()] == [name]
    before = store.stamp([name])
    path = tmp_path / "recordings" / f"{name}.json"
    path.write_text(path.read_text().replace('"m"', '"another"'))
    os.utime(path, ns=(1, 1))
    assert store.stamp([name]) != before
    assert [entry.request.model for entry in store.entries()] == ["another"]
    path.unlink()
    assert list(store.entries()) == []
    with pytest.raises(RecordingError, match="No such file"):
        store.load(name)


def test_a_broken_file_spoils_nothing_and_is_named(tmp_path: Path, store: DirectoryStore) -> None:
    name = saved(store, "a")
    (tmp_path / "recordings" / "notes.json").write_text("[1, 2]")
    (tmp_path / "recordings" / "cut.json").write_text('{"request": {')
    (tmp_path / "recordings" / "bytes.json").write_bytes(b"\xff\xfe")
    assert [entry.name for entry in store.entries()] == [name]
    broken = store.broken()
    assert [text.split(" ")[0] for text in broken] == ["bytes.json", "cut.json", "notes.json"]
    with pytest.raises(RecordingError, match=r"cut\.json: not JSON"):
        store.load("cut")


def test_many_writers_of_one_file_and_a_reader_never_see_half_of_it(tmp_path: Path) -> None:
    texts = [letter * 50_000 for letter in "abc"]

    def write(text: str) -> None:
        mine = DirectoryStore(tmp_path, Canonicalizer())
        for _ in range(20):
            saved(mine, "q", text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    name = saved(DirectoryStore(tmp_path, Canonicalizer()), "q", texts[0])
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        read = DirectoryStore(tmp_path, Canonicalizer()).load(name)
        assert read.response.body["choices"][0]["message"]["content"] in texts
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]


def test_what_killed_processes_left_behind_is_swept(tmp_path: Path, store: DirectoryStore) -> None:
    directory = tmp_path / "recordings"
    directory.mkdir()
    old, new = directory / ".old.json.tmp", directory / ".new.json.tmp"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    saved(store, "a")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path, Canonicalizer())
    name = saved(store, "a", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordingError, match="No space left"):
        saved(store, "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]
    assert store.load(name).response.body["choices"][0]["message"]["content"] == "old"
