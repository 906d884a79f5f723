"""Tests of vcrpy's plugins whose model traffic is in recordings: each gets a bridge, and is part of the report."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.again import record_command
from harness.pytest_plugin.moment import test_id

if TYPE_CHECKING:
    from harness.errors import RecordingNotFound
    from harness.recording.model import Request
    from harness.recording.near_miss import NearMiss
    from harness.report.run_log import Asked
    from harness.settings import Settings
    from harness.stores.protocol import RecordingStore
    from harness.vcr_bridge import Bridge

_REWRITE = "rewrite"
"""The record mode that pytest-recording knows beside vcrpy's."""

_STREAM_OR_WHOLE = "  one is a stream, the other is not"
"""How requests differ that differ in nothing else: vcrpy makes no stream of a whole answer."""


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

    def begin(self, item: pytest.Item, settings: "Settings", scope: str, mode: str) -> "Bridge":
        """The bridge between a test's cassette and its recordings. Raises HarnessError."""
        from harness.opening import canonicalizer_of, redactor_of
        from harness.vcr_bridge import Bridge

        store = self._store(settings)
        rewrites = _rewrites(item)
        self.scopes[test_id(item)] = scope
        self.stores[str(settings.recordings)] = store
        self.modes[f"vcr {_REWRITE if rewrites else mode}"] = None
        self.failed.discard(test_id(item))
        return Bridge(
            store,
            canonicalizer_of(settings),
            redactor_of(settings),
            scope,
            _Listener(self, item.config, test_id(item), scope, str(settings.recordings), _recording_flag(item)),
            root=str(item.config.rootpath),
            strict=settings.strict,
            record_errors=settings.record_errors,
            hosts=settings.upstream_hosts,
            rewrites=rewrites,
            has_passed=lambda: test_id(item) not in self.failed,
        )

    def _store(self, settings: "Settings") -> "RecordingStore":
        from harness.opening import open_store
        from harness.settings import Mode

        # vcrpy's record mode decides whether anything is written.
        wanted = replace(settings, mode=Mode.RECORD_IF_MISSING)
        for opened, store in self._opened:
            if opened == wanted:
                return store
        store = open_store(wanted)
        self._opened.append((wanted, store))
        return store


@dataclass(frozen=True, slots=True)
class _Listener:
    """Notes what became of one test's requests. ``flag`` records what they miss."""

    bridged: Bridged
    config: pytest.Config
    test: str
    scope: str
    where: str
    flag: str

    def replayed(self, name: str, request: "Request", by_place: "NearMiss | None") -> None:
        if by_place is None:
            self._note("replayed", request, name)
        else:
            from harness.report.run_log import BY_PLACE

            differs = by_place.lines() or [_STREAM_OR_WHOLE]
            self._note(BY_PLACE, request, name, differs=differs, details={"nearest": by_place.as_json()})

    def recorded(self, name: str, request: "Request", *, is_new: bool) -> None:
        self._note("recorded" if is_new else "unchanged", request, name)

    def missed(self, request: "Request", error: "RecordingNotFound") -> None:
        hint = f"Record it:  {record_command(self.config, [self.test], [self.flag], [error.key_variable])}"
        self._note(
            "missed",
            request,
            error=error.message,
            hint=hint,
            details=dict(error.details),
            flag=self.flag,
            key_variable=error.key_variable,
        )

    def _note(self, outcome: str, request: "Request", name: str | None = None, **more: Any) -> None:
        from harness.report.run_log import Asked

        asked = Asked(outcome, self.scope, request.path, request.model, self.where, name, test=self.test, **more)
        self.bridged.asked.append(asked)


def _rewrites(item: pytest.Item) -> bool:
    """Whether a test's record mode is pytest-recording's own: of its marker, ``vcr_config``, or the flag."""
    if not item.config.pluginmanager.hasplugin("recording"):
        return False
    request: Any = item._request  # type: ignore[attr-defined] # noqa: SLF001 - an item has no other door to its fixtures
    merged = dict(request.getfixturevalue("vcr_config"))
    for marker in reversed(list(item.iter_markers("vcr"))):
        merged |= marker.kwargs
    return str(merged.get("record_mode") or request.getfixturevalue("record_mode")) == _REWRITE


def _recording_flag(item: pytest.Item) -> str:
    """The flag by which a test records what it misses."""
    is_ours = item.config.pluginmanager.hasplugin("recording")
    return "--record-mode=new_episodes" if is_ours else "--vcr-record=new_episodes"


class PytestVcr:
    """A plugin for runs with pytest-vcr, which has no hook: its fixture ``vcr`` makes the ``vcr.VCR`` of a module."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        from harness.pytest_plugin.run import run_of

        vcr = yield
        # A project may hand on the same one from a fixture of its own by this name.
        if fixturedef.argname == "vcr" and fixturedef.func.__module__ == "pytest_vcr":
            run_of(request.config).bridge(vcr)
        return vcr
