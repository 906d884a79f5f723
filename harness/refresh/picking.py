"""The recordings that a user selected, read from wherever they are."""

from harness.errors import RecordingError
from harness.recording.model import Exchange
from harness.recording.selection import Selection
from harness.stores.protocol import RecordingStore


def picked(store: RecordingStore, selection: Selection) -> tuple[dict[str, Exchange], list[str]]:
    """The selected recordings by their names, and those that could not be read, each with the reason."""
    found: dict[str, Exchange] = {}
    broken: list[str] = []
    for entry in store.entries():
        if not selection.takes_name(entry.name):
            continue
        try:
            exchange = store.load(entry.name)
        except RecordingError as error:
            broken.append(error.message)
            continue
        if selection.takes(entry.name, exchange):
            found[entry.name] = exchange
    return found, [*broken, *store.broken()]
