"""Tests of pytest-recording's whose model traffic is in recordings: each gets a bridge, and is part of the report."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.moment import test_id

if TYPE_CHECKING:
    from harness.recording.model import Request
    from harness.report.run_log import Asked
    from harness.settings import Settings
    from harness.stores.protocol import RecordingStore

_REWRITE = "rewrite"


class Bridged:
    """What such tests did in one run, and the stores that they share."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.scopes: dict[str, str] = {}
        """The scope of each such test."""
        self.modes: dict[str, None] = {}
        self.stores: dict[str, RecordingStore] = {}
        """By the place of the recordings."""
        self._opened: list[tuple[Settings, RecordingStore]] = []
        self.failed: set[str] = set()

    def begin(self, vcr: Any, item: pytest.Item, settings: "Settings", scope: str) -> None:
        """Put the bridge between a test's cassette and its recordings. Raises HarnessError."""
        from harness.vcr_bridge import Bridge
        from harness.wiring import canonicalizer_of, redactor_of

        store = self._store(settings)
        self.scopes[test_id(item)] = scope
        self.stores[str(settings.recordings)] = store
        mode = record_mode_of(item)
        self.modes[f"vcr {mode}"] = None
        self.failed.discard(test_id(item))

        def recorded(name: str, request: "Request", is_new: bool) -> None:  # noqa: FBT001 - as the bridge calls it
            self._note("recorded" if is_new else "unchanged", name, request, test_id(item), settings)

        Bridge(
            store,
            canonicalizer_of(settings),
            redactor_of(settings),
            scope,
            strict=settings.strict,
            record_errors=settings.record_errors,
            hosts=settings.upstream_hosts,
            rewrites=mode == _REWRITE,
            has_passed=lambda: test_id(item) not in self.failed,
            recorded=recorded,
        ).install(vcr)

    def _store(self, settings: "Settings") -> "RecordingStore":
        from harness.settings import Mode
        from harness.wiring import open_store

        # vcrpy's record mode decides whether anything is written.
        wanted = replace(settings, mode=Mode.RECORD_IF_MISSING)
        for opened, store in self._opened:
            if opened == wanted:
                return store
        store = open_store(wanted)
        self._opened.append((wanted, store))
        return store

    def played(self, item: pytest.Item, settings: "Settings") -> None:
        """Note what answered a test that has just been called."""
        from harness.vcr_bridge import played

        cassette = getattr(item, "funcargs", {}).get("vcr")
        for name, request in [] if cassette is None else played(cassette):
            self._note("replayed", name, request, test_id(item), settings)

    def _note(self, outcome: str, name: str, request: "Request", test: str, settings: "Settings") -> None:
        from harness.report.run_log import Asked

        where = str(settings.recordings)
        self.asked.append(Asked(outcome, self.scopes[test], request.path, request.model, where, name, test=test))


def record_mode_of(item: pytest.Item) -> str:
    """Vcrpy's record mode for a test, found as pytest-recording finds it: marker, ``vcr_config``, flag, ``none``."""
    request: Any = item._request  # type: ignore[attr-defined] # noqa: SLF001 - an item has no other door to its fixtures
    merged = dict(request.getfixturevalue("vcr_config"))
    for marker in reversed(list(item.iter_markers("vcr"))):
        merged |= marker.kwargs
    return str(
        getattr(merged.get("record_mode"), "value", merged.get("record_mode")) or request.getfixturevalue("record_mode")
    )
