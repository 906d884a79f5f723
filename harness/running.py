"""Running a server that wiring has built: in the foreground until a signal, or in a thread beside a test."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import quote

from aiohttp import web

from harness.errors import HarnessError, SettingsError
from harness.server.app import make_app
from harness.server.at_hand import answer_at_hand
from harness.server.pipe import Deliver, Pipe
from harness.server.repeats import Whole
from harness.settings import NO_KEY, Settings, check, variable_stem
from harness.wiring import Parts, build

_GRACE_SECONDS = 5.0
"""How long streams in flight may take to finish once the server is told to stop."""

_AT_ONCE_SECONDS = 0.001
"""The same once they are broken off. To aiohttp, none at all would be for ever."""

_NOTICE_SECONDS = 0.5
"""How long the end may take before it is explained."""


def scoped_url(root: str, scope: str | None) -> str:
    """The base URL for clients of the server at ``root``; with a scope, the one that carries it."""
    return f"{root}/scope/{quote(scope, safe='')}/v1" if scope else f"{root}/v1"


def without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep proxies away from servers on this machine, beside what they keep away already."""
    kept = environ.get("no_proxy") or environ.get("NO_PROXY")
    hosts = ",".join(filter(None, (kept, "127.0.0.1", "localhost")))
    return {"no_proxy": hosts, "NO_PROXY": hosts}


_CLIENTS = {
    "anthropic": ("ANTHROPIC_BASE_URL", ""),
    "azure": ("AZURE_OPENAI_ENDPOINT", ""),
    "ollama": ("OLLAMA_HOST", ""),
}
"""Of upstreams whose clients add more than ``/chat/completions`` to their base URL: its variable and its end."""


