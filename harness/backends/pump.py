"""Carrying a stream from the upstream to the client and, once it is complete, to the store."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from harness.backends.protocol import Answer
from harness.errors import HarnessError
from harness.recording.model import STREAM_TYPE, Response
from harness.recording.transcript import ToldError, Transcript


class Take(Protocol):
    """Where a stream that has passed goes."""

    async def save(self, response: Response) -> str:
        """It is complete: write it down; the name of its recording."""
        ...

    def finish(self, error: HarnessError) -> None:
        """It failed: nothing is written."""
        ...


class Pump:
    """One stream on its way: ``run`` is a task of its own, ``answer`` is what the client reads meanwhile.

    A client that reads slowly, or not at all, holds nothing up.
    """

    def __init__(self, take: Take, upstream: Answer, said: Transcript, headers: Mapping[str, str]) -> None:
        self._take, self._upstream, self._said, self._headers = take, upstream, said, headers
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def answer(self) -> Answer:
        return Answer(self._upstream.status, self._media_type, stream=self._drain(), headers=self._headers)

    @property
    def _media_type(self) -> str:
        return self._said.media_type or STREAM_TYPE

    async def _drain(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            yield piece

    async def run(self) -> None:
        assert self._upstream.stream is not None
        try:
            async for piece in self._upstream.stream:
                for data in self._said.feed(piece):
                    self._queue.put_nowait(data)
            last = self._said.end()
            await self._take.save(
                Response(
                    self._said.body,
                    is_streaming=True,
                    status=self._upstream.status,
                    media_type=self._said.media_type,
                    headers=self._headers,
                )
            )
            self._queue.put_nowait(last)
        except ToldError as error:
            self._take.finish(error)
        except HarnessError as error:
            self._take.finish(error)
            self._queue.put_nowait(self._said.fail(error))
        finally:
            self._queue.put_nowait(None)
