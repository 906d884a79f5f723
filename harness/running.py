"""Running a server that wiring has built: in the foreground until a signal, or in a thread beside a test."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web

from harness.errors import SettingsError
from harness.server.app import make_app
from harness.settings import Settings
from harness.wiring import Parts, build

_GRACE_SECONDS = 5.0
"""How long streams in flight may take to finish once the server is told to stop."""


def scoped_url(root: str, scope: str | None) -> str:
    """The base URL for clients of the server at ``root``; with a scope, the one that carries it."""
    return f"{root}/scope/{quote(scope, safe='')}/v1" if scope else f"{root}/v1"


async def start(settings: Settings, host: str, port: int) -> tuple[web.AppRunner, Parts, str]:
    """Serve; the runner to clean up with, the parts, and the root URL. Port 0 takes a free one.

    Raises SettingsError when the address cannot be taken.
    """
    parts = await build(settings)
    runner = web.AppRunner(make_app(parts.services), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"{host}:{port} cannot be served: {os.strerror(error.errno or 0)}", hint="Try --port 0 for a free port."
        ) from error
    taken = runner.addresses[0][1]
    shown = f"[{host}]" if ":" in host else host
    return runner, parts, f"http://{shown}:{taken}"


async def serve(settings: Settings, host: str, port: int, started: Callable[[Parts, str], None]) -> Parts:
    """Serve until SIGINT or SIGTERM; ``started`` is told the root URL. Streams in flight finish, or are closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner, parts, root = await start(settings, host, port)
    try:
        started(parts, root)
        await stop.wait()
    finally:
        await runner.cleanup()
    return parts


class ServerThread:
    """A server in a thread of its own, on a free port of the loopback interface: a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._parts: Parts | None = None
        self._root = ""
        self._thread = threading.Thread(target=self._run, name="harness-server", daemon=True)

    def __enter__(self) -> "ServerThread":
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What goes into ``OPENAI_BASE_URL``."""
        return scoped_url(self._root, None)

    def scoped(self, scope: str) -> str:
        """The base URL of a scope, whose sequences begin anew."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.parts.replay.forget, scope)
        return scoped_url(self._root, scope)

    @property
    def parts(self) -> Parts:
        if self._parts is None:
            raise RuntimeError("the server is not running: use it in a with statement")
        return self._parts

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the thread that waits must hear of it
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner, self._parts, self._root = await start(self.settings, "127.0.0.1", 0)
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await runner.cleanup()
