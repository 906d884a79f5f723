"""Placeholders are put back where the recorded answer quotes them: in wholes, in streams, when asked again."""

from pathlib import Path

import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Match, Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream

OLD, NEW, OTHER = "2025-01-03", "2026-11-22", "2027-05-06"


def ask(server: ServerThread, date: str, *, streamed: bool) -> str:
    with OpenAI(base_url=server.base_url, api_key="harness", max_retries=0) as client:
        if streamed:
            pieces = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": f"Today is {date}."}], stream=True
            )
            return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        whole = client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"Today is {date}."}])
        return whole.choices[0].message.content or ""


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    text = f"So it is {OLD}, not 2024-12-31."
    pieces = [chunk(text[at : at + 3]) for at in range(0, len(text), 3)]
    with scripted(stream(*pieces, chunk(finish="stop"))) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            ask(server, OLD, streamed=True)
    return tmp_path


def test_an_answer_quotes_what_the_request_says_now_each_time(recorded: Path) -> None:
    settings = Settings(recordings=recorded, match=Match(presets=("dates",)))
    with ServerThread(settings) as server:
        for date in (OLD, NEW, NEW, OTHER, NEW, OLD):
            for streamed in (True, False):
                assert ask(server, date, streamed=streamed) == f"So it is {date}, not 2024-12-31."


def test_a_rule_for_one_endpoint_holds_there(recorded: Path) -> None:
    there = Match(endpoints={"/v1/chat/completions": Match(replace=((r"\d{4}-\d\d-\d\d", "<day>"),))})
    with ServerThread(Settings(recordings=recorded, match=there)) as server:
        assert ask(server, NEW, streamed=True) == f"So it is {NEW}, not 2024-12-31."
