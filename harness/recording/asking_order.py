"""In which order the recordings of one test were asked for, as far as they tell."""

import json
from collections.abc import Iterable

from harness.recording.lookup import Entry


def in_asking_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries of one scope: of a dialogue the shorter requests first, which the longer ones go on from.

    A file does not say when it was written. Identical requests keep the order of their sequence.
    """
    return sorted(entries, key=lambda entry: (_length(entry), entry.base, entry.number))


def _length(entry: Entry) -> int:
    return len(json.dumps(entry.request.body))
