"""Settings to what looks at recordings: their store, the rules of what is equal, what is secret."""

import os
from dataclasses import replace
from pathlib import Path

import platformdirs

from harness.recording.canonical import Canonicalizer
from harness.recording.key_variables import KeyVariables
from harness.recording.presets import preset
from harness.recording.redact import Redactor
from harness.recording.rules import EVERYWHERE, Rule, ignoring, replacing
from harness.recording.secret_patterns import secret_shape
from harness.recording.verify import Verifier
from harness.settings import Bucket, Match, Place, Settings
from harness.stores.directory import DirectoryStore
from harness.stores.facts import Facts, facts_file
from harness.stores.index import index_facts
from harness.stores.protocol import RecordingStore
from harness.stores.secret_scan import is_installed, scanner
from harness.stores.several import SeveralStores


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


def key_variables_of(settings: Settings) -> KeyVariables:
    """Where the keys of the upstreams come from."""
    return KeyVariables(
        {name: "" if one.auth == "none" else settings.key_variable(name) for name, one in settings.upstreams.items()}
    )


def verifier_of(settings: Settings, place: str, *, looks_for_secrets: bool = True) -> Verifier:
    """What looks at recordings in ``place``, as the user writes it; with detect-secrets where that is installed."""
    scanners = [scanner()] if looks_for_secrets and is_installed() else []
    return Verifier(place, canonicalizer_of(settings), redactor_of(settings), scanners)


def open_store(
    settings: Settings, canonicalizer: Canonicalizer | None = None, begun: int | None = None
) -> RecordingStore:
    """Where the recordings are. May take a while for an object store, which is asked what it has."""
    rules = canonicalizer or canonicalizer_of(settings)
    stores = [_store(place, settings, rules, begun) for place in (settings.recordings, *settings.more_recordings)]
    return stores[0] if len(stores) == 1 else SeveralStores(stores)


def _store(place: Place, settings: Settings, canonicalizer: Canonicalizer, begun: int | None) -> RecordingStore:
    if isinstance(place, Bucket):
        return _objects(place, settings, canonicalizer, begun)
    return _directory(place, settings, canonicalizer, begun)


def _directory(
    place: Path, settings: Settings, canonicalizer: Canonicalizer, begun: int | None = None
) -> DirectoryStore:
    facts = index_facts(cache_of(settings), place, _rules(settings))
    return DirectoryStore(place, canonicalizer, keep_equal=settings.keep_equal, facts=facts, begun=begun)


def _objects(place: Bucket, settings: Settings, canonicalizer: Canonicalizer, begun: int | None) -> RecordingStore:
    from harness.stores.bucket import BucketClient
    from harness.stores.copies import COLUMNS, Copies
    from harness.stores.objects import ObjectStore

    client = BucketClient(place.url)
    facts = facts_file(cache_of(settings), "objects", place.url, os.environ.get("AWS_ENDPOINT_URL", ""))
    directory = facts.with_suffix("")
    return ObjectStore(
        client,
        Copies(directory, Facts(facts, COLUMNS)),
        _directory(directory, settings, canonicalizer),
        keep_equal=settings.keep_equal,
        writes=settings.writes,
        begun=begun,
    )


def cache_of(settings: Settings) -> Path:
    """The directory for what can be made again, and for what processes tell one another."""
    return settings.cache or platformdirs.user_cache_path("harness")


def _rules(settings: Settings) -> str:
    """Whatever the user said that may bear on what is equal: an index made under other rules is another one."""
    same = Settings()
    others = (
        *("mode", "recordings", "more_recordings", "upstream", "strict", "keep_equal", "state", "api_key", "cache"),
        *("responses", "record_errors", "timings", "speed", "vcr", "mcp_mode", "mcp_approval", "mcp_connectors"),
    )
    return repr(replace(settings, **{name: getattr(same, name) for name in others}))
