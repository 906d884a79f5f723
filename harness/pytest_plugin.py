"""The pytest plugin: tests replay; one flag or variable records again.

A test that asks for ``harness_base_url`` gets a base URL of its own, which carries its node id as the scope, and finds
it in ``OPENAI_BASE_URL``. A project overrides ``harness_settings`` in its conftest to choose otherwise. Nothing else of
the harness is imported before a fixture needs it: a run that does not use it pays next to nothing.
"""

import contextlib
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.running import ServerThread
    from harness.settings import Settings

_SERVER: pytest.StashKey["ServerThread"] = pytest.StashKey()
_OPTIONS = {
    # Each setting with its metavar and its help.
    "mode": ("MODE", "replay (default), record, record-if-missing or live; else HARNESS_MODE"),
    "recordings": (
        "PLACE",
        "a directory (default: recordings, at the root) or s3://…; several are read; else HARNESS_…",
    ),
    "upstream": ("URL", "the provider's base URL (default: OpenAI's); else HARNESS_UPSTREAM"),
    "responses": ("WHO", "who answers for responses and conversations: local (default) or upstream"),
    "speed": ("N", "replay recorded timings, N times as fast (default: at once)"),
    "state": ("PATH", "where conversations and responses are kept (default: in memory); else HARNESS_STATE"),
}
_ACTIONS = {"recordings": "append"}


_FLAGS = {
    "strict": "answer by key alone, without the fall-back",
    "record-errors": "record failures too: 401, 429, 5xx, streams that broke off",
    "timings": "record how long the pieces of an answer took",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flags ``--harness-mode`` and, likewise, one for each of the other settings."""
    group = parser.getgroup("harness", "record and replay of language models")
    for name, (metavar, text) in _OPTIONS.items():
        group.addoption(f"--harness-{name}", metavar=metavar, help=text, action=_ACTIONS.get(name, "store"))
    group.addoption(
        "--harness-no-keep-equal",
        dest="harness_keep_equal",
        action="store_false",
        default=None,
        help="record again what says the same, too",
    )
    for name, text in _FLAGS.items():
        group.addoption(f"--harness-{name}", action="store_true", default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """A mode that is none stops the run at once, whether or not a test would have needed it."""
    if config.getoption("--harness-mode") is not None or "HARNESS_MODE" in os.environ:
        from harness.errors import SettingsError

        try:
            _load(config)
        except SettingsError as error:
            raise pytest.UsageError(f"harness: {error}") from error


def _load(config: pytest.Config) -> "Settings":
    from harness.settings import load

    flags = {name.replace("-", "_"): config.getoption(f"--harness-{name}") for name in (*_OPTIONS, *_FLAGS)}
    flags["keep_equal"] = config.getoption("harness_keep_equal")
    here = config.invocation_params.dir
    return load(flags, os.environ, config.rootpath, here=here, flag_prefix="--harness-")


@pytest.fixture(scope="session")
def harness_settings(pytestconfig: pytest.Config) -> "Settings":
    """What the run was given by flags, environment and ``[tool.harness]``; override it to choose otherwise."""
    from harness.errors import SettingsError

    try:
        return _load(pytestconfig)
    except SettingsError as error:
        # The same for every test: there is no use in going on.
        pytest.exit(f"harness: {error}", pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def harness_server(harness_settings: "Settings", pytestconfig: pytest.Config) -> "Iterator[ServerThread]":
    """A server for the whole run, in a thread. ``base_url`` is for clients that belong to no single test."""
    from harness.errors import HarnessError
    from harness.running import ServerThread

    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(ServerThread(harness_settings))
        except HarnessError as error:
            pytest.fail(f"harness: {error}", pytrace=False)
        pytestconfig.stash[_SERVER] = server
        yield server


@pytest.fixture
def harness_base_url(
    harness_server: "ServerThread", monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """The base URL of this test, also in ``OPENAI_BASE_URL`` for code that makes its own client.

    In replay ``OPENAI_API_KEY`` is a dummy, so that no real key is in reach; in the other modes it is left as it is,
    or a dummy where there is none. No proxy stands between the test and the server.
    """
    from harness.running import without_proxy
    from harness.settings import NO_KEY

    url = harness_server.scoped(request.node.nodeid)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    if not harness_server.settings.mode.needs_upstream or not os.environ.get("OPENAI_API_KEY"):
        monkeypatch.setenv("OPENAI_API_KEY", NO_KEY)
    for name, value in without_proxy(os.environ).items():
        monkeypatch.setenv(name, value)
    return url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed may not have asked for all it asks for: it replaces no more than it recorded."""
    report = yield
    server = item.config.stash.get(_SERVER, None)
    if server is not None and report.failed:
        server.abandon(item.nodeid)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run that was interrupted does not wait for what is still being recorded."""
    server = session.config.stash.get(_SERVER, None)
    if server is not None and exitstatus == pytest.ExitCode.INTERRUPTED:
        server.break_off()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The end of the run: what was replayed, recorded and missed, and every miss with its near miss."""
    server = config.stash.get(_SERVER, None)
    if server is None or not server.parts.journal.lines:
        return
    parts = server.parts
    counts = {str(outcome): number for outcome, number in parts.journal.count().items()}
    shown = {"replayed": 0, "recorded": 0, "missed": 0} | counts
    terminalreporter.write_sep("-", f"harness, mode {parts.settings.mode}")
    terminalreporter.write_line(", ".join(f"{number} {what}" for what, number in shown.items()))
    removed = sorted(f"  {line.recording}.json" for line in parts.journal.lines if line.outcome == "removed")
    if removed:
        terminalreporter.write_line("Removed, as what was left over of a longer sequence:")
        terminalreporter.write_line("\n".join(removed))
    # A request that was asked several times in vain is told of once.
    told = {(line.scope or "no scope", str(line.error)) for line in parts.journal.lines if line.error is not None}
    for scope, error in sorted(told):
        terminalreporter.write_line("")
        terminalreporter.write_line(f"{scope}:")
        terminalreporter.write_line(error)
