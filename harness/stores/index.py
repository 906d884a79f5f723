"""The index of a directory of recordings: what the fallback look-up and the message of a miss need.

Each file is read once; after that its facts count for as long as its state is the same. Of a large directory they are
kept between runs (:mod:`harness.stores.facts`); requests themselves are not: a candidate's file is read when its turn
comes, and whether it still is what the index says shows then.
"""

import hashlib
import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from harness.errors import NotHttp, RecordingError
from harness.recording import canonical
from harness.recording.canonical import Canonicalizer, endpoint_of, fingerprint_of
from harness.recording.lookup import Entry
from harness.recording.model import Request
from harness.recording.sketch import sketch, unlike
from harness.stores.facts import Fact, Facts, facts_file
from harness.stores.files import State, look, state_of

_COLUMNS = ("fingerprint", "scope", "path", "model", "fault", "sketch")
_WORTH_KEEPING = 500
"""Fewer files than this are read as quickly as their facts would be."""
_WORTH_WRITING = 64
"""How many files must have changed, after the first look, before their facts are written down."""


class _Row(NamedTuple):
    """What is known of a file. One that is no recording has a ``fault`` and no fingerprint."""

    state: State
    fingerprint: str | None
    scope: str | None
    path: str
    model: str
    fault: str
    sketch: bytes | None


class IndexedEntry(Entry):
    """An entry whose request is read when it is asked for. Raises RecordingError when it is gone by then."""

    def __init__(self, name: str, row: _Row, read: Callable[[str], Request]) -> None:
        self.__dict__.update(name=name, fingerprint=row.fingerprint, _row=row, _read=read)

    @cached_property
    def request(self) -> Request:
        request: Request = self.__dict__["_read"](self.name)
        return request

    @property
    def scope(self) -> str | None:
        row: _Row = self.__dict__["_row"]
        return row.scope

    @property
    def path(self) -> str:
        row: _Row = self.__dict__["_row"]
        return row.path

    @property
    def model(self) -> str:
        row: _Row = self.__dict__["_row"]
        return row.model


