"""The fixtures. A project overrides those without an underscore in its conftest to choose otherwise."""

import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from harness.pytest_plugin.moment import test_id
from harness.pytest_plugin.run import Run, Use, marked, run_of

if TYPE_CHECKING:
    from harness.running import ServerThread
    from harness.settings import Settings


T = TypeVar("T")


@pytest.fixture(scope="session")
def harness_settings(pytestconfig: pytest.Config) -> "Settings":
    """What the run was given by flags, environment and files; override it to choose otherwise."""
    from harness.errors import SettingsError

    try:
        return run_of(pytestconfig).settings
    except SettingsError as error:
        wrong = f"harness: {error}"
    if hasattr(pytestconfig, "workerinput"):
        # xdist takes a worker that leaves for one that crashed.
        pytest.fail(wrong, pytrace=False)
    # The same for every test: there is no use in going on.
    pytest.exit(wrong, pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def harness_server(harness_settings: "Settings", pytestconfig: pytest.Config) -> "Iterator[ServerThread]":
    """A server for the whole run, in a thread. ``base_url`` is for clients that belong to no single test.

    What they ask while a test runs is of that test's scope; what a fixture of wider scope asks is of none. No proxy
    stands between them and the server.
    """
    from harness.running import without_proxy

    server: ServerThread = _or_fail(run_of(pytestconfig).server, harness_settings)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in without_proxy(os.environ).items():
            patch.setenv(name, value)
        yield server


def _or_fail(function: Callable[..., T], *arguments: object) -> T:
    """What is wrong with the settings, or with the disk, fails the test with a sentence."""
    from harness.errors import HarnessError

    try:
        return function(*arguments)
    except HarnessError as error:
        wrong = str(error)
    pytest.fail(f"harness: {wrong}", pytrace=False)


@pytest.fixture
def harness_scope(request: pytest.FixtureRequest) -> str:
    """The scope of this test: its marker's, else its node id."""
    return str(_or_fail(marked, request.node).get("scope") or test_id(request.node))


@pytest.fixture
def _harness_use(request: pytest.FixtureRequest, harness_settings: "Settings", harness_scope: str) -> Iterator[Use]:
    """The server of this test, and its scope."""
    run = run_of(request.config)
    if request.config.pluginmanager.hasplugin("recording"):
        # pytest-recording may block the network: that must have happened by now for the server to be let through.
        request.getfixturevalue("block_network")
    settings = _or_fail(run.settings_of, request.node, harness_settings)
    run.guard.active = run.guard.active and not settings.mode.needs_upstream
    with pytest.MonkeyPatch.context() as patch:
        _let_through(patch, run)
        # Not by the fixture: that is the session's, made with the settings of whichever folder came first.
        server: ServerThread = _or_fail(run.server, settings)
        shared = request.getfixturevalue("harness_server") if "harness_server" in request.fixturenames else server
        if shared is not server:
            run.begin(test_id(request.node), harness_scope, shared)
        run.own(harness_scope)
        yield run.begin(test_id(request.node), harness_scope, server)


@pytest.fixture
def harness_base_url(_harness_use: Use) -> Iterator[str]:
    """The base URL of this test, also in ``OPENAI_BASE_URL`` for code that makes its own client.

    Each configured upstream has its own variable besides (``ANTHROPIC_BASE_URL``). In replay ``OPENAI_API_KEY`` is a
    dummy, so that no real key is in reach; in the other modes it is left as it is, or a dummy where there is none. No
    proxy stands between the test and the server.
    """
    from harness.running import client_environment, scoped_url

    server, scope = _harness_use.server, _harness_use.scope
    with pytest.MonkeyPatch.context() as patch:
        for name, value in client_environment(server.settings, server.root, scope, os.environ).items():
            patch.setenv(name, value)
        yield scoped_url(server.root, scope)


def _let_through(patch: pytest.MonkeyPatch, run: Run) -> None:
    """Where connections are blocked by a patch of ``socket``, let those to our own servers through, and theirs."""
    for name in ("connect", "connect_ex"):
        blocked = getattr(socket.socket, name)
        # The method that the system has: what blocks stands before it.
        real = getattr(socket.socket.__mro__[1], name)
        if blocked is real:
            continue

        def connect(self: Any, address: Any, *args: Any, real: Any = real, blocked: Any = blocked) -> Any:
            return real(self, address) if run.is_ours(address) else blocked(self, address, *args)

        patch.setattr(socket.socket, name, connect)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """The model of this run of the test: each of ``--harness-models``, or of the chosen setup, in turn."""
    if not hasattr(request, "param"):
        pytest.fail(
            "harness: the fixture model has no models.\n"
            "Give --harness-models A,B, write harness_models = A,B in pytest's file, or choose a --harness-setup.",
            pytrace=False,
        )
    return str(request.param)