def client_environment(settings: Settings, root: str, scope: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead clients to the server at ``root``: base URLs, keys where dummies do, no proxy between.

    ``openai`` has ``OPENAI_BASE_URL``, each other configured upstream a variable of its own (``ANTHROPIC_BASE_URL``,
    ``NAME_BASE_URL``). In replay the keys (``NAME_API_KEY``, or what the upstream's ``key_env`` names) are dummies, so
    that no real key is in reach; in the other modes they are left as they are, or dummies where there are none.
    """
    base = scoped_url(root, scope)
    found = {"OPENAI_BASE_URL": base} | without_proxy(environ)
    for name in settings.upstream_names:
        if name != "openai":
            variable, end = _CLIENTS.get(name, (f"{variable_stem(name)}_BASE_URL", "/v1"))
            found[variable] = f"{base.removesuffix('/v1')}/{name}{end}"
        key = settings.key_variable(name)
        if not settings.mode.needs_upstream or not environ.get(key):
            found[key] = NO_KEY
    return found


async def start(settings: Settings, host: str, port: int) -> tuple[web.AppRunner, Parts, str]:
    """Serve; the runner to clean up with, the parts, and the root URL for clients here. Port 0 takes a free one.

    Raises SettingsError when the disk or the network does not allow it.
    """
    runner, parts = await _prepare(settings, None)
    try:
        root = await _listen(runner, host, port)
    except SettingsError:
        await runner.cleanup()
        raise
    return runner, parts, root


async def _prepare(settings: Settings, begun: int | None) -> tuple[web.AppRunner, Parts]:
    """A server that is ready and listens nowhere yet."""
    check(settings)
    parts = await build(settings, begun)
    runner = web.AppRunner(make_app(parts.services), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    return runner, parts


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Open a port; the root URL for clients here."""
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise _not_served(host, port, error) from error
    return f"http://{_for_clients(host)}:{runner.addresses[0][1]}"


def _not_served(host: str, port: int, error: OSError) -> SettingsError:
    is_taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
    # asyncio puts a sentence of its own in the place of the system's words; a name that is not found has no others.
    words = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return SettingsError(
        f"{host}:{port} cannot be served: {words}",
        hint="Try --port 0 for a free port." if is_taken else "Name an address of this machine: --host 127.0.0.1",
    )


def _for_clients(host: str) -> str:
    """What clients on this machine write for the host: every address includes the loopback one."""
    named = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read here, not bound
    return f"[{named}]" if ":" in named else named


async def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    started: Callable[[Parts, str], None],
    waiting: Callable[[], None],
) -> Parts:
    """Serve until SIGINT or SIGTERM. Then what is in flight may finish for a while; a second signal cuts it off.

    ``started`` is told the parts and the root URL, ``waiting`` that the end takes a moment.
    """
    signals = _Signals()
    runner, parts, root = await start(settings, host, port)
    try:
        started(parts, root)
        await signals.first.wait()
    finally:
        notice = asyncio.get_running_loop().call_later(_NOTICE_SECONDS, waiting)
        await _end(runner, parts, at_once=signals.second)
        notice.cancel()
    return parts


class _Signals:
    """SIGINT and SIGTERM, counted: the first asks for the end, the second for an end at once."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._arrived)

    def _arrived(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _end(runner: web.AppRunner, parts: Parts, *, at_once: asyncio.Event) -> None:
    """Let what is in flight finish, until the event breaks it off."""
    cleaning, breaking = asyncio.create_task(runner.cleanup()), asyncio.create_task(at_once.wait())
    done, pending = await asyncio.wait((cleaning, breaking), return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if cleaning in done:
        cleaning.result()
    else:
        await _break_off(runner, parts)


async def _break_off(runner: web.AppRunner, parts: Parts) -> None:
    """Answer nobody any more, and let go of everything."""
    if runner.server is not None:
        await runner.server.shutdown(_AT_ONCE_SECONDS)
    parts.services.backend.abandon()
    await parts.services.backend.close(grace=0)
    await parts.services.state.close()


_THREAD = "harness-server"


def is_server_thread() -> bool:
    """Whether the code that asks runs in the thread of a server."""
    return threading.current_thread().name == _THREAD


class ServerThread:
    """A server in a thread of its own: a context manager.

    It listens on a free port of the loopback interface from the first time that it is asked for a URL; ``call`` needs
    no port. ``begun`` is when the run began that it is a part of, in nanoseconds since 1970: by default now.
    """

    def __init__(self, settings: Settings, begun: int | None = None) -> None:
        self.settings, self._begun = settings, begun
        self._process = os.getpid()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._at_once: asyncio.Event | None = None
        self._parts: Parts | None = None
        self._runner: web.AppRunner | None = None
        self._root = ""
        self._opening = threading.Lock()
        self._to_begin: deque[str | None] = deque()
        """Scopes that begin anew as soon as the server's thread comes to it."""
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def break_off(self) -> None:
        """Wait for nothing at the end: what is in flight then is closed, and not recorded."""
        if self._loop is not None and self._at_once is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.parts.services.backend.abandon)
            self._loop.call_soon_threadsafe(self._at_once.set)

    @property
    def root(self) -> str:
        """The URL without a path. Raises SettingsError when no port can be opened."""
        with self._opening:
            if not self._root:
                loop, runner = self._running()
                self._root = asyncio.run_coroutine_threadsafe(_listen(runner, "127.0.0.1", 0), loop).result()
        return self._root

    def listens_at(self, address: object) -> bool:
        """Whether an address is the one that clients connect to."""
        return bool(self._root) and isinstance(address, tuple) and self._root == f"http://{address[0]}:{address[1]}"

    @property
    def base_url(self) -> str:
        """What goes into ``OPENAI_BASE_URL``."""
        return scoped_url(self.root, None)

    def scoped(self, scope: str) -> str:
        """The base URL of a scope, whose sequences begin anew."""
        self.begin(scope)
        return scoped_url(self.root, scope)

    def adopt(self, scope: str | None) -> None:
        """From now on, and until it is told otherwise, requests that name no scope are of this one."""
        unscoped = self.parts.services.unscoped
        unscoped.scope, unscoped.changes = scope, True

    def retire(self, scope: str) -> None:
        """The scope's test has ended: clients that it made, and that are used on, are of the scope that is adopted."""
        self.parts.services.unscoped.past.add(scope)

    def begin(self, scope: str | None) -> None:
        """Begin the sequences of a scope anew, as for a test that is run again."""
        loop, _ = self._running()
        self.parts.services.unscoped.past.discard(scope or "")
        at_hand = self.parts.services.at_hand
        if at_hand is not None:
            at_hand.forget(scope)
            return
        self._to_begin.append(scope)
        loop.call_soon_threadsafe(self._begin_next)

    def _begin_next(self) -> None:
        self.parts.services.backend.forget(self._to_begin[0])
        self._to_begin.popleft()

    def at_hand(self, data: bytes) -> Whole | None:
        """Answer an HTTP request as ``call`` would, but at once and in this thread; None when it has to be called."""
        _, runner = self._running()
        return None if self._to_begin else answer_at_hand(runner.app, data)

    def call(self, data: bytes, deliver: Deliver) -> Callable[[], None]:
        """Answer an HTTP request, given as bytes, without a socket; what hangs up before the end.

        ``deliver`` gets the answer's bytes as they are written, then None, in the server's thread.
        """
        loop, runner = self._running()
        assert runner.server is not None
        pipe = Pipe(deliver)
        loop.call_soon_threadsafe(pipe.open, runner.server, data)
        return lambda: _unless_closed(loop, pipe.close)

    def abandon(self, scope: str) -> None:
        """The scope's run failed: what it did not record again is left as it was."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.parts.services.backend.abandon, (scope,))

    @property
    def parts(self) -> Parts:
        if self._parts is None:
            raise _not_running()
        return self._parts

    def _running(self) -> tuple[asyncio.AbstractEventLoop, web.AppRunner]:
        if self._process != os.getpid():
            raise _is_of_the_parent()
        if self._loop is None or self._runner is None or not self._thread.is_alive():
            raise _not_running()
        return self._loop, self._runner

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the thread that waits must hear of it
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop, self._at_once = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._runner, self._parts = await _prepare(self.settings, self._begun)
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await _end(self._runner, self._parts, at_once=self._at_once)


def _not_running() -> Exception:
    return RuntimeError("the server is not running: use it in a with statement")


def _is_of_the_parent() -> HarnessError:
    return HarnessError(
        "This process was forked from the one that the harness runs in, and a thread does not come along.",
        hint="Make the client from OPENAI_BASE_URL (fixture harness_base_url), or start processes by 'spawn'.",
    )


def _unless_closed(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # The loop has ended, and the connection with it.
        loop.call_soon_threadsafe(function)
