"""Recordings in an object store, read through copies on this machine and written on condition.

What is there is listed when the run begins, and again before anything is said not to be there, at most every few
seconds. An object is copied when it is first asked for, all of them when the index is; copies stay between runs and
count as long as the object's etag is the same. What was copied can be replayed while the store is away.

A recording is written only where the object still is as it was when the run began: of two recorders the second is told,
and nothing is overwritten in silence.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from harness.errors import HarnessError, RecordingError, RecordingNotSent
from harness.recording import format as file_format
from harness.recording.key import parse_stem, recording_name
from harness.recording.lookup import Entry
from harness.recording.model import Exchange, Request
from harness.recording.near_miss import record_command
from harness.recording.unchanged import is_unchanged
from harness.stores.bucket import BucketClient, Conflict, Listed, Unreachable
from harness.stores.copies import Copies
from harness.stores.directory import DirectoryStore
from harness.stores.unsent import Unsent

_COPIERS = 16
_SECOND = 1_000_000_000
_LISTED_SECONDS = 10.0
"""How long a list of what is there is taken for true, when something seems not to be."""


class ObjectStore:
    """A RecordingStore over an object store. ``files`` is the store over the directory of the copies.

    With ``writes``, what an earlier run could not send is sent first. ``begun`` is when the run began that this store
    is opened for, in nanoseconds since 1970: by default now. Raises RecordingError when there is nothing to work with.
    """

    def __init__(
        self,
        client: BucketClient,
        copies: Copies,
        files: DirectoryStore,
        *,
        keep_equal: bool = True,
        writes: bool = False,
        listed_seconds: float = _LISTED_SECONDS,
        begun: int | None = None,
    ) -> None:
        self.where, self.is_remote = client.url, True
        self._client, self._copies, self._files = client, copies, files
        self._keep_equal, self._listed_seconds = keep_equal, listed_seconds
        self._unsent = Unsent(copies.directory / ".unsent")
        self._etags: dict[str, str] = {}
        self._folders: list[str] = []
        self._generation = 0
        self._listed_at = time.monotonic()
        self._listing = threading.Lock()
        self._rests: dict[str, dict[str, str]] = {}
        self._faults: list[str] = []
        later = self._begin(writes=writes, begun=begun)
        self._based_on = dict(self._etags)
        self._at_first = {name: etag for name, etag in self._etags.items() if name not in later}

    def _begin(self, *, writes: bool, begun: int | None) -> set[str]:
        """Take stock of what is there, or, while the store is away, of the copies; send what was not sent.

        What others have written since the run began.
        """
        try:
            listed = self._client.list()
            self._now_there(listed)
        except Unreachable as error:
            if not self._copies.etags:
                raise RecordingError(
                    f"{self.where} could not be reached, and nothing of it has been copied yet: {error}",
                    hint="Are AWS_ENDPOINT_URL and AWS_REGION right? See: aws s3 ls",
                ) from error
            self._etags = self._copies.etags
            self._faults.append(f"{self.where} could not be reached: what was copied of it answers ({error})")
            return set()
        if writes:
            self._send()
        return set() if begun is None else {name for name, one in listed.items() if one.modified >= begun // _SECOND}

    def _now_there(self, listed: dict[str, Listed]) -> None:
        """Take over a list of what is there; copies of anything else are removed, so that no index has them."""
        etags = {name: one.etag for name, one in listed.items()}
        if etags != self._etags:
            self._generation += 1
        self._etags, self._listed_at = etags, time.monotonic()
        self._folders = sorted({name.rpartition("/")[0] + "/" for name in etags if "/" in name})
        self._copies.forget(name for name, etag in self._copies.etags.items() if etags.get(name) != etag)

    def _send(self) -> None:
        """Send what an earlier run could not."""
        with suppress(Unreachable):
            for name, path, text, based_on in self._unsent.all():
                try:
                    self._written(name, text.encode(), self._client.put(name, text.encode(), based_on))
                except Conflict:
                    now = self._client.get(name)
                    if now is None or now[0] != text.encode():
                        self._faults.append(f"{path} was not sent: {self._url(name)} is another by now. Delete {path}")
                        continue
                path.unlink(missing_ok=True)

    def _written(self, name: str, data: bytes, etag: str) -> None:
        self._etags[name] = etag
        self._generation += 1
        self._copies.put(name, data, etag)

    def _list_again(self) -> None:
        """See what is there now, unless that was done a moment ago or the store is away."""
        with self._listing:
            if time.monotonic() - self._listed_at > self._listed_seconds:
                with suppress(Unreachable):
                    self._now_there(self._client.list())
                self._listed_at = time.monotonic()

    def find(self, key: str) -> list[str]:
        if self._base(key) is None:
            self._list_again()
        base = self._base(key)
        return self._sequence(base) if base is not None else []

    def beginning(self, digits: str) -> list[str]:
        self._list_again()
        return sorted(name for name in list(self._etags) if name.rpartition("/")[2].startswith(digits))

    def _base(self, key: str) -> str | None:
        """The key, with the folder before it in which it is; None when it is not there."""
        return next((folder + key for folder in ("", *self._folders) if folder + key in self._etags), None)

    def _sequence(self, base: str, first: int = 1) -> list[str]:
        names, number = [], first
        while (name := recording_name(base, number)) in self._etags:
            names.append(name)
            number += 1
        return names

    def has(self, name: str) -> bool:
        return name in self._etags

    def is_older(self, name: str) -> bool:
        return name in self._at_first and self._at_first[name] == self._etags.get(name)

    def count(self) -> int:
        return len(self._etags)

    def load(self, name: str) -> Exchange:
        if name not in self._etags or not self._copies.has(name, self._etags[name]):
            try:
                is_there = self._copy(name)
            except Unreachable as error:
                raise RecordingError(
                    f"{self._url(name)} could not be reached, and has not been copied yet: {error}",
                    hint="Try again when the store is there.",
                ) from error
            if not is_there:
                raise RecordingError(f"{self._url(name)}: there is none (any more).", hint="Record it again.")
        return self._files.load(name)

    def _url(self, name: str) -> str:
        return f"{self.where}/{name}.json"

    def _copy(self, name: str) -> bool:
        """Copy an object as it is now; whether there is one."""
        found = self._client.get(name)
        if found is None:
            self._etags.pop(name, None)
            return False
        self._etags[name] = found[1]
        self._copies.put(name, *found)
        return True

    def _copy_all(self) -> None:
        """Copy what has not been copied yet, as far as the store can be reached."""
        self._list_again()
        copied = self._copies.etags
        missing = [name for name, etag in list(self._etags.items()) if copied.get(name) != etag]
        if missing:
            with ThreadPoolExecutor(_COPIERS) as pool:
                for done in [pool.submit(self._copy, name) for name in missing]:
                    with suppress(Unreachable):
                        done.result()
        self._copies.remember()

    def entries(self) -> Sequence[Entry]:
        self._copy_all()
        return self._there(self._files.entries())

    def sharing(self, fingerprint: str) -> Sequence[Entry]:
        self._copy_all()
        return self._there(self._files.sharing(fingerprint))

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        self._copy_all()
        return self._there(self._files.nearest(request, at_most))

    def _there(self, entries: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in entries if entry.name in self._etags]

    def broken(self) -> Sequence[str]:
        return [*self._faults, *self._files.broken()]

    def passed_over(self) -> int:
        return self._files.passed_over()

    def stamp(self, names: Sequence[str]) -> object:
        return self._generation, *(self._etags.get(name) for name in names)

    def save(self, exchange: Exchange, name: str) -> bool:
        base, number = parse_stem(name)
        base = self._base(base) or base
        name = recording_name(base, number)
        if number == 1:
            self._rests[base] = {old: self._etags[old] for old in self._sequence(base, 2)}
        if self._keep_equal and self._says_the_same(name, exchange):
            return False
        return self._put(name, exchange)

    def renew(self, name: str, ids: Mapping[str, str]) -> None:
        base, number = parse_stem(name)
        name = recording_name(self._base(base) or base, number)
        old = self.load(name)
        if old.ids != ids:
            self._put(name, replace(old, ids=ids))

    def _put(self, name: str, exchange: Exchange) -> bool:
        """Write a recording; False where someone else has meanwhile written one that says the same."""
        data = file_format.dumps(file_format.to_document(exchange)).encode()
        try:
            etag = self._client.put(name, data, self._based_on.get(name))
        except Conflict as error:
            if self._is_now(name, exchange):
                return False
            raise self._conflict(name, exchange) from error
        except Unreachable as error:
            raise self._kept(name, data.decode(), str(error)) from error
        self._based_on[name] = etag
        self._written(name, data, etag)
        self._copies.remember()
        return True

    def _says_the_same(self, name: str, exchange: Exchange) -> bool:
        try:
            return self.has(name) and is_unchanged(self.load(name), exchange)
        except RecordingError:
            return False

    def _is_now(self, name: str, exchange: Exchange) -> bool:
        """Whether what another recorder wrote says the same, or was our own, written at a second try."""
        with suppress(Unreachable, RecordingError):
            if self._copy(name) and is_unchanged(self._files.load(name), exchange):
                self._based_on[name] = self._etags[name]
                return True
        return False

    def _conflict(self, name: str, exchange: Exchange) -> RecordingError:
        command = record_command(exchange.request).replace("record-if-missing", "record")
        return RecordingError(
            f"{self._url(name)} was written by someone else since this run began; it was left as it is.",
            hint=f"To replace it all the same:  {command}",
            code="recording_conflict",
        )

    def _kept(self, name: str, text: str, why: str) -> HarnessError:
        url = self._url(name)
        try:
            path = self._unsent.keep(name, text, self._based_on.get(name))
        except OSError as error:
            return RecordingError(
                f"{url} could not be written ({why}), nor kept here: {error.strerror}", hint="Record it again."
            )
        return RecordingNotSent(
            f"{url} could not be written: {why}",
            hint=f"It is kept in {path} and sent by the next run that records here.",
        )

    def trim(self, base: str, count: int) -> list[str]:
        base = self._base(base) or base
        rest = sorted(self._rests.pop(base, {}).items(), key=lambda row: -parse_stem(row[0])[1])
        left = [name for name, etag in rest if parse_stem(name)[1] > count and self._deleted(name, etag)]
        return left[::-1]

    def remove(self, name: str) -> None:
        if name in self._etags:
            self._deleted(name, self._etags[name])

    def _deleted(self, name: str, etag: str) -> bool:
        """Delete an object that still is as it was; whether it did. Raises RecordingError."""
        try:
            if not self._client.delete(name, etag):
                return False
        except Unreachable as error:
            raise RecordingError(
                f"{self._url(name)} could not be removed: {error}", hint="Try again when the store is there."
            ) from error
        del self._etags[name]
        self._generation += 1
        self._copies.forget([name])
        return True
