"""Transports for httpx and httpx2. One serves both: it answers with the classes of the library that asks."""

import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from functools import cache
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, Self

import anyio
import anyio.lowlevel

from harness.running import ServerThread
from harness.server.repeats import Whole
from harness.transports.engine import Engine
from harness.transports.mailbox import AsyncMailbox, Mailbox, async_mailbox, mailbox
from harness.transports.wire import SCOPE_HEADER, Answer, target
from harness.transports.wire import request as as_bytes


class _Asked(NamedTuple):
    """A request as bytes, and the server that it is for."""

    server: ServerThread
    data: bytes


class _Base:
    """What both kinds of transports are made of: an engine for the scope and the settings that they were given."""

    def __init__(self, scope: str | None = None, **settings: Any) -> None:
        self._engine = Engine(scope, settings)

    def _asked(self, request: Any, body: bytes) -> "_Asked":
        here = self._engine.surroundings()
        headers = request.headers.raw
        path, _, question = request.url.raw_path.decode("ascii").partition("?")
        # What the client says of its scope counts before what the moment says, and after what the transport was given.
        says = path.startswith("/scope/") or SCOPE_HEADER in request.headers
        asked = target(path, self._engine.scope if says else here.scope) + (f"?{question}" if question else "")
        return _Asked(here.server, as_bytes(request.method, asked, headers, body))


class Transport(_Base):
    """What ``httpx.Client(transport=…)`` takes: each call is answered in this process, whatever host it is for."""

    def handle_request(self, request: Any) -> Any:
        library, asked = _library_of(request), self._asked(request, request.read())
        whole = asked.server.at_hand(asked.data)
        if whole is not None:
            return _at_once(library, request, whole)
        answer, box = Answer(request.method), mailbox()
        hang_up = asked.server.call(asked.data, box.deliver)
        pieces = _pieces(library, request, answer, box)
        try:
            next(pieces)
        except BaseException:
            hang_up()
            raise
        stream = _sync_stream(library)(pieces, hang_up)
        return library.Response(answer.status, headers=answer.headers, stream=stream, request=request)

    def close(self) -> None:
        """The server is not this transport's alone, and goes on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncTransport(_Base):
    """The same for ``httpx.AsyncClient(transport=…)``, in asyncio and in trio."""

    async def handle_async_request(self, request: Any) -> Any:
        library, asked = _library_of(request), self._asked(request, await request.aread())
        whole = asked.server.at_hand(asked.data)
        if whole is not None:
            # Other tasks have their turn, as they do while an answer is on its way.
            await anyio.lowlevel.checkpoint()
            return _at_once(library, request, whole)
        answer, box = Answer(request.method), async_mailbox()
        hang_up = asked.server.call(asked.data, box.deliver)
        pieces = _async_pieces(library, request, answer, box)
        try:
            await anext(pieces)
        except BaseException:
            hang_up()
            raise
        stream = _async_stream(library)(pieces, hang_up)
        return library.Response(answer.status, headers=answer.headers, stream=stream, request=request)

    async def aclose(self) -> None:
        """The server is not this transport's alone, and goes on."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


def _library_of(request: Any) -> ModuleType:
    """The library (httpx or httpx2) of this request, and so of the client that waits for its answer."""
    return sys.modules[type(request).__module__.partition(".")[0]]


def _at_once(library: ModuleType, request: Any, whole: Whole) -> Any:
    stream = library.ByteStream(whole.body)
    return library.Response(whole.status, headers=whole.headers, stream=stream, request=request)


def _patience(request: Any) -> float | None:
    seconds = request.extensions.get("timeout", {}).get("read")
    return None if seconds is None else float(seconds)


@contextlib.contextmanager
def _as_errors_of(library: ModuleType, request: Any) -> Iterator[None]:
    """What fails while an answer comes fails as it would over the network."""
    try:
        yield
    except TimeoutError as error:
        raise library.ReadTimeout("The answer takes too long.", request=request) from error
    except EOFError as error:
        raise library.RemoteProtocolError(str(error), request=request) from error


def _pieces(library: ModuleType, request: Any, answer: Answer, box: Mailbox) -> Generator[bytes, None, None]:
    """The pieces of the body; before them an empty one, when the head is there."""
    told = False
    with _as_errors_of(library, request):
        while not answer.is_over:
            piece = answer.receive(box.take(_patience(request)))
            if answer.status and not told:
                told = True
                yield b""
            if piece:
                yield piece


async def _async_pieces(
    library: ModuleType, request: Any, answer: Answer, box: AsyncMailbox
) -> AsyncGenerator[bytes, None]:
    told = False
    with _as_errors_of(library, request):
        while not answer.is_over:
            with anyio.fail_after(_patience(request)):
                arrived = await box.take()
            piece = answer.receive(arrived)
            if answer.status and not told:
                told = True
                yield b""
            if piece:
                yield piece


@cache
def _sync_stream(library: ModuleType) -> type[Any]:
    """The class of a body of the library: closing it hangs up."""

    class Stream(library.SyncByteStream):  # type: ignore[misc, name-defined] # whichever library asks
        def __init__(self, pieces: Generator[bytes, None, None], hang_up: Callable[[], None]) -> None:
            self._pieces, self._hang_up = pieces, hang_up

        def __iter__(self) -> Iterator[bytes]:
            return self._pieces

        def close(self) -> None:
            self._hang_up()
            self._pieces.close()

    return Stream


@cache
def _async_stream(library: ModuleType) -> type[Any]:
    class Stream(library.AsyncByteStream):  # type: ignore[misc, name-defined] # whichever library asks
        def __init__(self, pieces: AsyncGenerator[bytes, None], hang_up: Callable[[], None]) -> None:
            self._pieces, self._hang_up = pieces, hang_up

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._pieces

        async def aclose(self) -> None:
            self._hang_up()
            await self._pieces.aclose()

    return Stream
