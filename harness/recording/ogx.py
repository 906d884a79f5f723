"""Taking over recordings of OGX's, of any generation: where each belongs, or why it cannot be reached there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.recording.findings import Checked, Kind
from harness.recording.key import parse_stem
from harness.recording.naming import is_listing_name
from harness.recording.rekey import renamings


@dataclass(frozen=True, slots=True)
class Move:
    """A file's place there, and the one it gets, both below their directories; ``hindrance`` says why it gets none."""

    old: str
    new: str
    hindrance: str = ""


def moves(files: Sequence[Checked]) -> Iterator[Move]:
    """What becomes of each file, in the order in which a look-up goes through folders.

    Folders stay; a file's name becomes the key of what it holds. Of several folders that answer one request, a look-up
    reaches the first; what others hold that is the same moves there, and is one file with it. Model listings, of which
    several may share their request, keep the names that they have: they are looked for by what they hold.
    """
    renamed = {renaming.old: renaming for renaming in renamings(files)}
    reached: dict[str, dict[int, tuple[Move, str]]] = {}
    for checked in sorted(files, key=lambda one: one.file.name.rpartition("/")):
        place = checked.file.place
        if not checked.key:
            yield Move(place, "", _fault(checked))
        elif is_listing_name(checked.file.name.rpartition("/")[2]):
            yield Move(place, place)
        else:
            there = renamed.get(place)
            move = Move(place, there.new, there.hindrance) if there else Move(place, place)
            yield move if move.hindrance else _placed(move, checked, reached.setdefault(checked.key, {}))


def _placed(move: Move, checked: Checked, reached: dict[int, tuple[Move, str]]) -> Move:
    """A move where nothing stands before it; ``reached`` has the members of the first sequence of its key."""
    number = parse_stem(move.new.removesuffix(".json"))[1]
    first = next(iter(reached.values()), None)
    if first is None or _folder(first[0].new) == _folder(move.new):
        reached[number] = (move, checked.content)
        return move
    twin, content = reached.get(number, first)
    if number in reached and content == checked.content:
        return replace(move, new=twin.new)
    return replace(move, hindrance=f"{twin.old} answers the same request")


def _folder(place: str) -> str:
    return place.rpartition("/")[0]


def _fault(checked: Checked) -> str:
    said = [finding.message for finding in checked.findings if finding.kind in (Kind.UNREADABLE, Kind.FORM)]
    return next(iter(said), "not a recording")
