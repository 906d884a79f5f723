"""Recordings that no test asked for: which they are, and their end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin import options

if TYPE_CHECKING:
    from harness.report.coverage import Coverage
    from harness.report.run_log import RunLog
    from harness.settings import Settings
    from harness.stores.protocol import RecordingStore

Unused = list[tuple["RecordingStore", str]]
"""Each with the store that has it."""


def is_whole(config: pytest.Config, outcomes: Mapping[str, str], *, left_out: int) -> bool:
    """Whether a run was all of the suite: nothing was left out by name, by mark, by a plugin or by model."""
    narrowed = any(config.getoption(name, None) for name in ("keyword", "lf", "ignore", "ignore_glob", "collectonly"))
    by_model = any(config.getoption(f"--harness-{name}") for name in ("models", "setup"))
    if narrowed or by_model or left_out or not outcomes:
        return False
    if config.args_source is not config.ArgsSource.ARGS:
        return config.args_source is config.ArgsSource.TESTPATHS or config.invocation_params.dir == config.rootpath
    places = [config.invocation_params.dir / argument for argument in config.args]
    whole = [config.rootpath, *(config.rootpath / path for path in config.getini("testpaths"))]
    return config.rootpath in places or (len(whole) > 1 and set(whole[1:]) <= set(places))


def coverage(outcomes: Mapping[str, str], scopes: Mapping[str, str], *, whole: bool) -> "Coverage":
    """Which tests a run covered. ``scopes`` are those of tests whose scope is not their node id.

    Of a ``whole`` run, tests that are gone are covered too. What belongs to no test is not.
    """
    from harness.report.coverage import Coverage

    def scopes_of(tests: Iterable[str]) -> frozenset[str]:
        return frozenset(scopes.get(test, test) for test in tests)

    passed = scopes_of(test for test, outcome in outcomes.items() if outcome == "passed")
    others = scopes_of(test for test, outcome in outcomes.items() if outcome != "passed")
    return Coverage(passed - others, scopes_of(outcomes) if whole else None)


def find(log: "RunLog", settings: "Settings", covered: "Coverage", *, directories: Sequence[str], root: Path) -> Unused:
    """The recordings that a run would have used if anything needed them, of the suite at ``root``."""
    from harness.pruning import unused_in

    used = log.used()
    found: Unused = []
    for place in directories:
        store = _store(Path(place), settings)
        found += [(store, entry.name) for entry in unused_in(store, used.get(place, ()), covered, root)]
    return found


def _store(place: Path, settings: "Settings") -> "RecordingStore":
    from harness.opening import open_store

    return open_store(replace(settings, recordings=place, more_recordings=()))


def files(unused: Unused, root: Path) -> list[str]:
    """The files, as seen from the root of the project."""
    paths = [Path(store.where) / f"{name}.json" for store, name in unused]
    return [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths]


def prune(config: pytest.Config, unused: Unused, *, is_whole: bool, is_green: bool) -> str | None:
    """Delete them when the run allows it. What came of it in a sentence; None when it was not asked for."""
    if not config.getoption("--harness-prune"):
        return None
    if not is_whole:
        return "Nothing was pruned: this was not the whole suite (-k, a path, a mark, a model, a setup)."
    if not is_green:
        return "Nothing was pruned: the run was not green."
    for store, name in unused:
        store.remove(name)
    return f"Pruned {len(unused)} recording{'' if len(unused) == 1 else 's'}."


def fails(config: pytest.Config, unused: Unused) -> bool:
    return bool(unused) and bool(config.getoption("--harness-fail-on-unused")) and options.wants_unused(config)
