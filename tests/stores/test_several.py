"""Several places as one: all are read, the first is written to."""

from pathlib import Path

import pytest

from harness.errors import RecordingError
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.stores.directory import DirectoryStore
from harness.stores.several import SeveralStores


def request(text: str, scope: str | None = None) -> Request:
    return Request(
        "POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": text}]}, scope
    )


def saved(store: DirectoryStore, text: str, answer: str, number: int = 1) -> str:
    name = key(request(text)) if number == 1 else f"{key(request(text))}-{number}"
    store.save(author(request(text), answer), name)
    return name


@pytest.fixture
def places(tmp_path: Path) -> tuple[DirectoryStore, DirectoryStore, SeveralStores]:
    mine, shared = (DirectoryStore(tmp_path / name, Canonicalizer()) for name in ("mine", "shared"))
    return mine, shared, SeveralStores([mine, shared])


def said(store: SeveralStores, name: str) -> str:
    content = store.load(name).response.body["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


def test_all_are_read_and_the_first_is_written_to(
    places: tuple[DirectoryStore, DirectoryStore, SeveralStores],
) -> None:
    mine, shared, both = places
    there, here = saved(shared, "a", "shared"), saved(mine, "b", "mine")
    assert (both.find(there), both.find(here), both.count()) == ([there], [here], 2)
    assert [said(both, name) for name in (there, here)] == ["shared", "mine"]
    assert [entry.name for entry in both.entries()] == sorted([there, here])
    assert both.save(author(request("c"), "new"), key(request("c")))
    assert (mine.count(), shared.count()) == (2, 1)


def test_a_sequence_of_the_first_hides_the_others(
    places: tuple[DirectoryStore, DirectoryStore, SeveralStores],
) -> None:
    mine, shared, both = places
    first, second = saved(shared, "a", "old", 1), saved(shared, "a", "older", 2)
    assert both.find(first) == [first, second]
    before = both.stamp([first])
    saved(mine, "a", "new")
    assert both.stamp([first]) != before
    assert both.find(first) == [first]
    assert said(both, first) == "new"
    assert [entry.name for entry in both.sharing(Canonicalizer().fingerprint(request("a")))] == [first]
    assert not both.has(second)
    assert both.beginning(first[:16]) == [first]
    with pytest.raises(RecordingError):
        both.load(second)


def test_what_is_only_read_is_not_removed(places: tuple[DirectoryStore, DirectoryStore, SeveralStores]) -> None:
    mine, shared, both = places
    there, here = saved(shared, "a", "shared"), saved(mine, "b", "mine")
    with pytest.raises(RecordingError, match="only read"):
        both.remove(there)
    both.remove(here)
    assert (mine.count(), shared.count()) == (0, 1)


def test_what_is_broken_is_told_with_its_place(
    tmp_path: Path, places: tuple[DirectoryStore, DirectoryStore, SeveralStores]
) -> None:
    _, shared, both = places
    saved(shared, "a", "shared")
    (tmp_path / "shared" / "notes.json").write_text("[]")
    both.entries()
    assert [line.split(" ")[0] for line in both.broken()] == [f"{tmp_path}/shared/notes.json"]
