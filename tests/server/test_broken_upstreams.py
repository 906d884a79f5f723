"""Responses over an upstream with headers of its own wording, that refuses late or stops early.

Live: nothing is recorded that would notice.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, http, scripted, stream


def refused(answer: bytes, tmp_path: Path, ask: Callable[[OpenAI], Any]) -> openai.APIStatusError:
    with scripted(answer) as upstream:
        settings = Settings(mode=Mode.LIVE, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            with pytest.raises(openai.APIStatusError) as raised:
                ask(client)
    return raised.value


@pytest.mark.parametrize("before", [(), (chunk(""),)], ids=["at once", "after a role"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_an_error_before_the_first_word_is_an_http_error(tmp_path: Path, streamed: bool, before: tuple[Any]) -> None:
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": 429}}
    raised = refused(
        stream(*before, error),
        tmp_path,
        lambda client: client.responses.create(model="m", input="Hi", stream=streamed),
    )
    assert raised.status_code == 429
    assert "slow down" in str(raised)


@pytest.mark.parametrize("chunks", [(), (chunk("half an"),)], ids=["nothing", "half"])
def test_a_whole_answer_that_stops_early_is_an_error(tmp_path: Path, chunks: tuple[dict[str, Any], ...]) -> None:
    answer = stream(*chunks, done=False)
    raised = refused(answer, tmp_path, lambda client: client.responses.create(model="m", input="Hi"))
    assert raised.status_code == 502


def test_a_stream_that_stops_early_has_failed_and_adds_nothing(tmp_path: Path) -> None:
    with scripted(stream(chunk("half an"), done=False)) as upstream:
        settings = Settings(mode=Mode.LIVE, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x") as client:
            conversation = client.conversations.create()
            asked = client.responses.create(model="m", input="Hi", stream=True, conversation=conversation.id)
            assert [event.type for event in asked][-1] == "response.failed"
            assert client.conversations.items.list(conversation.id).data == []


def test_items_without_words_are_no_question(tmp_path: Path) -> None:
    search: Any = [{"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}}]
    raised = refused(b"", tmp_path, lambda client: client.responses.create(model="m", input=search))
    assert (raised.status_code, raised.code) == (400, "invalid_value")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_stream_may_say_its_charset(tmp_path: Path, streamed: bool) -> None:
    """So OpenAI's own do."""
    answer = stream(chunk("Hi"), chunk(finish="stop"))
    answer = answer.replace(b"text/event-stream", b"Text/Event-Stream; charset=utf-8")
    with scripted(answer) as upstream:
        settings = Settings(mode=Mode.LIVE, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x") as client:
            with client.responses.stream(model="m", input="Hi") if streamed else nullcontext() as events:
                response = events.get_final_response() if events else client.responses.create(model="m", input="Hi")
    assert response.output_text == "Hi"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"error": {"message": "slow down", "code": 429}, "user_id": "u"}, 429, "slow down"),
        ({"error": "out of memory"}, 502, "out of memory"),
        ({"object": "error", "message": "no such model", "code": 404}, 502, "no such model"),
        ({"choices": []}, 502, "no chat completion"),
    ],
)
def test_a_failure_that_looks_like_an_answer_is_an_error(
    tmp_path: Path, body: dict[str, Any], status: int, message: str
) -> None:
    raised = refused(
        http(json.dumps(body).encode()), tmp_path, lambda client: client.responses.create(model="m", input="Hi")
    )
    assert raised.status_code == status
    assert message in str(raised)


def test_a_failure_that_looks_like_an_answer_is_not_recorded(tmp_path: Path) -> None:
    failed = http(b'{"error": {"message": "slow down", "code": 429}}')
    with scripted(failed, failed, stream(chunk("Hi"), chunk(finish="stop"))) as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError):
                client.responses.create(model="m", input="Hi")
            asked = client.chat.completions.with_raw_response.create(
                model="m", messages=[{"role": "user", "content": "Hi"}]
            )
            assert b"slow down" in asked.content
            assert list(tmp_path.iterdir()) == []
            assert client.responses.create(model="m", input="Hi").output_text == "Hi"
    assert len(list(tmp_path.iterdir())) == 1
