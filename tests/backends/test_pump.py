"""What a stream's reader is told when the harness itself fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from harness.backends.protocol import Answer
from harness.backends.pump import Pump
from harness.errors import BrokenOff, HarnessError
from harness.recording.model import STREAM_TYPE, Json, Response


class Failing:
    """A transcript that does not do its work."""

    body: list[Json] = []  # noqa: RUF012 - nothing is ever put into it
    media_type = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece
        raise KeyError(piece)

    def end(self) -> bytes:
        return b""

    def fail(self, error: HarnessError) -> bytes:
        return b""


class Nowhere:
    records_errors = False

    async def save(self, response: Response) -> str:
        raise AssertionError(response)

    def finish(self, error: HarnessError) -> None:
        raise AssertionError(error)


async def pieces() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"


def test_a_reader_does_not_take_half_a_stream_for_all_of_it() -> None:
    async def read() -> list[bytes]:
        pump = Pump(Nowhere(), Answer(200, STREAM_TYPE, stream=pieces()), Failing(), {}, None)
        with pytest.raises(KeyError):
            await pump.run()
        stream = pump.answer().stream
        assert stream is not None
        got = [await anext(stream)]
        with pytest.raises(BrokenOff):
            await anext(stream)
        return got

    assert asyncio.run(read()) == [b"data: 1\n\n"]
