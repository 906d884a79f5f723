"""Where two JSON values differ, place by place: what ranks candidates and what a miss is explained with."""

import difflib
import json
from dataclasses import dataclass

from harness.recording.model import Json


class _Absent:
    """A value that is not there, which is not the same as null."""

    def __repr__(self) -> str:
        return "(absent)"

    def __reduce__(self) -> str:
        """The one value that there is, in another process too."""
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Place:
    """One place where values differ: its path (``messages[2].content``), the old value and the new one."""

    path: str
    old: Json
    new: Json


def places(old: Json, new: Json, path: str = "") -> list[Place]:
    """Every leaf at which ``new`` differs from ``old``, in order; a part that one side lacks is one place."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[Place] = []
        for name in [*old, *(name for name in new if name not in old)]:
            where = f"{path}.{name}" if path else str(name)
            found += places(old.get(name, ABSENT), new.get(name, ABSENT), where)
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = []
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else ABSENT
            right = new[index] if index < len(new) else ABSENT
            found += places(left, right, f"{path}[{index}]")
        return found
    same = type(old) is type(new) and old == new
    return [] if same else [Place(path, old, new)]


def aligned_places(old: Json, new: Json, path: str = "") -> list[Place]:
    """The same for people: what two lists have in common is put side by side, so that one message more is one place.

    Paths are those of ``new``, where it has the part.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[Place] = []
        for name in [*old, *(name for name in new if name not in old)]:
            where = f"{path}.{name}" if path else str(name)
            found += aligned_places(old.get(name, ABSENT), new.get(name, ABSENT), where)
        return found
    if isinstance(old, list) and isinstance(new, list):
        return _aligned_items(old, new, path)
    return places(old, new, path)


def _aligned_items(old: list[Json], new: list[Json], path: str) -> list[Place]:
    left, right = ([json.dumps(item, sort_keys=True) for item in side] for side in (old, new))
    found: list[Place] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for at in range(max(b - a, d - c)):
            one = old[a + at] if a + at < b else ABSENT
            two = new[c + at] if c + at < d else ABSENT
            found += aligned_places(one, two, f"{path}[{(a if two is ABSENT else c) + at}]")
    return found