class Index:
    """The index of one directory and the folders below it. ``read`` gives the request of a recording by its name.

    Safe for threads: of several that ask, one brings it up to date.
    """

    def __init__(
        self, directory: Path, canonicalizer: Canonicalizer, read: Callable[[str], Request], facts: Facts | None = None
    ) -> None:
        self._directory, self._canonicalizer, self._read, self._facts = directory, canonicalizer, read, facts
        self._lock = threading.RLock()
        self._rows: dict[str, _Row] = {}
        self._folders: dict[str, State | None] = {}
        self._by_print: dict[str, list[str]] = {}
        self._is_recalled = False
        self._again_at = 0.0
        self._unwritten: dict[str, _Row] = {}
        self._gone: set[str] = set()

    def entries(self) -> list[Entry]:
        """All recordings as they are now, in the order of their names."""
        with self._lock:
            self.refresh()
            return [self._entry(name) for name, row in sorted(self._rows.items()) if not row.fault]

    def faults(self) -> list[str]:
        """The files that could not be read when the index was last brought up to date, each with the reason."""
        with self._lock:
            faults = [(name, row.fault) for name, row in sorted(self._rows.items())]
        return [f"{name}.json ({fault})" for name, fault in faults if fault and fault != NotHttp.said]

    def passed_over(self) -> int:
        """How many files were of exchanges that no HTTP API had."""
        with self._lock:
            return sum(row.fault == NotHttp.said for row in self._rows.values())

    def sharing(self, fingerprint: str) -> list[Entry]:
        """The recordings that have this fingerprint now.

        What is known is looked at first: as long as the files that it names are the same, the others are left alone.
        """
        with self._lock:
            self._recall()
            if not self._is_as_it_was(fingerprint):
                self.refresh()
            found = [self._entry(name) for name in self._by_print.get(fingerprint, ())]
        return [entry for entry in found if self._still(entry)]

    def _is_as_it_was(self, fingerprint: str) -> bool:
        """Whether something is known to have this fingerprint, and it and the set of all recordings are the same."""
        known = self._by_print.get(fingerprint)
        return bool(known) and self._is_unmoved() and all(map(self._is_the_same, known or ()))

    def _is_the_same(self, name: str) -> bool:
        return state_of(self._file(name)) == self._rows[name].state

    def _is_unmoved(self) -> bool:
        """Whether no file came or went: a folder changes with it."""
        return bool(self._folders) and self._folders == self._states_of(self._folders)

    def _states_of(self, folders: Iterable[str]) -> dict[str, State | None]:
        return {folder: state_of(self._directory / folder) for folder in folders}

    def _still(self, entry: Entry) -> bool:
        """Whether a candidate is what the index says: it is not trusted, but asked."""
        return _is_there(entry) and self._canonicalizer.fingerprint(entry.request) == entry.fingerprint

    def nearest(self, request: Request, at_most: int) -> list[Entry]:
        """Those recordings of the request's endpoint that look most like it, as of the last look at the directory."""
        endpoint = endpoint_of(request.path)
        with self._lock:
            rows = sorted(self._rows.items())
            alike = [name for name, row in rows if not row.fault and endpoint_of(row.path) == endpoint]
            if len(alike) > at_most:
                unlikeness = unlike(sketch(self._canonicalizer.canonical(request)["body"]))
                sketches = self._sketches()
                alike = heapq.nsmallest(at_most, alike, key=lambda name: unlikeness(sketches[name]))
            found = [self._entry(name) for name in alike]
        return [entry for entry in found if _is_there(entry)]

    def _sketches(self) -> dict[str, bytes]:
        kept = self._facts.load(("sketch",)) if self._facts else {}
        found = {}
        for name, row in self._rows.items():
            state, fact = kept.get(name, (None, (None,)))
            known = row.sketch or (fact[0] if state == row.state else None)
            found[name] = known if isinstance(known, bytes) else b""
        return found

    def _entry(self, name: str) -> Entry:
        return IndexedEntry(name, self._rows[name], self._read)

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def refresh(self) -> None:
        """Bring the index up to date: files that came or changed are read, those that went are forgotten.

        A look at many files takes its time; unless one came or went, it is not repeated for as long as it took.
        """
        self._recall()
        begun = time.monotonic()
        if begun < self._again_at and self._is_unmoved():
            return
        below = look(self._directory)
        looked = time.monotonic()
        self._take(below.files)
        is_first, self._again_at = self._again_at == 0.0, time.monotonic() + looked - begun
        is_moved, self._folders = below.folders != self._folders, below.folders
        self._keep(at_least=(0 if is_moved else 1) if is_first else _WORTH_WRITING)

    def _recall(self) -> None:
        """Take over, once, what was found out in earlier runs."""
        if self._is_recalled:
            return
        self._is_recalled = True
        for name, (state, fact) in (self._facts.load(_COLUMNS[:-1]) if self._facts else {}).items():
            if not name or name.endswith("/"):
                self._folders[name] = state
            else:
                self._rows[name] = _row_of(state, fact)
        self._sort_by_print()

    def _take(self, states: dict[str, State]) -> None:
        rows = self._rows
        changed = [name for name, state in states.items() if name not in rows or rows[name].state != state]
        read = {name: self._row(name, states[name]) for name in changed}
        gone = rows.keys() - states.keys()
        for name in gone:
            del rows[name]
        self._rows |= read
        self._unwritten |= read
        self._gone = (self._gone | gone) - states.keys()
        if read or gone:
            self._sort_by_print()

    def _sort_by_print(self) -> None:
        prints: defaultdict[str, list[str]] = defaultdict(list)
        for name, row in self._rows.items():
            if row.fingerprint is not None:
                prints[row.fingerprint].append(name)
        self._by_print = dict(prints)

    def _row(self, name: str, state: State) -> _Row:
        try:
            request = self._read(name)
        except RecordingError as error:
            return _Row(state, None, None, "", "", error.message.partition(": ")[2] or error.message, None)
        plain = self._canonicalizer.canonical(request)
        return _Row(state, fingerprint_of(plain), request.scope, request.path, request.model, "", sketch(plain["body"]))

    def _keep(self, at_least: int) -> None:
        """Write down what was found out, when there is enough of it."""
        if self._facts and len(self._rows) >= _WORTH_KEEPING and len(self._unwritten) + len(self._gone) >= at_least:
            nothing = (None,) * len(_COLUMNS)
            known = {name: (row.state, row[1:]) for name, row in self._unwritten.items()}
            folders = {name: (state, nothing) for name, state in self._folders.items() if state is not None}
            self._facts.update({**known, **folders}, self._gone)
            self._unwritten, self._gone = {}, set()


def _row_of(state: State, fact: Fact) -> _Row:
    fingerprint, scope, path, model, fault = (value if isinstance(value, str) else None for value in fact)
    return _Row(state, fingerprint, scope, path or "", model or "", fault or "", None)


def _is_there(entry: Entry) -> bool:
    try:
        return bool(entry.request)
    except RecordingError:
        return False


def index_facts(cache: Path, directory: Path, rules: str) -> Facts:
    """Where the facts about a directory are kept. ``rules`` is all that the user said about what is equal.

    They also depend on our own rules: another version of the code that makes them begins anew.
    """
    code = hashlib.sha256()
    for file in sorted(Path(canonical.__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    where = str(directory.resolve())
    return Facts(facts_file(cache, "index", where, rules, code.hexdigest(), *_COLUMNS), _COLUMNS)
