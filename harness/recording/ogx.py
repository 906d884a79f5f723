"""Taking over recordings of OGX's, of any generation: where each belongs, or why it cannot be reached there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.recording.findings import Checked, Kind
from harness.recording.rekey import renamings


@dataclass(frozen=True, slots=True)
class Move:
    """A file's place there, and the one it gets, both below their directories; ``hindrance`` says why it gets none."""

    old: str
    new: str
    hindrance: str = ""


def moves(files: Sequence[Checked]) -> Iterator[Move]:
    """What becomes of each file. Folders stay; a file's name becomes the key of what it holds.

    Model listings, of which several may share their request, keep the names that they have: they are looked for by
    what they hold.
    """
    renamed = {renaming.old: renaming for renaming in renamings(files)}
    for checked in files:
        place = checked.file.place
        if not checked.key:
            yield Move(place, "", _fault(checked))
        elif place in renamed:
            yield Move(place, renamed[place].new, renamed[place].hindrance)
        else:
            yield Move(place, place)


def _fault(checked: Checked) -> str:
    said = [finding.message for finding in checked.findings if finding.kind in (Kind.UNREADABLE, Kind.FORM)]
    return next(iter(said), "not a recording")
