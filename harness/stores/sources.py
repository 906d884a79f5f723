"""What a command line calls OLD and NEW: directories, files and revisions, found out and opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordingError
from harness.stores.reading import Recordings, in_directory, in_file
from harness.stores.revisions import in_revision, is_revision, parse_range, parting_of


@dataclass(frozen=True, slots=True)
class Named:
    """What the user named: up to two places, and the paths behind ``--`` that revisions are limited to.

    ``here`` is where relative paths begin, ``usual`` the directories where the project keeps its recordings.
    """

    places: Sequence[str]
    paths: Sequence[str]
    here: Path
    usual: Sequence[Path]

    def usual_folder(self, words: str) -> str:
        """The one directory of the project. Raises RecordingError where there are several: ``words`` name the rest."""
        if len(self.usual) > 1:
            raise RecordingError(
                f"Recordings are in {', '.join(map(str, self.usual))}: one directory is compared at a time.",
                hint=f"harness diff {words} {self.usual[0]}",
            )
        return str(self.usual[0])


def open_both(named: Named) -> tuple[Recordings, Recordings]:
    """OLD and NEW. One place alone is a range (``main..HEAD``), or a revision against the files as they are now.

    Raises RecordingError for what is no file, no directory and no revision.
    """
    if len(named.places) == 2:
        old, new = named.places
        if not named.paths and (named.here / old).is_file() and (named.here / new).is_file():
            # Two files were named to be compared, whatever their names.
            return in_file(named.here / old), in_file(named.here / new, name=Path(old).stem)
        return _open(old, named, other=new), _open(new, named, other=old)
    (place,) = named.places
    parts = None if _is_path(place, named) else parse_range(place)
    if parts is not None:
        start = parting_of(parts.old, parts.new, named.here) if parts.since_parting else parts.old
        paths = _limits(named)
        return in_revision(start, paths, named.here), in_revision(parts.new, paths, named.here)
    if _is_path(place, named):
        raise RecordingError(
            f"{place} is compared with nothing.",
            hint=f"Name two places, or a revision first: harness diff HEAD {place}",
        )
    if len(named.paths) > 1:
        raise RecordingError(
            "A revision is compared with one directory at a time.", hint=f"harness diff {place} {named.paths[0]}"
        )
    folder = named.paths[0] if named.paths else named.usual_folder(place)
    return _open(place, named, other=folder), open_place(folder, named.here)


def open_place(place: str, here: Path) -> Recordings:
    """The recordings in a directory or a file. Raises RecordingError where there is none."""
    path = here / place
    if path.is_dir():
        return in_directory(path)
    if path.is_file():
        return in_file(path)
    raise RecordingError(f"{place} is no file and no directory.", hint="Name a directory of recordings.")


def _open(place: str, named: Named, *, other: str) -> Recordings:
    """A path, or a revision limited to the given paths, to the directory on the other side, or to the usual one."""
    if _is_path(place, named):
        return open_place(place, named.here)
    if ":" in place:
        return in_revision(place, (), named.here)
    if named.paths or not (named.here / other).exists():
        return in_revision(place, _limits(named), named.here)
    return in_revision(place, (other,), named.here)


def _is_path(place: str, named: Named) -> bool:
    """Whether a place is one on the disk. With paths behind ``--``, what git knows is a revision first, as for git."""
    if not (named.here / place).exists():
        return False
    return not (named.paths and is_revision(place, named.here))


def _limits(named: Named) -> Sequence[str]:
    return named.paths or tuple(map(str, named.usual))
