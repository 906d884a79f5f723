"""Recordings of git revisions, and what a command line calls OLD and NEW."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import RecordingError
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.model import Request
from harness.stores.reading import Recordings, exchange_of
from harness.stores.revisions import Range, in_revision, parse_range
from harness.stores.sources import Named, open_both

Git = Callable[..., str]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def recording(answer: str) -> str:
    return dumps(to_document(author(Request("POST", "/v1/chat/completions", {"model": "m", "messages": []}), answer)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def git(project: Path) -> Git:
    """A repository with two commits: ``old`` says one, HEAD two; the files say three."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def run(*arguments: str) -> str:
        author = ["-c", "user.name=n", "-c", "user.email=n@example.com"]
        command = [str(shutil.which("git")), *author, *arguments]
        return subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, text=True).stdout

    folder = project / "recordings" / "größe"
    folder.mkdir(parents=True)
    run("init", "-q", "-b", "main")
    for answer in ("one", "two"):
        (folder / "k.json").write_text(recording(answer))
        (folder / ".hidden.json").write_text("{}")
        (project / "package.json").write_text("{}")
        run("add", "-A")
        run("commit", "-q", "-m", answer)
    run("branch", "old", "HEAD~1")
    (folder / "k.json").write_text(recording("three"))
    return run


def said(recordings: Recordings) -> dict[str, str]:
    """What every recording says, by its name; reading ends."""
    found = {name: exchange_of(recordings.read(name)).response.body for name in recordings.files}
    recordings.close()
    return {name: body["choices"][0]["message"]["content"] for name, body in found.items()}


def both(project: Path, *places: str, paths: tuple[str, ...] = (), here: str = "") -> tuple[str, str]:
    named = Named(places, paths, project / here, [Path("recordings")])
    return tuple(said(side)["k"] for side in open_both(named))  # type: ignore[return-value] # two sides


@pytest.mark.usefixtures("git")
def test_a_revision_is_read_from_its_objects(project: Path) -> None:
    recordings = in_revision("old", ["recordings"], project)
    assert recordings.where == "old:recordings/größe"
    assert recordings.files == {"k": "k.json"}
    assert said(recordings) == {"k": "one"}
    assert (project / "recordings" / "größe" / "k.json").read_text() == recording("three")


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize(
    ("places", "paths", "expected"),
    [
        (("old..main",), ("recordings/",), ("one", "two")),
        (("old..",), (), ("one", "two")),
        (("old...main",), ("recordings",), ("one", "two")),
        (("old", "HEAD"), ("recordings",), ("one", "two")),
        (("HEAD",), (), ("two", "three")),
        (("HEAD",), ("recordings",), ("two", "three")),
        (("old", "recordings"), (), ("one", "three")),
        (("recordings", "HEAD"), (), ("three", "two")),
        (("old:recordings", "recordings/größe"), (), ("one", "three")),
        (("old..main",), ("recordings/größe/k.json",), ("one", "two")),
    ],
)
def test_what_is_named_is_opened(
    project: Path, places: tuple[str, ...], paths: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert both(project, *places, paths=paths) == expected


@pytest.mark.usefixtures("git")
def test_paths_are_relative_to_where_one_is(project: Path) -> None:
    assert both(project, "old..main", paths=("größe",), here="recordings") == ("one", "two")
    # A folder of a revision is named from the top, as git has it.
    assert both(project, "old:recordings", "größe", here="recordings") == ("one", "three")


@pytest.mark.usefixtures("git")
def test_two_files_are_one_pair_whatever_their_names(project: Path) -> None:
    (project / "a.json").write_text(recording("a"))
    (project / "b.json").write_text(recording("b"))
    old, new = open_both(Named(("a.json", "b.json"), (), project, [Path("recordings")]))
    assert (said(old), said(new)) == ({"a": "a"}, {"a": "b"})
    assert new.files == {"a": "b.json"}


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("nothing", "recordings"), "nothing is no file, no directory, and no revision"),
        (("nothing..main",), "nothing is no file"),
        (("--upload-pack=x..main",), "no revision"),
        (("recordings",), "compared with nothing"),
    ],
)
def test_what_is_neither_is_named(project: Path, places: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        open_both(Named(places, (), project, [Path("recordings")]))
    assert caught.value.hint


@pytest.mark.usefixtures("git")
def test_in_a_shallow_clone_the_error_says_how_to_get_the_rest(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run([str(shutil.which("git")), "clone", "-q", "--depth", "1", project.as_uri(), str(clone)], check=True)
    with pytest.raises(RecordingError) as caught:
        in_revision("HEAD~1", (), clone)
    assert "git fetch --unshallow" in str(caught.value.hint)
    with pytest.raises(RecordingError) as caught:
        in_revision("HEAD~9", (), project)
    assert "shallow" not in str(caught.value.hint)


def test_outside_of_a_repository_revisions_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RecordingError, match="is in no git repository"):
        in_revision("main", (), tmp_path)


def test_without_git_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecordingError, match="git is not installed"):
        in_revision("main", (), tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a..b", Range("a", "b")),
        ("a...b", Range("a", "b", since_parting=True)),
        ("..b", Range("HEAD", "b")),
        ("v1.0..v1.1", Range("v1.0", "v1.1")),
        ("main", None),
        ("../recordings", None),
        ("a/../b", None),
        ("..", None),
    ],
)
def test_ranges_are_gits(text: str, found: Range | None) -> None:
    assert parse_range(text) == found
