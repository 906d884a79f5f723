"""The only place that chooses: settings to the parts of a server, mode to backend."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.api.mcp import McpPolicy
from harness.backends.ids import Ids
from harness.backends.journal import Journal
from harness.backends.mcp import McpUpstream
from harness.backends.pacing import Pace
from harness.backends.protocol import AtHand, Backend, Upstream
from harness.backends.providers import Provider, Providers
from harness.backends.record import RecordBackend
from harness.backends.record_if_missing import RecordIfMissingBackend
from harness.backends.replay import ReplayBackend
from harness.backends.routed import Routed
from harness.backends.runs import Runs
from harness.backends.tokens import TokenCounter
from harness.backends.upstream import UpstreamBackend
from harness.opening import cache_of, canonicalizer_of, key_variables_of, open_store, redactor_of
from harness.recording.canonical import Canonicalizer
from harness.recording.lookup import Reach
from harness.server.context import Services
from harness.server.identity import CountedIdentity, Identity, RandomIdentity
from harness.settings import Mode, Settings
from harness.stores.deferred import deferred
from harness.stores.lock import locked
from harness.stores.protocol import RecordingStore, StateStore


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of."""

    settings: Settings
    services: Services
    journal: Journal
    store: RecordingStore


async def build(settings: Settings, begun: int | None = None) -> Parts:
    """The parts that ``settings`` ask for. Must run in the event loop that will serve them.

    ``begun`` is when the run began that they are a part of, in nanoseconds since 1970: by default now.
    """
    canonicalizer = canonicalizer_of(settings)
    store = await asyncio.to_thread(open_store, settings, canonicalizer, begun)
    journal = Journal()
    backend = _backend(settings, store, journal, canonicalizer)
    try:
        if isinstance(backend.model, RecordBackend):
            await backend.model.begin()
        # What is in memory cannot fail to open; a database that does is told of at once.
        state = deferred(partial(_open_state, None)) if settings.state is None else await _open_state(settings.state)
    except BaseException:
        await backend.close(grace=0)
        raise
    return Parts(settings, _services(settings, backend, state, store), journal, store)


def _services(settings: Settings, backend: Routed, state: StateStore, store: RecordingStore) -> Services:
    return Services(
        backend,
        state,
        _identity(settings, state),
        settings.upstream_names,
        settings.upstream_parameters,
        TokenCounter(settings.upstream_names).counter,
        local_responses=settings.responses == "local",
        mcp=McpPolicy(settings.mcp_approval, settings.mcp_connectors),
        at_hand=_at_hand(settings, backend.model, store),
    )


async def _open_state(place: str | None) -> StateStore:
    # SQLAlchemy takes long to import: not before a state is really wanted, and nobody waits for it meanwhile.
    open_state, state_url = await asyncio.to_thread(_state_functions)
    return await open_state(state_url(place))


def _state_functions() -> tuple[Callable[[str], Awaitable[StateStore]], Callable[[str | None], str]]:
    from harness.stores.state import open_state, state_url

    return open_state, state_url


_Real = TypeVar("_Real", UpstreamBackend, McpUpstream)


@dataclass(frozen=True, slots=True)
class _Backends:
    """The backends of each mode, of whatever real thing they ask."""

    settings: Settings
    store: RecordingStore
    journal: Journal
    canonicalizer: Canonicalizer

    def of(
        self, mode: Mode, real: Callable[[], _Real], replay: ReplayBackend
    ) -> ReplayBackend | RecordBackend | RecordIfMissingBackend | _Real:
        if mode is Mode.REPLAY:
            return replay
        upstream = real()
        if mode is Mode.LIVE:
            return upstream
        record = self._record(upstream, again=mode is Mode.RECORD)
        return record if mode is Mode.RECORD else RecordIfMissingBackend(replay, record, self._lock)

    def _lock(self, key: str) -> AbstractContextManager[None]:
        """Be the only process on this machine that asks for ``key`` to record it.

        What another machine has recorded, or one in an object store, would not be seen when the lock is there.
        """
        if self.store.is_remote:
            return nullcontext()
        place = Path(str(self.settings.recordings)).resolve()
        return locked(cache_of(self.settings) / "asked" / hashlib.sha256(f"{place}\n{key}".encode()).hexdigest())

    def replay(self, reach: Reach = Reach.EVERYWHERE) -> ReplayBackend:
        speed = self.settings.speed
        return ReplayBackend(
            self.store,
            self.canonicalizer,
            self.journal,
            redactor_of(self.settings),
            strict=self.settings.strict,
            reach=reach,
            pace=Pace(speed, asyncio.sleep) if speed else None,
            variables=key_variables_of(self.settings),
        )

    def _record(self, upstream: Upstream, *, again: bool) -> RecordBackend:
        redactor = redactor_of(self.settings)
        return RecordBackend(
            Runs(self.store, self.journal, trims=again),
            Ids(self.store, redactor),
            upstream,
            self.journal,
            redactor,
            errors=self.settings.record_errors,
            clock=time.monotonic if self.settings.timings else None,
        )


def _backend(settings: Settings, store: RecordingStore, journal: Journal, canonicalizer: Canonicalizer) -> Routed:
    backends = _Backends(settings, store, journal, canonicalizer)
    replay = replay_of_servers = backends.replay(
        Reach.EVERYWHERE if settings.mode is Mode.REPLAY else Reach.EARLIER_RUNS
    )
    if settings.mode_of_servers is not Mode.REPLAY:
        # Servers of two tests may have everything in common that a request says of them, but not their tools. The one
        # that is there can be asked what another test's recording only seems to know.
        replay_of_servers = backends.replay(Reach.OWN_SCOPE)
    return Routed(
        backends.of(settings.mode, lambda: upstream_of(settings, journal), replay),
        backends.of(settings.mode_of_servers, lambda: McpUpstream(journal), replay_of_servers),
    )


def _at_hand(settings: Settings, model: Backend, store: RecordingStore) -> AtHand | None:
    """What answers for the model in any thread: replaying, from files. An object store keeps everybody waiting.

    Where what MCP servers answer is written down, the end of a scope's run is no matter of any thread.
    """
    return model if isinstance(model, ReplayBackend) and not store.is_remote and not settings.writes else None


def upstream_of(settings: Settings, journal: Journal | None = None) -> UpstreamBackend:
    """The real providers. It is closed by whoever asks for it."""
    return UpstreamBackend(_providers(settings), journal)


def _providers(settings: Settings) -> Providers:
    named = {
        name: Provider(one.base_url, one.api_key, one.auth, one.query, one.headers)
        for name, one in settings.upstreams.items()
    }
    return Providers(Provider(settings.upstream, settings.api_key), named, settings.upstream_names)


def _identity(settings: Settings, state: StateStore) -> Identity:
    if settings.mode is Mode.LIVE:
        return RandomIdentity(lambda: uuid.uuid4().hex, time.time)
    return CountedIdentity(state)
