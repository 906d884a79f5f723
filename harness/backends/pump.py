"""Carrying a stream from the upstream to the client and, once it has ended, to the store."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from harness.backends.pacing import Stopwatch
from harness.backends.protocol import Answer
from harness.errors import BrokenOff, HarnessError, UpstreamError
from harness.recording.model import STREAM_TYPE, Response
from harness.recording.transcript import ToldError, Transcript


class Take(Protocol):
    """Where a stream that has passed goes."""

    records_errors: bool
    """Whether a stream that broke off is written down too."""

    async def save(self, response: Response) -> str:
        """It has ended: write it down; the name of its recording."""
        ...

    def finish(self, error: HarnessError) -> None:
        """It failed: nothing is written."""
        ...


class Pump:
    """One stream on its way: ``run`` is a task of its own, ``answer`` is what the client reads meanwhile.

    A client that reads slowly, or not at all, holds nothing up.
    """

    def __init__(
        self, take: Take, upstream: Answer, said: Transcript, headers: Mapping[str, str], watch: Stopwatch | None
    ) -> None:
        self._take, self._upstream, self._said, self._headers, self._watch = take, upstream, said, headers, watch
        self._queue: asyncio.Queue[bytes | HarnessError | None] = asyncio.Queue()

    def answer(self) -> Answer:
        media_type = self._said.media_type or STREAM_TYPE
        return Answer(self._upstream.status, media_type, stream=self._drain(), headers=self._headers)

    async def _drain(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            if isinstance(piece, HarnessError):
                raise piece
            yield piece

    async def run(self) -> None:
        try:
            await self._carry()
        except UpstreamError as error:
            if self._take.records_errors:
                await self._save_broken(error)
            else:
                self._fail(error)
        except HarnessError as error:
            self._fail(error)
        except Exception:
            # Nothing that was foreseen: the reader must not take what came for all of it.
            self._queue.put_nowait(BrokenOff("The harness failed in mid-stream.", hint="Its log has the details."))
            raise
        finally:
            self._queue.put_nowait(None)

    async def _carry(self) -> None:
        assert self._upstream.stream is not None
        async for piece in self._upstream.stream:
            for data in self._said.feed(piece):
                if self._watch:
                    self._watch.lap()
                self._queue.put_nowait(data)
        last = self._said.end()
        await self._take.save(self._response())
        self._queue.put_nowait(last)

    def _response(self, *, is_broken: bool = False) -> Response:
        return Response(
            self._said.body,
            is_streaming=True,
            status=self._upstream.status,
            media_type=self._said.media_type,
            headers=self._headers,
            timings=self._watch.timings() if self._watch else None,
            is_broken=is_broken,
        )

    async def _save_broken(self, error: UpstreamError) -> None:
        """Record what came, and let the client see the end that it will see again."""
        try:
            await self._take.save(self._response(is_broken=True))
        except HarnessError as failure:
            self._fail(failure)
        else:
            self._queue.put_nowait(BrokenOff(error.message, hint=error.hint))

    def _fail(self, error: HarnessError) -> None:
        self._take.finish(error)
        if not isinstance(error, ToldError):
            self._queue.put_nowait(self._said.fail(error))
