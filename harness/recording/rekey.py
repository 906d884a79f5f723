"""Giving recordings the names of what they hold: by which name each file should go.

Files named by another algorithm, or whose request was edited by hand, get their key; a sequence with a gap closes up.
Two files that answer one request differently, and were never one sequence, cannot both have its name: the one that
comes second is left for its owner to decide about.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.recording.findings import Checked
from harness.recording.key import parse_stem, recording_name
from harness.recording.naming import is_listing_name


@dataclass(frozen=True, slots=True)
class Renaming:
    """A file that should have another place; ``hindrance`` says why it cannot have it."""

    old: str
    new: str
    hindrance: str = ""


def renamings(files: Iterable[Checked]) -> list[Renaming]:
    """What is to be renamed, in the order of the files. Files that cannot be read and model listings of OGX's stay."""
    groups: dict[tuple[str, str], list[Checked]] = defaultdict(list)
    for checked in files:
        folder, _, stem = checked.file.name.rpartition("/")
        if checked.key and not is_listing_name(stem):
            groups[folder, checked.key].append(checked)
    found = [renaming for (folder, key), group in groups.items() for renaming in _of_group(folder, key, group)]
    return sorted(found, key=lambda renaming: renaming.old)


def _of_group(folder: str, key: str, group: list[Checked]) -> Iterator[Renaming]:
    """The files of one folder that hold one key: the sequence that stays or becomes its own, and the rest."""
    prefix = f"{folder}/" if folder else ""
    sequences: dict[str, list[Checked]] = defaultdict(list)
    for checked in group:
        sequences[parse_stem(checked.file.name)[0]].append(checked)
    chosen = prefix + key if prefix + key in sequences else min(sequences)
    members = sorted(sequences.pop(chosen), key=_number)
    for number, checked in enumerate(members, 1):
        new = f"{prefix}{recording_name(key, number)}.json"
        if new != checked.file.place:
            yield Renaming(checked.file.place, new)
    for checked in (checked for others in sequences.values() for checked in others):
        twin = next((member for member in members if member.content == checked.content), None)
        reason = f"{twin.file.place} holds the same" if twin else f"{members[0].file.place} answers the same request"
        yield Renaming(checked.file.place, f"{prefix}{key}.json", reason)


def _number(checked: Checked) -> int:
    return parse_stem(checked.file.name)[1]
