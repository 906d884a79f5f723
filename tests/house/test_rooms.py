"""The rooms of the house: what each may import, as one table, with no exemption list.

Every module under ``harness/`` is parsed, never run. Imports inside functions and under ``TYPE_CHECKING`` count; so do
``import_module("…")`` and ``__import__("…")``, and every string that is the whole name of a module of ours. An import
whose name is computed has the name ``?``.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"

IO_CLOCK_AND_CHANCE = frozenset(
    """
    aifc asyncio atexit builtins codeop concurrent contextvars ctypes curses datetime dbm faulthandler fcntl fileinput
    ftplib getpass glob http imaplib importlib io locale logging mailbox mmap multiprocessing nntplib ntpath optparse os
    pathlib pickle pkgutil platform poplib posix posixpath pty random resource runpy sched secrets select selectors
    shelve shutil signal site smtplib socket socketserver sqlite3 ssl subprocess sys syslog tempfile termios threading
    time tomllib urllib.error urllib.request uuid webbrowser xmlrpc zipfile zipimport zoneinfo
    """.split()
)
"""What no pure room imports of the standard library: files, sockets, processes, threads, clocks, chance, loaders."""

AIOHTTP_SERVER = frozenset({"aiohttp.web", "aiohttp.hdrs", "aiohttp.typedefs", "aiohttp.abc"})
"""The half of aiohttp that is not its client. The package itself is not here: it would hand out the client as well."""

PURE = frozenset({"api", "recording", "turn"})
PROTOCOLS = frozenset({"stores.protocol", "backends.protocol"})
BELOW_THE_DOORS = PURE | {
    *("opening", "wiring", "running", "comparing", "checking", "pruning", "listing", "refresh"),
    *("settings", "stores", "report", "errors", "ambient", "harness"),
}


@dataclass(frozen=True)
class Room:
    """What one room may import.

    ``ours`` are rooms of ours, or single modules of them (``stores.protocol``); a room may always import itself.
    ``theirs`` are third-party modules for the whole room, ``alone`` for single modules of it. ``never`` are modules of
    the standard library.
    """

    ours: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    alone: Mapping[str, frozenset[str]] | None = None
    never: frozenset[str] = frozenset()


ROOMS = {
    # The package itself: the public names, nothing else.
    "harness": Room(ours=PURE | {"errors", "settings", "transports"}, never=IO_CLOCK_AND_CHANCE),
    "errors": Room(never=IO_CLOCK_AND_CHANCE),
    "settings": Room(ours=frozenset({"errors"})),
    # The pure rooms.
    "api": Room(ours=frozenset({"errors"}), theirs=frozenset({"pydantic"}), never=IO_CLOCK_AND_CHANCE),
    "recording": Room(
        ours=frozenset({"api", "errors"}),
        alone={
            # Codings that Python does not bring, where the packages are installed.
            "recording.content_coding": frozenset({"brotli", "zstandard"}),
            "recording.differences": frozenset({"deepdiff"}),
            "recording.near_miss": frozenset({"deepdiff"}),
            "recording.patterns": frozenset({"regex"}),
            "recording.schemas": frozenset({"jsonschema", "referencing"}),
        },
        never=IO_CLOCK_AND_CHANCE,
    ),
    "turn": Room(ours=frozenset({"api", "errors"}), never=IO_CLOCK_AND_CHANCE),
    # The rooms that touch the world.
    "stores": Room(
        ours=frozenset({"api", "recording", "errors"}),
        theirs=frozenset({"sqlalchemy"}),
        alone={"stores.bucket": frozenset({"obstore"}), "stores.secret_scan": frozenset({"detect_secrets"})},
    ),
    "backends": Room(
        ours=frozenset({"api", "recording", "errors", "stores.protocol"}),
        alone={
            "backends.upstream": frozenset({"aiohttp", "yarl"}),
            "backends.tokens": frozenset({"tiktoken"}),
            "backends.mcp_session": frozenset({"mcp", "httpx2"}),
        },
    ),
    "server": Room(ours=PURE | PROTOCOLS | {"errors"}, theirs=AIOHTTP_SERVER),
    "report": Room(ours=PURE | {"errors"}, theirs=frozenset({"rich"})),
    # What looks at recordings as the settings want it: it needs no server, and imports none.
    "opening": Room(ours=frozenset({"recording", "stores", "settings", "errors"}), theirs=frozenset({"platformdirs"})),
    # The one place that chooses, and the one that runs what was chosen.
    "wiring": Room(ours=PURE | {"opening", "stores", "backends", "server", "settings", "errors"}),
    # Two whole sets of recordings compared, over several processes.
    "comparing": Room(ours=frozenset({"recording", "stores", "errors", "crew"})),
    # Sets looked at and mended, over several processes, which both have in common.
    "checking": Room(ours=frozenset({"recording", "stores", "errors", "crew"})),
    # What is in them, one by one, over several processes.
    "listing": Room(ours=frozenset({"recording", "stores", "errors", "crew"})),
    "crew": Room(),
    # What the last runs left unused, and its end: runs are the reports', files the stores'.
    "pruning": Room(ours=frozenset({"recording", "stores", "report", "errors"})),
    # A plan of recorded requests carried out: asked of what is real, compared, put in place.
    "refresh": Room(ours=frozenset({"recording", "stores", "backends", "comparing", "errors"})),
    "running": Room(ours=frozenset({"wiring", "server", "settings", "errors"}), theirs=AIOHTTP_SERVER),
    # What surrounds a call that is answered in-process, and the transports that are answered so.
    "ambient": Room(ours=frozenset({"running"})),
    "transports": Room(
        ours=frozenset({"ambient", "running", "server.pipe", "server.repeats", "settings", "errors"}),
        alone={"transports.client": frozenset({"anyio"})},
    ),
    # vcrpy's side, and the only room that imports vcr (whose cassettes are YAML). Two doors ask it, the commands for
    # files and the pytest plugin for tests, so it is none itself: it chooses nothing, and is handed what it works with.
    "vcr_bridge": Room(ours=PURE | {"errors", "stores.protocol"}, theirs=frozenset({"vcr", "yaml"})),
    # The doors: none imports another.
    "cli": Room(
        ours=BELOW_THE_DOORS | {"vcr_bridge"},
        theirs=frozenset({"click", "rich", "openai"}),
        # It gathers the commands, from a table of their modules' names.
        alone={"cli.main": frozenset({"?"})},
    ),
    "pytest_plugin": Room(ours=BELOW_THE_DOORS | {"vcr_bridge"}, theirs=frozenset({"pytest"})),
}

OUR_NAME = re.compile(r"harness(\.[a-z_]\w*)+")

NOT_A_NAME = frozenset({"utils", "common", "core", "helpers", "interfaces"})


def module_name(file: Path, root: Path) -> str:
    """``recording.key`` for ``harness/recording/key.py``, ``recording`` for its ``__init__``, empty for the root's."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module of ours imports: ``a.b`` for ``from a import b``."""
    parts = ["harness", *module.split(".")] if module else ["harness"]
    package = parts if is_package else parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            name = node.args[0] if node.args else None
            literal = name.value if isinstance(name, ast.Constant) else None
            yield node.lineno, literal if isinstance(literal, str) and not literal.startswith(".") else "?"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and OUR_NAME.fullmatch(node.value):
            yield node.lineno, node.value


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def room_of(module: str) -> str:
    """The room that a module of ours belongs to; the package itself for a name that is in no room."""
    first = module.partition(".")[0]
    return first if first in ROOMS else "harness"


