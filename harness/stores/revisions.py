"""Recordings of a revision of a git repository, read from its objects: nothing is checked out, nothing written.

What a revision is, git says: a branch, a tag, a commit, ``HEAD~2``, ``main@{yesterday}``, and ``REV:folder``.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordingError
from harness.stores.reading import Recordings, named

_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    # Objects that a partial clone lacks are not fetched behind the user's back.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_REGULAR = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Range:
    """``OLD..NEW`` as git writes it; with three dots OLD is where both parted."""

    old: str
    new: str
    since_parting: bool = False


def parse_range(text: str) -> Range | None:
    """A range of revisions; None for what is none. An end that is left out is HEAD."""
    for dots in ("...", ".."):
        old, found, new = text.partition(dots)
        if found and not new.startswith(".") and "/" not in (old[-1:], new[:1]):
            return Range(old or "HEAD", new or "HEAD", dots == "...") if old or new else None
    return None


def is_revision(text: str, directory: Path) -> bool:
    """Whether git knows something by this name, seen from a directory."""
    with contextlib.suppress(RecordingError):
        _resolve(text, directory)
        return True
    return False


def parting_of(old: str, new: str, directory: Path) -> str:
    """The commit at which two revisions parted. Raises RecordingError where they have none in common."""
    return _git(directory, "merge-base", "--end-of-options", old, new).decode().strip()


def in_revision(revision: str, paths: Sequence[str], directory: Path) -> Recordings:
    """The recordings that a revision has in ``paths`` (relative to ``directory``; all of them for none).

    Raises RecordingError when git is missing, knows no such revision, or ``directory`` is in no repository.
    """
    tree = _resolve(revision, directory)
    objects = dict(_listed(tree, paths, directory))
    prefix = _common_folder(objects)
    found = named(file.removeprefix(prefix) for file in objects)
    reader = _Objects(directory)
    return Recordings(
        f"{revision}:{prefix.rstrip('/') or ' '.join(paths)}".rstrip(":"),
        found,
        lambda name: reader.read(objects[prefix + found[name]]),
        reader.close,
    )


def _resolve(revision: str, directory: Path) -> str:
    """The full name of the object. Raises RecordingError for what git does not know."""
    try:
        return _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", revision).decode().strip()
    except RecordingError as error:
        raise RecordingError(
            f"{revision} is no file, no directory, and no revision: {error.message}", hint=error.hint
        ) from error


def _listed(tree: str, paths: Sequence[str], directory: Path) -> Iterator[tuple[str, str]]:
    """Path and object of every regular file below."""
    kind = _git(directory, "cat-file", "-t", tree).decode().strip()
    if kind == "blob":
        yield "recording.json", tree
        return
    # In a folder of the repository git would show, of any tree, what has the folder's path in it.
    where = () if paths else ("--full-tree",)
    for line in _git(directory, "ls-tree", "-r", "-z", *where, tree, "--", *paths).split(b"\0"):
        head, _, file = line.partition(b"\t")
        mode, _, rest = head.decode().partition(" ")
        if mode in _REGULAR:
            yield os.fsdecode(file), rest.partition(" ")[2]


def _common_folder(files: dict[str, str]) -> str:
    """The folder that holds all files, with its slash; paths below it are what names are made of."""
    folders = {file.rpartition("/")[0] for file in files if file.endswith(".json")}
    if not folders:
        return ""
    shared = os.path.commonpath(folders) if all(folders) else ""
    return f"{shared}/" if shared else ""


def _git(directory: Path, *arguments: str) -> bytes:
    """What git prints. Raises RecordingError with what it says when it fails, or is not there."""
    command = [_program(), *arguments]
    # No shell: what a user names reaches git as it is, behind its --end-of-options.
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, capture_output=True, check=False, env={**os.environ, **_ENVIRONMENT}
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        if "not a git repository" in said:
            raise RecordingError(
                f"{directory} is in no git repository.",
                hint="Name two directories of recordings, or go to the project.",
            )
        why = f"git {arguments[0]} says: {said}" if said else f"git knows nothing of that name in {directory}."
        raise RecordingError(
            why, hint=f"Name a directory of recordings, or a revision of `git log --oneline`.{_cut_short(directory)}"
        )
    return done.stdout


def _cut_short(directory: Path) -> str:
    """What to do in a clone that has not the whole history, as the machines of CI make them."""
    asked = [_program(), "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(asked, cwd=directory, capture_output=True, check=False)  # noqa: S603, nothing in it is a user's
    return " This clone is shallow: `git fetch --unshallow` gets the rest." if said.stdout.strip() == b"true" else ""


def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise RecordingError("git is not installed.", hint="Install git, or name two directories of recordings.")
    return found


class _Objects:
    """One ``git cat-file --batch``, started on the first need, that gives object after object."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: str) -> bytes:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603, the same program, without arguments of anyone
                [_program(), "cat-file", "--batch"],
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            )
        pipe, out = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert out is not None
        try:
            pipe.write(f"{name}\n".encode())
            pipe.flush()
        except BrokenPipeError as error:
            raise RecordingError("git ended", hint="Run `git fsck`.") from error
        head = out.readline().split()
        if len(head) != 3:
            raise RecordingError(f"git has no object {name[:12]}", hint="Fetch it: git fetch --refetch")
        data = out.read(int(head[2]))
        out.read(1)
        return data

    def close(self) -> None:
        if self._process is not None:
            # Leaving it closes its pipes, and it ends.
            with self._process:
                pass
            self._process = None
