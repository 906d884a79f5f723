"""The only place that chooses: settings to parts, mode to backend, path or URL to store."""

import time
import uuid
from dataclasses import dataclass

from harness.backends.journal import Journal
from harness.backends.mcp import McpUpstream
from harness.backends.protocol import Backend
from harness.backends.record import RecordBackend
from harness.backends.record_if_missing import RecordIfMissingBackend
from harness.backends.replay import ReplayBackend
from harness.backends.tokens import TokenCounter
from harness.backends.upstream import UpstreamBackend
from harness.backends.upstreams import Upstreams
from harness.recording.canonical import Canonicalizer, ignoring, replacing
from harness.server.context import Services
from harness.server.identity import CountedIdentity, Identity, RandomIdentity
from harness.settings import Mode, Settings
from harness.stores.directory import DirectoryStore
from harness.stores.protocol import RecordingStore, StateStore


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of."""

    settings: Settings
    services: Services
    journal: Journal
    store: RecordingStore


async def build(settings: Settings) -> Parts:
    """The parts that ``settings`` ask for. Must run in the event loop that will serve them."""
    # SQLAlchemy takes long to import: not before a server is really wanted.
    from harness.stores.state import open_state, state_url

    canonicalizer = canonicalizer_of(settings)
    store = DirectoryStore(settings.recordings, canonicalizer)
    journal = Journal()
    state = await open_state(state_url(settings.state))
    backend = _backend(settings, store, journal, canonicalizer)
    services = Services(
        backend,
        state,
        _identity(settings, state),
        settings.upstream_names,
        settings.upstream_parameters,
        TokenCounter(settings.upstream_names).counter,
        local_responses=settings.responses == "local",
    )
    return Parts(settings, services, journal, store)


def canonicalizer_of(settings: Settings) -> Canonicalizer:
    """What makes two requests equal, the user's own rules included."""
    match = settings.match
    rules = [*map(ignoring, match.ignore), *(replacing(pattern, word) for pattern, word in match.replace)]
    return Canonicalizer(settings.upstream_names, rules)


def _backend(settings: Settings, store: RecordingStore, journal: Journal, canonicalizer: Canonicalizer) -> Backend:
    replay = ReplayBackend(store, canonicalizer, journal, strict=settings.strict)
    if settings.mode is Mode.REPLAY:
        return replay
    model = UpstreamBackend(settings.upstream, settings.api_key, settings.upstream_names, journal)
    upstream = Upstreams(model, McpUpstream(), journal)
    if settings.mode is Mode.LIVE:
        return upstream
    record = RecordBackend(store, upstream, journal)
    return record if settings.mode is Mode.RECORD else RecordIfMissingBackend(replay, record)


def _identity(settings: Settings, state: StateStore) -> Identity:
    if settings.mode is Mode.LIVE:
        return RandomIdentity(lambda: uuid.uuid4().hex, time.time)
    return CountedIdentity(state)
