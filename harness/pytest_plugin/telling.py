"""A failing test's report: the miss itself, the host that was reached for, the exchanges that it had."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin.again import record_command
from harness.pytest_plugin.guard import ON_IMPORT, ROUTES
from harness.pytest_plugin.moment import test_id
from harness.pytest_plugin.run import Run

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.report.run_log import Asked

_MISSES, _EXCHANGES = "harness: misses", "harness: exchanges"
_TOO_EARLY = "harness: a client without a key"
_CLIENTS = ("openai", "anthropic")
_NOT_THE_TESTS = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")} | {str(Path(__file__).parents[1])}
)


def tell(run: Run, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put into a report what the harness knows of it."""
    refused = list(dict.fromkeys([*run.guard.hits, *_reached_for(run, call)])) if run.guard.active else []
    if refused and call.when != "teardown" and not report.skipped:
        _put(item, call, report, _refused(refused, test_id(item)))
    if not report.failed or not run.is_used:
        return
    misses = run.misses(test_id(item))
    known = [*misses, *run.shared_misses()]
    miss = next((miss for miss in known if call.excinfo and _tells(call.excinfo.value, miss)), None)
    if miss is not None and not refused:
        _put(item, call, report, _error(miss, item))
    elif misses:
        report.sections.append((_MISSES, "\n\n".join(dict.fromkeys(miss.error or "" for miss in misses))))
    if lines := run.first_lines(test_id(item)):
        report.sections.append((_EXCHANGES, "\n".join(lines)))


def _reached_for(run: Run, call: pytest.CallInfo[None]) -> Iterator[str]:
    """Providers to which no connection came about, looked up by resolvers of their own (uvloop's, c-ares')."""
    errors = list(_chain(call.excinfo.value if call.excinfo else None, set()))
    if any(isinstance(error, OSError) for error in errors):
        for error in errors:
            # aiohttp's errors have the host, httpx's and those of clients above it the request.
            url = getattr(getattr(error, "request", None), "url", None)
            host = getattr(error, "host", None) or getattr(url, "host", None)
            if isinstance(host, str) and run.guard.is_provider(host):
                yield host


def tell_of_import(excinfo: pytest.ExceptionInfo[BaseException], report: pytest.CollectReport) -> None:
    """Say what helps where the import of a module failed of a client without a key."""
    if excinfo.type.__module__.partition(".")[0] in _CLIENTS:
        report.sections.append((_TOO_EARLY, ON_IMPORT))


def _put(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, error: "HarnessError") -> None:
    """Make an error what the test failed of, at the line of the project that led to it."""
    report.outcome = "failed"
    traceback = _own(call.excinfo.value.__traceback__) if call.excinfo else None
    if traceback is None:
        report.longrepr = f"{type(error).__name__}: {error}"
    else:
        report.longrepr = item.repr_failure(pytest.ExceptionInfo.from_exception(error.with_traceback(traceback)))


def _refused(hosts: list[str], test: str) -> "HarnessError":
    from harness.errors import NetworkRefused

    return NetworkRefused(f"{test} replays, and reached for {', '.join(hosts)} past the harness.", hint=ROUTES)


def _error(miss: "Asked", item: pytest.Item) -> "HarnessError":
    """The miss itself. One that is of no single test is recorded by the test that came by it."""
    from harness.errors import RecordingNotFound

    command = record_command(item.config, [test_id(item)], [miss.flag], [miss.key_variable])
    return RecordingNotFound(miss.error or "", hint=f"Record it:  {command}")


def _tells(error: BaseException, miss: "Asked") -> bool:
    """Whether an exception, or one that it came from, is some client's way to say this miss."""
    first = (miss.error or "").partition("\n")[0]
    return any(first in str(one) for one in _chain(error, set()))


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _chain(one, seen)
    yield from _chain(error.__cause__, seen)
    yield from _chain(error.__context__, seen)


def _own(traceback: TracebackType | None) -> TracebackType | None:
    """Those entries of a traceback that are the project's own; None when there are none."""
    entries = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith((*_NOT_THE_TESTS, "<")):
            entries.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for entry in reversed(entries):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept
