"""What git knows of the files below a directory: when each was committed, and which of them it has otherwise."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.errors import RecordingError


def commit_times(root: Path) -> Mapping[str, int]:
    """When each file below a directory last got what it has, in seconds since 1970; those never committed are left out.

    Another name, or another folder below ``root``, makes a file no younger. One pass over the history. Raises
    RecordingError where there is none, or only its end.
    """
    log = _git(root, "log", "--format=%x00%ct", "--name-status", "--relative", "--find-renames=100%", "--", ".")
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise RecordingError(f"{root}: the repository's history is cut off.", hint="git fetch --unshallow")
    times: dict[str, int] = {}
    today: dict[str, str] = {}
    for commit in log.split("\0")[1:]:
        time_of, _, changes = commit.partition("\n")
        before: dict[str, str] = {}
        for status, *names in (line.split("\t") for line in changes.split("\n") if line):
            name = today.pop(names[-1], names[-1])
            if status.startswith("R"):
                before[names[0]] = name
            else:
                times.setdefault(name, int(time_of))
        today |= before
    return times


def restorable(root: Path) -> frozenset[str]:
    """The files below a directory that the last commit has, and otherwise; none where there is no commit."""
    try:
        names = _git(
            root, "diff", "HEAD", "--name-only", "--relative", "--no-renames", "--diff-filter=a", "-z", "--", "."
        )
    except RecordingError:
        return frozenset()
    return frozenset(filter(None, names.split("\0")))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, and no shell reads them
            ["git", "-C", str(root), "-c", "core.quotePath=false", *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise RecordingError("git is not installed: recordings have no age without it.", hint="Install git.") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip()
        raise RecordingError(f"{root}: git says: {words}", hint="Is it in a repository with a commit?") from error
    return done.stdout.decode(errors="replace")
