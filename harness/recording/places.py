"""Where two JSON values differ, place by place: what ranks candidates and what a miss is explained with."""

from dataclasses import dataclass

from harness.recording.model import Json


class _Absent:
    """A value that is not there, which is not the same as null."""

    def __repr__(self) -> str:
        return "(absent)"


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
