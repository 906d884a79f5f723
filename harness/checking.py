"""Recordings of directories looked at, however many, spread over the processors; and mended."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.crew import Crew
from harness.errors import RecordingError
from harness.recording.findings import Checked, File, Finding, Kind, Level, Mend
from harness.recording.key import parse_stem
from harness.recording.redact import Redactor
from harness.recording.rekey import Renaming, renamings
from harness.recording.verify import Verifier
from harness.stores.history import commit_times, restorable
from harness.stores.housekeeping import closed, places, read, remains, remove, rewrite

_DAY = 24 * 3600

_verifiers: list[Verifier] = []


@dataclass(frozen=True, slots=True)
class Target:
    """A directory, and which files below it are meant. ``is_whole``: all of them."""

    root: Path
    names: Sequence[str]
    is_whole: bool

    @property
    def shown(self) -> str:
        """The directory as a user here would write it, with a slash at its end; nothing for the current one."""
        here = Path.cwd()
        inside = self.root.absolute().relative_to(here) if self.root.absolute().is_relative_to(here) else self.root
        return "" if inside == Path() else f"{inside.as_posix()}/"


@dataclass(frozen=True, slots=True)
class Age:
    """How many days a recording may be old, and how much it matters when it is older."""

    days: int
    level: Level


def targets(paths: Sequence[Path], usual: Sequence[Path]) -> list[Target]:
    """What is to be looked at: each directory, and files by their directories; all of ``usual`` where nothing is named.

    Of a file below one of ``usual`` that is its directory. Raises RecordingError for a directory that is not there,
    and for a file whose name, in whatever case, is that of no recording.
    """
    for path in paths:
        if path.suffix.lower() != ".json" and not path.is_dir():
            raise RecordingError(f"{path} is no recording.", hint="Name a directory, or files that end in .json.")
    folders = [path for path in paths if path.is_dir()] if paths else usual
    for folder in folders:
        if not folder.is_dir():
            raise RecordingError(f"No recordings: {folder} is not a directory.", hint="Name a directory of recordings.")
    files: dict[Path, list[str]] = {}
    for path in (path.absolute() for path in paths if not path.is_dir()):
        root = next((place for place in usual if path.is_relative_to(place.absolute())), path.parent)
        files.setdefault(root, []).append(path.relative_to(root.absolute()).as_posix())
    return [
        *(Target(folder, places(folder), is_whole=True) for folder in folders),
        *(Target(root, names, is_whole=False) for root, names in files.items()),
    ]


def findings_of(target: Target, make: Callable[[], Verifier], ages: Sequence[Age] = ()) -> list[Finding]:
    """Everything that is wrong or odd with what is meant, by files as a user here would write them.

    ``make`` makes a verifier for commands with ``target.shown``, in every process its own: it is a function that
    pickles. Of ``ages`` the first that a recording is beyond counts. Raises RecordingError where there is no history.
    """
    verifier, root = make(), target.root
    beside = {place.removesuffix(".json") for place in (target.names if target.is_whole else places(root))}
    checked = check_all(read(root, target.names), len(target.names), make)
    is_any_lost = any(finding.is_lost for one in checked for finding in one.findings)
    found = verifier.together(checked, beside, restorable(root) if is_any_lost else ())
    if target.is_whole:
        found += [verifier.left_over(one.place, is_under_way=one.is_under_way) for one in remains(root)]
        found += [verifier.closed(place) for place in closed(root)]
    found += _old(verifier, target, ages)
    return [replace(finding, file=target.shown + finding.file) for finding in found]


def _old(verifier: Verifier, target: Target, ages: Sequence[Age]) -> Iterator[Finding]:
    times: Mapping[str, int] = commit_times(target.root) if ages else {}
    now = time.time()
    for place in target.names:
        days = int((now - times.get(place, now)) // _DAY)
        over = next((age for age in ages if days > age.days), None)
        if over is not None:
            yield verifier.old(place, days, over.days, over.level)


def mend(findings: Sequence[Finding], redactor: Redactor) -> list[str]:
    """Do what is safe about findings of files as seen from here; the files that were mended. Raises RecordingError."""
    lost = {finding.file for finding in findings if finding.is_lost}
    to_remove = {finding.file for finding in findings if finding.mend is Mend.REMOVE}
    to_rewrite = {finding.file for finding in findings if finding.mend is Mend.REWRITE} - to_remove - lost
    for file in sorted(to_remove):
        remove(Path(file))
    for file in sorted(to_rewrite):
        rewrite(Path(file), redactor)
    return sorted(to_remove | to_rewrite)


def renamings_of(target: Target, make: Callable[[], Verifier]) -> tuple[list[Renaming], list[Finding]]:
    """By which names the files that are meant should go, and those that cannot be read.

    Of a sequence, all its files are meant.
    """
    names = places(target.root)
    checked = check_all(read(target.root, names), len(names), make)
    meant = {_sequence(place) for place in target.names}
    found = [renaming for renaming in renamings(checked) if target.is_whole or _sequence(renaming.old) in meant]
    faults = [finding for one in checked for finding in one.findings if one.file.place in target.names]
    return found, [finding for finding in faults if finding.kind is Kind.UNREADABLE]


def _sequence(place: str) -> str:
    return parse_stem(place.removesuffix(".json"))[0]


def check_all(files: Iterable[File], count: int, make: Callable[[], Verifier]) -> list[Checked]:
    """What there is to say of each of ``count`` files alone, in order, without their texts."""
    with Crew(count, _set_up, make) as crew:
        return list(crew.each(_check_batch, files))


def _set_up(make: Callable[[], Verifier]) -> None:
    _verifiers[:] = [make()]


def _check_batch(batch: list[File]) -> list[Checked]:
    checked = [_verifiers[0].check(file) for file in batch]
    return [replace(one, file=replace(one.file, text="")) for one in checked]