def _within(name: str, prefixes: frozenset[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def may_import(module: str, name: str) -> bool:
    """Whether the table lets a module of ours import ``name``, a full dotted name."""
    here = room_of(module)
    room = ROOMS[here]
    top, _, rest = name.partition(".")
    if top == "harness":
        target = room_of(rest)
        return target == here or target in room.ours or (bool(rest) and _within(rest, room.ours))
    if top in sys.stdlib_module_names or top == "__future__":
        return not _within(name, room.never)
    return _within(name, room.theirs | (room.alone or {}).get(module, frozenset()))


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """The imports of one module that the table forbids, as ``line N: name``."""
    found = imports(source, module, is_package=is_package)
    return [f"line {line}: {name}" for line, name in found if not may_import(module, name)]


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def misplaced(names: list[str]) -> list[str]:
    """Of file names relative to the package, those that no row of the table covers, or that say nothing."""
    unnamed = [name for name in names if Path(name).parts[0].removesuffix(".py") not in {*ROOMS, "__init__"}]
    vague = [name for name in names if NOT_A_NAME & set(Path(name).with_suffix("").parts)]
    return sorted({*unnamed, *vague})


def test_every_import_is_one_that_the_table_allows() -> None:
    found = [
        f"{file.relative_to(HARNESS.parent)} {violation}"
        for file in files(HARNESS)
        for violation in violations(
            file.read_text("utf-8"), module_name(file, HARNESS), is_package=file.stem == "__init__"
        )
    ]

    assert found == []


def test_every_file_belongs_to_a_room_and_is_named_for_what_it_does() -> None:
    names = [str(file.relative_to(HARNESS)) for file in files(HARNESS)]

    assert "errors.py" in names
    assert misplaced(names) == []


def test_every_file_has_content_and_every_package_more_than_its_init() -> None:
    empty = [str(file.relative_to(HARNESS)) for file in files(HARNESS) if not ast.parse(file.read_text("utf-8")).body]
    packages = [folder for folder in HARNESS.iterdir() if folder.is_dir() and list(folder.glob("*.py"))]
    hollow = [folder.name for folder in packages if len(files(folder)) < 2]

    assert empty == []
    assert hollow == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("turn.engine", "from harness.recording.model import Request"),
        ("turn.engine", "from harness import recording"),
        ("turn.engine", "import harness.recording"),
        ("turn.engine", "from ..recording import key"),
        ("turn.engine", "def f():\n    import time"),
        ("turn.engine", "if TYPE_CHECKING:\n    from harness.stores.protocol import StateStore"),
        ("turn.engine", "import pydantic"),
        ("errors", "from harness.api import sse"),
        ("errors", "from harness import __version__"),
        ("settings", "from harness import wiring"),
        ("api.chat", "from os import path"),
        ("api.chat", "import uuid as u"),
        ("api.chat", "from datetime import datetime"),
        ("api.chat", "import asyncio.events"),
        ("api.chat", "from urllib import request"),
        ("api.chat", "__import__('socket')"),
        ("api.chat", "import_module(name)"),
        ("api.chat", "from harness.turn.ids import Ids"),
        ("recording.key", "from deepdiff import DeepDiff"),
        ("recording.key", "import aiohttp"),
        ("recording.key", "import pydantic"),
        ("stores.sql", "from harness.backends.protocol import Backend"),
        ("stores.sql", "import aiosqlite"),
        ("backends.replay", "import aiohttp"),
        ("backends.record", "def f():\n    from mcp import Client"),
        ("server.mcp", "import mcp"),
        ("backends.replay", "from harness.stores.directory import DirectoryStore"),
        ("backends.replay", "from harness.stores import directory"),
        ("backends.replay", "from harness.stores import *"),
        ("backends.upstream", "from harness.server import app"),
        ("server.app", "import aiohttp"),
        ("server.app", "from aiohttp import ClientSession"),
        ("server.app", "from aiohttp.client import ClientSession"),
        ("server.app", "from harness.settings import Mode"),
        ("server.app", "from harness.wiring import build"),
        ("server.app", "from harness.stores.memory import MemoryStore"),
        ("server.app", "from harness.report.run import table"),
        ("report.run", "from harness.stores.protocol import RecordingStore"),
        ("wiring", "from harness.cli.main import main"),
        ("wiring", "import click"),
        ("wiring", "from aiohttp import ClientSession"),
        ("running", "from harness.stores.directory import DirectoryStore"),
        ("running", "import pytest"),
        ("transports.wire", "import anyio"),
        ("transports.engine", "from harness.wiring import build"),
        ("transports.client", "import httpx2"),
        ("cli.serve", "from harness.pytest_plugin import pytest_configure"),
        ("cli.serve", "from harness.backends.replay import ReplayBackend"),
        ("cli.serve", "from harness.server.app import create_app"),
        ("cli.serve", "import pytest"),
        ("cli.serve", "import_module(name)"),
        ("cli.main", "names = ['harness.cli.serve', 'harness.server.app']\nimport_module(names[1])"),
        ("pytest_plugin", "from harness.cli.main import main"),
        ("pytest_plugin", "import click"),
        ("pytest_plugin", "import vcr"),
        ("vcr_bridge", "import pytest"),
        ("vcr_bridge", "from harness import pytest_plugin"),
        ("vcr_bridge.bridge", "from harness.opening import open_store"),
        ("vcr_bridge.cassettes", "from harness.stores.intake import Intake"),
        ("cli.importing", "import vcr"),
        ("stores.intake", "from harness.vcr_bridge import read_cassette"),
        ("", "from harness.wiring import build"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str) -> None:
    assert violations(source, module) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("recording.near_miss", "import deepdiff"),
        ("recording.format", "from urllib.parse import urlsplit"),
        ("recording.key", "from . import canonical\nfrom .canonical import endpoint_of\nfrom ..api import sse"),
        ("api.chat", "import pydantic\nfrom harness import errors"),
        ("stores.sql", "import sqlalchemy.ext.asyncio\nimport time"),
        ("backends.upstream", "import aiohttp\nfrom harness.stores import protocol"),
        ("server.app", "from aiohttp import web\nfrom harness.backends.protocol import Backend"),
        ("running", "import asyncio, threading\nfrom aiohttp import web\nfrom harness import wiring"),
        ("cli.main", "import click\nfrom harness.cli.serve import serve\nfrom harness import __version__"),
        ("cli.main", "import_module({'serve': 'harness.cli.serve'}[name])"),
    ],
)
def test_what_the_table_allows_is_not_found(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_a_relative_import_in_an_init_starts_at_its_own_package() -> None:
    assert list(imports("from . import key", "recording", is_package=True)) == [(1, "harness.recording.key")]
    assert list(imports("from .. import turn", "recording", is_package=True)) == [(1, "harness.turn")]
    assert list(imports("from . import turn", "", is_package=True)) == [(1, "harness.turn")]


def test_a_planted_file_is_found() -> None:
    names = ["errors.py", "__init__.py", "api/sse.py", "engine.py", "rooms/a.py", "api/utils.py", "common/key.py"]

    assert misplaced(names) == ["api/utils.py", "common/key.py", "engine.py", "rooms/a.py"]


def test_module_names_follow_from_paths() -> None:
    root = Path("harness")

    assert module_name(root / "recording" / "key.py", root) == "recording.key"
    assert module_name(root / "recording" / "__init__.py", root) == "recording"
    assert module_name(root / "__init__.py", root) == ""
