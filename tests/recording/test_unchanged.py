"""What may differ between an old recording and a new one for the old one to stay, and what may not."""

from dataclasses import replace
from typing import Any

import pytest

from harness.recording.model import Exchange, Request, Response
from harness.recording.unchanged import is_unchanged

REQUEST = Request("POST", "/v1/chat/completions", {"model": "m", "messages": []})


def piece(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "created": 1, "model": "m", "choices": [choice], **more}


def stream(*pieces: dict[str, Any]) -> Exchange:
    return Exchange(REQUEST, Response(list(pieces), is_streaming=True))


def whole(content: str = "yes", **more: Any) -> Exchange:
    message = {"role": "assistant", "content": content}
    body = {"id": "c", "created": 1, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more}
    return Exchange(REQUEST, Response(body))


def message(**more: Any) -> Exchange:
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    return Exchange(REQUEST, Response({"id": "msg_1", "type": "message", "content": [block | more]}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (whole(), whole(id="d", created=2, system_fingerprint="fp")),
        (stream(piece("ye"), piece("s", "stop")), stream(piece("y"), piece("es"), piece(finish="stop"))),
        (stream(piece("yes", "stop")), stream(piece("yes", "stop", obfuscation="xxxx"))),
        (whole(), replace(whole(), response=replace(whole().response, headers={"x-ratelimit-limit-tokens": "5"}))),
        (replace(whole(), provider="http://127.0.0.1:1"), replace(whole(), provider="http://127.0.0.1:2")),
        (message(), replace(message(), response=Response(message().response.body | {"id": "msg_2"}))),
    ],
)
def test_noise_changes_nothing(old: Exchange, new: Exchange) -> None:
    assert is_unchanged(old, new)
    assert is_unchanged(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (whole(), whole("no")),
        (whole(), whole(usage={"total_tokens": 3})),
        (whole(model="m"), whole(model="n")),
        (stream(piece("yes", "stop")), stream(piece("yes", "length"))),
        (whole(), replace(whole(), response=replace(whole().response, status=201))),
        (whole(), stream(piece("yes", "stop"))),
        (whole(), replace(whole(), provider="https://elsewhere.example")),
        (whole(), replace(whole(), metadata={"authored": True})),
        (whole(), replace(whole(), response=replace(whole().response, timings={"first_byte": 0.1}))),
        # What a client quotes in its next request leads to that request's recording.
        (message(), message(id="toolu_2")),
        (message(), message(signature="another")),
    ],
)
def test_what_a_client_is_told_counts(old: Exchange, new: Exchange) -> None:
    assert not is_unchanged(old, new)
    assert not is_unchanged(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"reasoning": "They ask."}, {"reasoning_content": "They ask."}),
        ({"reasoning": "They ask."}, {"reasoning": "They ask.", "reasoning_content": "They ask."}),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "a"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "b"}]},
        ),
    ],
)
def test_what_a_client_reads_or_sends_back_is_a_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A diff has nothing to say of these, but who replays the old one gets another field, or quotes another one."""
    one, two = (
        Exchange(REQUEST, Response({"id": "c", "choices": [{"index": 0, "message": {"content": "yes", **message}}]}))
        for message in (old, new)
    )
    assert is_unchanged(one, one)
    assert not is_unchanged(one, two)
    assert not is_unchanged(two, one)


def test_another_position_is_written_where_one_is_known() -> None:
    third = replace(whole(), position=3)
    assert is_unchanged(third, third)
    assert is_unchanged(third, whole())
    assert not is_unchanged(third, replace(whole(), position=2))
    assert not is_unchanged(whole(), third)
