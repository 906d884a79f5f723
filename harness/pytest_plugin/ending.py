"""The end of a run: the logs of all its processes as one, what is unused, the reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin import options, unused
from harness.pytest_plugin.guard import ROUTES
from harness.pytest_plugin.run import Run

if TYPE_CHECKING:
    from harness.report.coverage import Coverage
    from harness.report.run_log import RunLog

WORKERS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
"""What xdist's workers told when they ended."""

ENDED: pytest.StashKey["Ended | None"] = pytest.StashKey()

_WORST = ("failed", "error", "skipped", "xfailed", "xpassed", "passed")
"""Which of a test's phases counts as its outcome: the first of these that it has."""


_COMMAND = "pytest"
"""What begins a whole run again."""


@dataclass(slots=True)
class Ended:
    """A run that has ended, and sentences for the end of its summary."""

    log: "RunLog"
    notes: list[str] = field(default_factory=list)


def told(run: Run) -> dict[str, Any]:
    """What a worker tells of its part, in the simplest types."""
    return {
        "log": run.log().as_json(),
        "directories": run.directories(),
        "scopes": run.scopes(),
        "written": run.written,
        "unrecorded": run.unrecorded,
    }


def end(session: pytest.Session, run: Run, exitstatus: int) -> Ended | None:
    """Close what was opened and sum up. None when nothing used the harness, and nothing was asked for."""
    from_workers = session.config.stash.get(WORKERS, [])
    parts = [*from_workers, *([told(run)] if run.is_used or run.unrecorded else [])]
    if not parts and not options.reports(session.config) and not options.wants_unused(session.config):
        return None
    ended = Ended(_merged(run, parts), _unrecorded(parts))
    written = {name: test for part in parts for name, test in part["written"].items()}
    outcomes = {written.get(name, name): outcome for name, outcome in _outcomes(session.config).items()}
    ended.log.tests = {test: outcomes.get(test, "unknown") for test in sorted(ended.log.tests)}
    _sum_up(session, run, ended, _Whole(parts, outcomes, run.left_out, exitstatus))
    return ended


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the processes of a run told, and how its tests ended."""

    parts: list[dict[str, Any]]
    outcomes: Mapping[str, str]
    left_out: int
    exitstatus: int

    @property
    def directories(self) -> list[str]:
        return sorted({place for part in self.parts for place in part["directories"]})

    @property
    def scopes(self) -> dict[str, str]:
        return {test: scope for part in self.parts for test, scope in part["scopes"].items()}


def _merged(run: Run, parts: list[dict[str, Any]]) -> "RunLog":
    from harness.report.run_log import merge

    log = run.log()
    log.asked, log.tests = [], {}
    if parts:
        # A controller of xdist's runs no test: its own mode counts where a worker had it too.
        had = {mode for part in parts for mode in part["log"]["mode"].split(", ")}
        log.mode = ", ".join(mode for mode in log.mode.split(", ") if mode in had)
    return merge([part["log"] for part in parts], log)


def _unrecorded(parts: list[dict[str, Any]]) -> list[str]:
    """Sentences on what was asked past the harness while it recorded."""
    found = {test: hosts for part in parts for test, hosts in part["unrecorded"].items()}
    if not found:
        return []
    lines = [f"  {test}  ({hosts})" for test, hosts in sorted(found.items())]
    return ["", "Asked past the harness, and so not recorded:", *lines, ROUTES]


def _sum_up(session: pytest.Session, run: Run, ended: Ended, whole: _Whole) -> None:
    config, log = session.config, ended.log
    is_whole = unused.is_whole(config, whole.outcomes, left_out=whole.left_out)
    is_green = whole.exitstatus == pytest.ExitCode.OK
    covered = unused.coverage(whole.outcomes, whole.scopes, whole=is_whole).without(log.live())
    if options.wants_unused(config):
        found = unused.find(log, run.settings, covered, directories=whole.directories, root=config.rootpath)
        log.unused = unused.files(found, config.rootpath)
        pruned = unused.prune(config, found, is_whole=is_whole, is_green=is_green)
        ended.notes += [pruned] if pruned else []
        if unused.fails(config, found) and is_green:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            ended.notes.append("The run fails of them: --harness-fail-on-unused. Delete them: pytest --harness-prune")
    if whole.parts:
        _keep(config, log, whole, covered if is_whole else None, is_good=is_green and not log.missed())
    ended.notes += _write(config, log)


def _keep(config: pytest.Config, log: "RunLog", whole: _Whole, covered: "Coverage | None", *, is_good: bool) -> None:
    """Note for ``harness prune`` what a run has used; ``covered`` is None where it was not of the whole suite."""
    from harness.pruning import states_of
    from harness.report import last_run

    if covered is None:
        last_run.add(_COMMAND, config.rootpath, log.used())
        return
    if not is_good:
        last_run.forget(_COMMAND, config.rootpath)
        return
    files = {place: states_of(Path(place)) for place in whole.directories}
    last_run.keep(last_run.last_run(_COMMAND, covered, config.rootpath, log.used(), files), config.rootpath)


def _write(config: pytest.Config, log: "RunLog") -> list[str]:
    from harness.errors import SettingsError
    from harness.report import run_file

    notes = []
    for name in options.reports(config):
        file = Path(config.invocation_params.dir) / name
        try:
            run_file.write(log, file)
            notes.append(f"Report: {name}")
        except SettingsError as error:
            notes.append(str(error))
    return notes


def _outcomes(config: pytest.Config) -> dict[str, str]:
    """How each test ended."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return {}
    found: dict[str, str] = {}
    for outcome in reversed(_WORST):
        for report in reporter.stats.get(outcome, ()):
            if getattr(report, "nodeid", None):
                found[report.nodeid] = "failed" if outcome == "error" else outcome
    return found
