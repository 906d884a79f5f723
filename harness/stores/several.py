"""Several places of recordings as one: read from all of them, written to the first."""

from collections.abc import Mapping, Sequence

from harness.errors import RecordingError
from harness.recording.key import parse_stem
from harness.recording.lookup import Entry
from harness.recording.model import Exchange, Request
from harness.stores.protocol import RecordingStore


class SeveralStores:
    """A RecordingStore over others. Where two have a sequence of one name, the earlier one's hides the later one's."""

    def __init__(self, stores: Sequence[RecordingStore]) -> None:
        self.where = ", ".join(store.where for store in stores)
        self.is_remote = any(store.is_remote for store in stores)
        self._stores = stores

    def find(self, key: str) -> list[str]:
        return next((names for store in self._stores if (names := store.find(key))), [])

    def beginning(self, digits: str) -> list[str]:
        return sorted({name for store in self._stores for name in store.beginning(digits) if self.has(name)})

    def _of(self, name: str) -> RecordingStore | None:
        """The store whose recording a name means: the first that has its sequence."""
        base = parse_stem(name)[0]
        return next((store for store in self._stores if store.has(base) or store.has(name)), None)

    def has(self, name: str) -> bool:
        store = self._of(name)
        return store is not None and store.has(name)

    def is_older(self, name: str) -> bool:
        store = self._of(name)
        return store is not None and store.is_older(name)

    def count(self) -> int:
        return sum(store.count() for store in self._stores)

    def load(self, name: str) -> Exchange:
        return (self._of(name) or self._stores[0]).load(name)

    def save(self, exchange: Exchange, name: str) -> bool:
        return self._stores[0].save(exchange, name)

    def renew(self, name: str, ids: Mapping[str, str]) -> None:
        self._stores[0].renew(name, ids)

    def trim(self, base: str, count: int) -> list[str]:
        return self._stores[0].trim(base, count)

    def remove(self, name: str) -> None:
        """Remove a recording of the first place. Raises RecordingError for one of another: those are read alone."""
        store = self._of(name)
        if store is not None and store is not self._stores[0]:
            raise RecordingError(
                f"{name} is in {store.where}, which is only read.", hint=f"Name that place alone: {store.where}"
            )
        self._stores[0].remove(name)

    def entries(self) -> Sequence[Entry]:
        return self._seen([store.entries() for store in self._stores])

    def sharing(self, fingerprint: str) -> Sequence[Entry]:
        return self._seen([store.sharing(fingerprint) for store in self._stores])

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        return self._seen([store.nearest(request, at_most) for store in self._stores])

    def _seen(self, found: Sequence[Sequence[Entry]]) -> list[Entry]:
        """Entries of all stores in the order of their names, without those that are hidden."""
        seen: dict[str, Entry] = {}
        for at, entries in enumerate(found):
            for entry in entries:
                if not any(store.has(entry.base) for store in self._stores[:at]):
                    seen.setdefault(entry.name, entry)
        return [entry for _, entry in sorted(seen.items())]

    def broken(self) -> Sequence[str]:
        return [f"{store.where}/{line}" for store in self._stores for line in store.broken()]

    def passed_over(self) -> int:
        return sum(store.passed_over() for store in self._stores)

    def stamp(self, names: Sequence[str]) -> object:
        return tuple(store.stamp(names) for store in self._stores)
