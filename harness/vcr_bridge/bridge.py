"""A test of vcrpy's whose model traffic is in recordings.

vcrpy goes on doing all that it does: it patches the clients, knows the record modes, sends what is to be recorded. What
changes is where an interaction with a model comes from and goes to (the persister), and which recording answers a
request (the cassette): the one that means the same, else the one in its place, as far as ``match_on`` lets it. Other
hosts' interactions, and those that a cassette has already, stay in the cassette, in the project's own serializer and
persister.

vcrpy's record modes are the modes of the harness:

==================  ====================================================================================================
``none``            replay
``new_episodes``    record-if-missing
``once``            record-if-missing where the test has neither recordings nor a cassette, else replay
``all``             record: what is asked again is replaced, its sequence as a whole
``rewrite``         record, and what the test does not ask any more goes (once it has passed)
==================  ====================================================================================================
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.request import Request as VcrRequest

from harness.errors import RecordingError
from harness.recording.asking_order import in_asking_order
from harness.recording.canonical import Canonicalizer
from harness.recording.cassette_names import is_in, scope_in
from harness.recording.http_exchange import exchange_of, http_of
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange
from harness.recording.recordable import is_recordable
from harness.recording.redact import Redactor
from harness.stores.protocol import RecordingStore
from harness.vcr_bridge.cassettes import http_of as http_of_interaction
from harness.vcr_bridge.cassettes import response_of
from harness.vcr_bridge.matching import OF_CASSETTE, Matcher, RecordedRequest
from harness.vcr_bridge.playing import BridgedCassette, Listener


@dataclass(frozen=True)
class Bridge:
    """Between one test's cassette and its recordings.

    ``test`` is the test's scope, ``root`` the folder below which its file and its cassette are. ``strict`` and
    ``record_errors`` are the settings of that name, ``hosts`` are providers beside those that are known, ``rewrites``
    says that the record mode is pytest-recording's ``rewrite``, ``has_passed`` (called at the test's end) that what is
    left over may go.
    """

    store: RecordingStore
    canonicalizer: Canonicalizer
    redactor: Redactor
    test: str
    listener: Listener
    root: str = ""
    strict: bool = False
    record_errors: bool = False
    hosts: Collection[str] = ()
    rewrites: bool = False
    has_passed: Callable[[], bool] = lambda: True

    def config(self, merged: Mapping[str, Any]) -> dict[str, Any]:
        """What makes a ``BridgedCassette``, of what vcrpy would make a cassette of.

        The persister and the matchers of that stand behind ours, whoever chose them: a test's marker and the project's
        ``vcr_config`` are merged by then with what is registered.
        """
        matcher = Matcher(self.canonicalizer, self.redactor, self.test, strict=self.strict, hosts=self.hosts)
        replaces = self.rewrites or merged["record_mode"] == RecordMode.ALL
        return {
            **merged,
            "persister": RecordingsPersister(self, merged["persister"], matcher, replaces=replaces),
            "match_on": [matcher.matches, *map(matcher.for_cassettes, merged["match_on"])],
            "matcher": matcher,
            "own_matchers": merged["match_on"],
            "store": self.store,
            "canonicalizer": self.canonicalizer,
            "listener": self.listener,
        }


def install(vcr: Any, bridge_of: Callable[[str], Bridge | None]) -> None:
    """Let a ``vcr.VCR`` make bridged cassettes.

    ``bridge_of`` is called with vcrpy's record mode when a cassette begins to be used; where it gives None, the
    cassette is vcrpy's alone.
    """
    use_cassette = vcr.use_cassette

    def use_bridged(path: Any = None, **kwargs: Any) -> Any:
        mode = vcr.get_merged_config(**kwargs)["record_mode"]
        # A project may name it by its text, which vcrpy before 8.5 hands on as it is.
        bridge = None if callable(path) else bridge_of(str(getattr(mode, "value", mode)))
        if bridge is None:
            return use_cassette(path, **kwargs)
        return BridgedCassette.use_arg_getter(lambda: bridge.config(vcr.get_merged_config(path=path, **kwargs)))

    vcr.use_cassette = use_bridged


@dataclass
class RecordingsPersister:
    """What vcrpy loads from and saves to: recordings for models, and ``inner``, the project's own, for the rest.

    With ``replaces`` what was recorded before is not added to, but replaced.
    """

    bridge: Bridge
    inner: Any
    matcher: Matcher
    replaces: bool = False
    _loaded: list[str] = field(default_factory=list)
    _count_in_cassette: int = 0

    def load_cassette(self, cassette_path: Any, serializer: Any) -> tuple[Any, ...]:
        """The scope's recordings, then what is in the cassette. Raises CassetteNotFoundError when there is neither."""
        recordings = list(self._recordings(self._place(cassette_path)))
        self._loaded = [request.name for request, _ in recordings]
        if self.bridge.rewrites:
            recordings = []
        try:
            requests, responses, *metadata = self.inner.load_cassette(cassette_path, serializer)
        except CassetteNotFoundError:
            if not recordings:
                raise
            requests, responses, metadata = [], [], []
        for request in requests:
            setattr(request, OF_CASSETTE, True)
        self._count_in_cassette = len(requests)
        return (
            [*(request for request, _ in recordings), *requests],
            [*(response for _, response in recordings), *responses],
            *metadata,
        )

    def _place(self, cassette_path: Any) -> str:
        """A cassette's path below the root, with slashes."""
        path, root = Path(os.fspath(cassette_path)).resolve(), Path(self.bridge.root).resolve()
        return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()

    def _recordings(self, cassette: str) -> Iterable[tuple[RecordedRequest, dict[str, Any]]]:
        store, test = self.bridge.store, self.bridge.test
        found = {entry.name: store.load(entry.name) for entry in store.entries() if is_in(entry.scope, cassette, test)}
        for name in in_asking_order(found):
            exchange = found[name]
            try:
                http = http_of(exchange)
            except RecordingError:
                continue  # It is no answer that a cassette could give; asked for, it is missed.
            meaning = self.matcher.meaning(exchange.request)
            yield RecordedRequest(name, exchange, http, meaning), response_of(http)

    def save_cassette(self, cassette_path: Any, cassette_dict: Mapping[str, Any], serializer: Any) -> None:
        """Write new interactions with models as recordings, and the cassette where anything of it changed."""
        rows = list(zip(cassette_dict["requests"], cassette_dict["responses"], strict=True))
        scope, rest, new = scope_in(self._place(cassette_path), self.bridge.test), [], []
        for request, response in rows:
            if isinstance(request, RecordedRequest):
                continue
            exchange = None if hasattr(request, OF_CASSETTE) else self._exchange(request, response, scope)
            if exchange is None:
                rest.append((request, response))
            else:
                new.append(exchange)
        # Some versions of vcrpy hand over what was asked again in its old form, too.
        again = {self.matcher.meaning(exchange.request) for exchange in new if self.replaces}
        recorded = [request for request, _ in rows if isinstance(request, RecordedRequest)]
        stays = [request for request in recorded if request.meaning not in again]
        behind = max((request.position or 0 for request in stays), default=0)
        kept = [request.name for request in stays]
        written = self._write([replace(one, position=at) for at, one in enumerate(new, behind + 1)], kept)
        if self.replaces and self.bridge.has_passed():
            # What is recorded again stays in its folder.
            stay = {_bare(name) for name in kept} | written
            for name in [name for name in self._loaded if _bare(name) not in stay]:
                self.bridge.store.remove(name)
        of_cassette = [request for request, _ in rest if hasattr(request, OF_CASSETTE)]
        if len(rest) > len(of_cassette) or len(of_cassette) != self._count_in_cassette:
            parts = {"requests": [row[0] for row in rest], "responses": [row[1] for row in rest]}
            self.inner.save_cassette(cassette_path, {**cassette_dict, **parts}, serializer)

    def _exchange(self, request: VcrRequest, response: Mapping[str, Any], scope: str) -> Exchange | None:
        """What is to be recorded of an interaction; None for what belongs into the cassette.

        That is other hosts' traffic, what no recording can hold, and failures that say nothing of the request: a test
        of them goes on as before.
        """
        try:
            http = http_of_interaction(request._to_dict(), response)  # noqa: SLF001 - vcr's own form of a request
            is_kept = self.bridge.record_errors or is_recordable(http.status)
            if not is_kept or not self.matcher.is_models(http):
                return None
            return exchange_of(http, scope, self.bridge.redactor)
        except (RecordingError, AttributeError, KeyError, TypeError, ValueError):
            return None

    def _write(self, exchanges: list[Exchange], kept: list[str]) -> set[str]:
        """Write recordings under the next names of their keys, beside those that are ``kept``."""
        taken, counts = set(map(_bare, kept)), Counter[str]()
        for exchange in exchanges:
            base = key(exchange.request, self.bridge.redactor)
            name = base
            while not counts[base] or name in taken:
                counts[base] += 1
                name = recording_name(base, counts[base])
            taken.add(name)
            is_new = self.bridge.store.save(exchange, name)
            self.bridge.listener.recorded(name, exchange.request, is_new=is_new)
        return taken - set(map(_bare, kept))


def _bare(name: str) -> str:
    """A recording's name without its folder."""
    return name.rpartition("/")[2]
