"""The only place that chooses: settings to parts, mode to backend, path or URL to store.

What serves, records or asks an upstream is imported by the functions that choose it: commands that only look at
recordings, in many processes, come here for the rules and the stores.
"""

import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from harness.backends.journal import Journal
from harness.backends.protocol import AtHand, Backend
from harness.recording.canonical import Canonicalizer
from harness.recording.presets import preset
from harness.recording.redact import Redactor
from harness.recording.rules import EVERYWHERE, Rule, ignoring, replacing
from harness.recording.secret_patterns import secret_shape
from harness.recording.verify import Verifier
from harness.settings import Bucket, Match, Mode, Place, Settings
from harness.stores.directory import DirectoryStore
from harness.stores.facts import Facts, facts_file
from harness.stores.index import index_facts
from harness.stores.protocol import RecordingStore, StateStore
from harness.stores.secret_scan import is_installed, scanner
from harness.stores.several import SeveralStores

if TYPE_CHECKING:
    from harness.backends.providers import Providers
    from harness.backends.upstreams import Upstreams
    from harness.server.context import Services
    from harness.server.identity import Identity


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of."""

    settings: Settings
    services: "Services"
    journal: Journal
    store: RecordingStore


async def build(settings: Settings) -> Parts:
    """The parts that ``settings`` ask for. Must run in the event loop that will serve them."""
    import asyncio

    from harness.backends.record import RecordBackend
    from harness.backends.tokens import TokenCounter
    from harness.server.context import Services
    from harness.stores.deferred import deferred

    canonicalizer = canonicalizer_of(settings)
    store = await asyncio.to_thread(open_store, settings, canonicalizer)
    journal = Journal()
    backend = _backend(settings, store, journal, canonicalizer)
    if isinstance(backend, RecordBackend):
        await backend.begin()
    # What is in memory cannot fail to open; a database that does is told of at once.
    state = deferred(partial(_open_state, None)) if settings.state is None else await _open_state(settings.state)
    services = Services(
        backend,
        state,
        _identity(settings, state),
        settings.upstream_names,
        settings.upstream_parameters,
        TokenCounter(settings.upstream_names).counter,
        local_responses=settings.responses == "local",
        at_hand=_at_hand(settings, backend),
    )
    return Parts(settings, services, journal, store)


async def _open_state(place: str | None) -> StateStore:
    # SQLAlchemy takes long to import: not before a state is really wanted, and nobody waits for it meanwhile.
    import asyncio

    open_state, state_url = await asyncio.to_thread(_state_functions)
    return await open_state(state_url(place))


def _state_functions() -> tuple[Callable[[str], Awaitable[StateStore]], Callable[[str | None], str]]:
    from harness.stores.state import open_state, state_url

    return open_state, state_url


def canonicalizer_of(settings: Settings) -> Canonicalizer:
    """What makes two requests equal, the user's own rules included.

    What is ignored goes first, so that nothing is looked for in it; what is written for one endpoint before what holds
    everywhere, and the user's own expressions before presets.
    """
    tables = [*settings.match.endpoints.items(), (EVERYWHERE, settings.match)]
    ignored = [ignoring(path, endpoint) for endpoint, table in tables for path in table.ignore]
    return Canonicalizer(settings.upstream_names, [*ignored, *(rule for row in tables for rule in _placeholders(*row))])


def _placeholders(endpoint: str, table: Match) -> list[Rule]:
    own = [replacing(pattern, word, endpoint) for pattern, word in table.replace]
    return [*own, *(rule for name in table.presets for rule in preset(name, endpoint))]


def redactor_of(settings: Settings) -> Redactor:
    """What is secret, what the user adds included."""
    secret = settings.redact
    keys = [settings.api_key, *(upstream.api_key for upstream in settings.upstreams.values())]
    return Redactor(
        tuple(map(secret_shape, secret.patterns)),
        frozenset(name.lower() for name in secret.fields),
        (*secret.values, *filter(None, keys)),
    )


def verifier_of(settings: Settings, place: str, *, looks_for_secrets: bool = True) -> Verifier:
    """What looks at recordings in ``place``, as the user writes it; with detect-secrets where that is installed."""
    scanners = [scanner()] if looks_for_secrets and is_installed() else []
    return Verifier(place, canonicalizer_of(settings), redactor_of(settings), scanners)


def open_store(settings: Settings, canonicalizer: Canonicalizer | None = None) -> RecordingStore:
    """Where the recordings are. May take a while for an object store, which is asked what it has."""
    rules = canonicalizer or canonicalizer_of(settings)
    stores = [_store(place, settings, rules) for place in (settings.recordings, *settings.more_recordings)]
    return stores[0] if len(stores) == 1 else SeveralStores(stores)


def _store(place: Place, settings: Settings, canonicalizer: Canonicalizer) -> RecordingStore:
    if isinstance(place, Bucket):
        return _objects(place, settings, canonicalizer)
    return _directory(place, settings, canonicalizer)


def _directory(place: Path, settings: Settings, canonicalizer: Canonicalizer) -> DirectoryStore:
    facts = index_facts(_cache(settings), place, _rules(settings))
    return DirectoryStore(place, canonicalizer, keep_equal=settings.keep_equal, facts=facts)


def _objects(place: Bucket, settings: Settings, canonicalizer: Canonicalizer) -> RecordingStore:
    from harness.stores.bucket import BucketClient
    from harness.stores.copies import COLUMNS, Copies
    from harness.stores.objects import ObjectStore

    client = BucketClient(place.url)
    facts = facts_file(_cache(settings), "objects", place.url, os.environ.get("AWS_ENDPOINT_URL", ""))
    directory = facts.with_suffix("")
    return ObjectStore(
        client,
        Copies(directory, Facts(facts, COLUMNS)),
        _directory(directory, settings, canonicalizer),
        keep_equal=settings.keep_equal,
        writes=settings.mode.writes,
    )


def _cache(settings: Settings) -> Path:
    return settings.cache or platformdirs.user_cache_path("harness")


def _rules(settings: Settings) -> str:
    """Whatever the user said that may bear on what is equal: an index made under other rules is another one."""
    same = Settings()
    others = (
        *("mode", "recordings", "more_recordings", "upstream", "strict", "keep_equal", "state", "api_key", "cache"),
        *("responses", "record_errors", "timings", "speed", "vcr"),
    )
    return repr(replace(settings, **{name: getattr(same, name) for name in others}))


def _backend(settings: Settings, store: RecordingStore, journal: Journal, canonicalizer: Canonicalizer) -> Backend:
    import asyncio

    from harness.backends.ids import Ids
    from harness.backends.pacing import Pace
    from harness.backends.record import RecordBackend
    from harness.backends.record_if_missing import RecordIfMissingBackend
    from harness.backends.replay import ReplayBackend
    from harness.backends.runs import Runs

    redactor = redactor_of(settings)
    pace = Pace(settings.speed, asyncio.sleep) if settings.speed else None
    replay = ReplayBackend(store, canonicalizer, journal, redactor, strict=settings.strict, pace=pace)
    if settings.mode is Mode.REPLAY:
        return replay
    upstream = upstreams_of(settings, journal)
    if settings.mode is Mode.LIVE:
        return upstream
    runs = Runs(store, journal, trims=settings.mode is Mode.RECORD)
    clock = time.monotonic if settings.timings else None
    ids = Ids(store, redactor)
    record = RecordBackend(runs, ids, upstream, journal, redactor, errors=settings.record_errors, clock=clock)
    return record if settings.mode is Mode.RECORD else RecordIfMissingBackend(replay, record)


def _at_hand(settings: Settings, backend: Backend) -> AtHand | None:
    """What of the backend answers in any thread: replaying, from files. An object store keeps everybody waiting."""
    from harness.backends.replay import ReplayBackend

    places = (settings.recordings, *settings.more_recordings)
    is_of_files = not any(isinstance(place, Bucket) for place in places)
    return backend if isinstance(backend, ReplayBackend) and is_of_files else None


def upstreams_of(settings: Settings, journal: Journal | None = None) -> "Upstreams":
    """Everything real that can be asked. It is closed by whoever asks for it."""
    from harness.backends.mcp import McpUpstream
    from harness.backends.upstream import UpstreamBackend
    from harness.backends.upstreams import Upstreams

    journal = journal or Journal()
    return Upstreams(UpstreamBackend(_providers(settings), journal), McpUpstream(), journal)


def _providers(settings: Settings) -> "Providers":
    from harness.backends.providers import Provider, Providers

    named = {
        name: Provider(one.base_url, one.api_key, one.auth, one.query, one.headers)
        for name, one in settings.upstreams.items()
    }
    return Providers(Provider(settings.upstream, settings.api_key), named, settings.upstream_names)


def _identity(settings: Settings, state: StateStore) -> "Identity":
    from harness.server.identity import CountedIdentity, RandomIdentity

    if settings.mode is Mode.LIVE:
        return RandomIdentity(lambda: uuid.uuid4().hex, time.time)
    return CountedIdentity(state)
