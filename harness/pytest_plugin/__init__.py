"""The pytest plugin: tests replay; one flag or variable records again.

A test that asks for ``harness_base_url``, or has ``@pytest.mark.harness``, gets a base URL of its own, which carries
its node id as the scope, and finds it in ``OPENAI_BASE_URL``. Nothing else of the harness is imported before something
needs it: a run that does not use it pays next to nothing.
"""

from collections.abc import Generator
from functools import partial
from typing import Any

import pytest

from harness import ambient
from harness.pytest_plugin import options
from harness.pytest_plugin.bridged import PytestVcr
from harness.pytest_plugin.ending import ENDED, WORKERS, end, told
from harness.pytest_plugin.fixtures import (
    _harness_use,
    harness_base_url,
    harness_scope,
    harness_server,
    harness_settings,
    model,
)
from harness.pytest_plugin.moment import test_id
from harness.pytest_plugin.run import MARKER, RUN, Run, uses_harness

__all__ = ["_harness_use", "harness_base_url", "harness_scope", "harness_server", "harness_settings", "model"]

_MARKER_LINE = (
    f"{MARKER}(mode, recordings, strict, upstream, state, scope): answer this test's models from recordings; "
    "what is named counts for this test, class or module alone"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from harness.pytest_plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """What was said and means nothing stops the run at once, whether or not a test would have needed it."""
    config.addinivalue_line("markers", _MARKER_LINE)
    run = config.stash[RUN] = Run(config, ambient.find)
    ambient.find = run.surroundings
    if config.pluginmanager.hasplugin("pytest_vcr") or config.pluginmanager.hasplugin("vcr"):
        config.pluginmanager.register(PytestVcr())
    if options.is_asked(config) or options.is_early(config):
        _check(run)


def _check(run: Run) -> None:
    from pathlib import Path

    from harness.errors import HarnessError
    from harness.report import run_file

    try:
        run.enter_setup()
        options.load(run.config, options.setup(run.config))
        source = "--harness-report" if run.config.getoption("--harness-report") else "HARNESS_REPORT"
        for name in options.reports(run.config):
            run_file.check(Path(name), source)
        if options.is_early(run.config):
            run.begin_early()
    except HarnessError as error:
        raise pytest.UsageError(f"harness: {error}") from error


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is not None:
        run.leave()
        ambient.find = run.outer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes our fixture ``model`` runs once with each of the run's models."""
    if "model" not in metafunc.fixturenames or not _is_ours(metafunc):
        return
    models = options.models(metafunc.config)
    if models:
        metafunc.parametrize("model", models, indirect=True)


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Whether ``model`` is neither the project's own fixture nor an argument that it fills itself."""
    if any("model" in _names(marker) for marker in metafunc.definition.iter_markers("parametrize")):
        return False
    manager: Any = metafunc.config.pluginmanager.get_plugin("funcmanage")
    found = manager.getfixturedefs("model", metafunc.definition)
    return bool(found) and found[-1].func.__module__.startswith(__name__)


def _names(marker: pytest.Mark) -> list[str]:
    names = marker.args[0] if marker.args else marker.kwargs.get("argnames", ())
    return [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    """Around all that leaves tests out: some plugins tell nobody, and xdist's workers tell no one but themselves."""
    before = list(items)
    result = yield
    config.stash[RUN].left_out = len(set(before) - set(items))
    return result


def pytest_collection_finish(session: pytest.Session) -> None:
    run = session.config.stash[RUN]
    run.is_wanted = run.is_wanted or any(map(uses_harness, session.items))
    run.written = {item.nodeid: test_id(item) for item in session.items if item.nodeid != test_id(item)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """While a test runs, calls without a socket are its own, and the network guard stands if it replays."""
    run = item.config.stash[RUN]
    run.enter(item)
    if run.is_wanted:
        run.watch(item)
    try:
        return (yield)
    finally:
        run.unwatch(item)
        run.enter(None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The marker alone is enough: it asks for the base URL before any other fixture is made.

    What asks for the server alone has a scope too, before the server hears of it.
    """
    names = getattr(item, "fixturenames", None)
    if names is None:
        return
    if "harness_base_url" not in names and item.get_closest_marker(MARKER) is not None:
        names.insert(0, "harness_base_url")
    elif ("harness_server" in names or item.config.stash[RUN].is_early) and "_harness_use" not in names:
        names.insert(0, "_harness_use")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """While a fixture is made, or unmade, that is of no single test, what it asks is no single test's either."""
    if fixturedef.scope == "function":
        return (yield)
    run = request.config.stash[RUN]
    # The last to be added is the first to be called.
    fixturedef.addfinalizer(run.narrow)
    run.widen(request.node)
    try:
        return (yield)
    finally:
        run.narrow()
        fixturedef.addfinalizer(partial(run.widen, request.node))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that cannot be imported because it makes a client too early is told the way."""
    report = yield
    excinfo = getattr(getattr(report, "call", None), "excinfo", None)
    if excinfo is not None and not collector.config.stash[RUN].is_early:
        from harness.pytest_plugin.telling import tell_of_import

        tell_of_import(excinfo, report)
    return report


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    """Behind what a project does in this hook of pytest-recording's: its own persister goes on to have the rest."""
    config.stash[RUN].bridge(vcr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that missed fails of the miss; what a test asked is in its properties."""
    run = item.config.stash[RUN]
    if call.when == "teardown" and run.is_used:
        from harness.report.run_junit import properties

        item.user_properties += properties(run.asked_by(test_id(item)))
    report = yield
    if report.failed and run.is_used:
        run.abandon(test_id(item))
    if run.is_used or run.guard.active:
        from harness.pytest_plugin.telling import tell

        tell(run, item, call, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All of xdist's workers are of one run, which began here."""
    node.workerinput["harness_begun"] = node.config.stash[RUN].begun


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker of xdist did is part of the run."""
    output = getattr(node, "workeroutput", {})
    run = node.config.stash[RUN]
    run.left_out = max(run.left_out, output.get("harness_left_out", 0))
    part = output.get("harness")
    if part is not None:
        node.config.stash.setdefault(WORKERS, []).append(part)


@pytest.hookimpl(trylast=True, wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
    """When all fixtures are gone the servers end, and the run is summed up.

    As the innermost wrapper: before the terminal's summary, and before xdist's worker tells what it did. A run that was
    interrupted does not wait for what is still being recorded.
    """
    config = session.config
    run = config.stash[RUN]
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        run.break_off()
    result = yield
    run.end()
    output = getattr(config, "workeroutput", None)
    if output is None:
        config.stash[ENDED] = end(session, run, exitstatus)
    else:
        output["harness_left_out"] = run.left_out
        if run.is_used or run.unrecorded:
            output["harness"] = told(run)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The end of the run: what was replayed, recorded and missed, and every miss with its near miss."""
    ended = config.stash.get(ENDED, None)
    if ended is None or not (ended.log.asked or ended.notes or ended.log.unused is not None):
        return
    from harness.report import run_terminal

    terminalreporter.write_sep("-", run_terminal.title(ended.log))
    for line in [*run_terminal.lines(ended.log), *ended.notes]:
        terminalreporter.write_line(line)
