"""What the tests of this project share."""

import gc
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

START = Path(__file__).parent.parent / "shared" / "upstream" / "start.sh"
PATIENCE = 30.0
"""Seconds that an upstream may take to be ready."""


def pytest_configure(config: pytest.Config) -> None:
    """Whatever costs more than the tests themselves is done once.

    Garbage is collected seldom: the client libraries make a million objects that stay, and each time all are visited.
    Bytecode is kept, also where the environment wants none: dozens of processes would compile the harness each anew.
    No certificates are read, which every client does by itself: what quick tests ask is on this machine.
    """
    gc.set_threshold(20_000, 20, 100)
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if config.option.markexpr == "not slow" and "HARNESS_TEST_UPSTREAM" not in os.environ:
        os.environ.pop("SSL_CERT_FILE", None)
        os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent / "tests")  # a directory that has none
    if not config.getoption("tx", None) or config.getoption("hypothesis_profile", None):
        _have_laws()


def _have_laws() -> None:
    """How many examples the laws have. A process that only hands tests to others needs not know (it takes a second)."""
    from hypothesis import settings

    settings.register_profile("quick", max_examples=25, deadline=None)
    settings.register_profile("thorough", max_examples=300, deadline=None)
    settings.load_profile("quick")  # --hypothesis-profile comes later, and counts


def pytest_collection_finish() -> None:
    """What is imported by then stays, and no collection visits it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """The suite takes a process for each core (None: xdist counts); what is named by hand is sooner done in one."""
    return 0 if config.args_source is pytest.Config.ArgsSource.ARGS else None


@pytest.fixture(scope="session")
def upstream_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real upstream: that of ``HARNESS_TEST_UPSTREAM``, else one started for this run."""
    if given := os.environ.get("HARNESS_TEST_UPSTREAM"):
        yield given.rstrip("/")
        return
    if not START.is_file():
        pytest.skip(f"no real upstream: {START} is not there, and HARNESS_TEST_UPSTREAM (a base URL) is not set")
    port = _free_port()
    log = tmp_path_factory.mktemp("upstream") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([START, str(port)], stdout=output, stderr=output)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL database: that of ``HARNESS_TEST_POSTGRES``, else one of a server for this run."""
    if given := os.environ.get("HARNESS_TEST_POSTGRES"):
        yield given
        return
    pytest.importorskip("asyncpg", reason="no PostgreSQL driver: pip install 'harness[postgres]'")
    from tests.postgres_server import find_programs, running

    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: pip install 'harness[slow]', or set HARNESS_TEST_POSTGRES (a URL)")
    with running(programs) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database, gone after the test."""
    from tests.postgres_server import execute

    name = f"harness_{uuid.uuid4().hex}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    address, question, options = postgres_server.partition("?")
    yield f"{address.rpartition('/')[0]}/{name}{question}{options}"
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    # No proxy of the environment stands between a test and this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with opener.open(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"the upstream did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}", pytrace=False)
