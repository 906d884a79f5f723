"""Timings: nothing of the clock in a file unless they are asked for; replayed as fast as one wants."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.backends.pacing import Pace, Stopwatch
from harness.recording.answer import Rendered
from harness.recording.format import loads, to_exchange
from harness.recording.model import Json
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.backends.test_record import STREAM, TEXT, WHOLE, client_of, said
from tests.scripted_upstream import http, scripted, stream


def paced(body: bytes, media_type: str, timings: dict[str, Json], speed: float) -> tuple[list[bytes], list[float]]:
    """The pieces, and how long was slept, in the order of both."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def pieces() -> list[bytes]:
        rendered = Rendered(200, media_type, body, timings=timings)
        return [piece async for piece in Pace(speed, sleep).pieces(rendered)]

    return asyncio.run(pieces()), slept


@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_stopwatch_says_how_long_each_piece_took(delays: list[float]) -> None:
    times = iter([5.0, *(5.0 + sum(delays[: number + 1]) for number in range(len(delays)))])
    watch = Stopwatch(lambda: next(times))
    for _ in delays:
        watch.lap()
    timings = watch.timings()
    assert abs(timings["first_byte"] - delays[0]) < 0.001
    assert len(timings["chunks"]) == len(delays)
    assert all(abs(one - other) < 0.001 for one, other in zip(timings["chunks"], [0.0, *delays[1:]], strict=True))


def test_pieces_go_out_in_their_time() -> None:
    body = b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
    timings = {"first_byte": 2.0, "chunks": [0.0, 1.0]}
    assert paced(body, "text/event-stream", timings, 10) == (
        [b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"],
        [0.2, 0.1],
    )
    assert paced(b"1\n2\n", "application/x-ndjson", timings, 1) == ([b"1\n", b"2\n"], [2.0, 1.0])
    assert paced(b"{}", "application/json", {"first_byte": 2.0, "chunks": []}, 1) == ([b"{}"], [2.0])
    assert paced(b"{}", "application/json", {"first_byte": "soon", "chunks": 7}, 1) == ([b"{}"], [])


def test_timings_are_written_where_they_are_asked_for_and_are_no_part_of_the_rest(tmp_path: Path) -> None:
    answers = stream(*STREAM), http(json.dumps(WHOLE).encode())
    files = {}
    for timings in (False, True):
        directory = tmp_path / str(timings)
        with scripted(*answers) as upstream:
            chosen = Settings(mode=Mode.RECORD, recordings=directory, upstream=upstream.url, timings=timings)
            with ServerThread(chosen) as server:
                assert said(client_of(server)) == TEXT
                client_of(server).chat.completions.create(model="m", messages=[])
        files[timings] = {file.name: file.read_text() for file in directory.iterdir()}
    assert files[False].keys() == files[True].keys()
    for name, text in files[True].items():
        plain, timed = (to_exchange(loads(files[asked][name])) for asked in (False, True))
        assert plain == replace(timed, response=replace(timed.response, timings=None))
        assert timed.response.timings is not None
        assert len(timed.response.timings["chunks"]) == (len(STREAM) if timed.response.is_streaming else 1)
        assert '"timings"' in text
    with ServerThread(Settings(recordings=tmp_path / "True", speed=1000)) as server:
        assert said(client_of(server)) == TEXT
