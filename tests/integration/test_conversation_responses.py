"""Conversations and responses together, over recordings or a live upstream: the mode is a flag, no line changes.

``pytest tests/integration`` replays; ``HARNESS_MODE=record HARNESS_UPSTREAM=… pytest tests/integration`` records.
"""

from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response

OPTIONS: dict[str, dict[str, float]] = {"tiny": {"temperature": 0, "max_output_tokens": 40}}
"""A model of random weights rambles: it is kept short, and to one answer."""


def message(text: str, role: str = "user") -> dict[str, str]:
    return {"type": "message", "role": role, "content": text}


def ask(client: OpenAI, model: str, text: str, **more: object) -> Response:
    response: Response = client.responses.create(
        model=model,
        input=[{"role": "user", "content": text}],
        **OPTIONS.get(model, {}),
        **more,  # type: ignore[call-overload]  # what a test adds is as loose as a JSON body
    )
    return response


def stream(client: OpenAI, model: str, text: str, conversation_id: str) -> Any:
    return client.responses.create(
        model=model,
        input=text,
        conversation=conversation_id,
        stream=True,
        **OPTIONS.get(model, {}),  # type: ignore[call-overload]  # as above
    )


def texts(client: OpenAI, conversation_id: str) -> list[str]:
    """The texts of a conversation, oldest first."""
    items = client.conversations.items.list(conversation_id, order="asc")
    return [part.text for item in items if item.type == "message" for part in item.content if hasattr(part, "text")]


def test_basic_workflow(client: OpenAI, model: str) -> None:
    conversation = client.conversations.create(metadata={"topic": "test"})
    response = ask(client, model, "Say hello", conversation=conversation.id)

    assert response.id.startswith("resp_")
    assert response.output_text.strip()
    assert response.conversation is not None
    assert response.conversation.id == conversation.id
    assert texts(client, conversation.id) == ["Say hello", response.output_text]


def test_multi_turn_and_streaming(client: OpenAI, model: str) -> None:
    conversation = client.conversations.create()
    first = ask(client, model, "Say hello", conversation={"id": conversation.id})

    events = list(stream(client, model, "Say goodbye", conversation.id))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:4]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert [event.type for event in events[-4:-1]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    second = last.response
    assert "".join(deltas) == second.output_text
    assert texts(client, conversation.id) == ["Say hello", first.output_text, "Say goodbye", second.output_text]


def test_a_client_that_leaves_at_the_end_finds_the_turn_in_the_conversation(client: OpenAI, model: str) -> None:
    conversation = client.conversations.create()
    with stream(client, model, "Say hello", conversation.id) as events:
        ended = next(event for event in events if event.type in ("response.completed", "response.incomplete"))

    assert texts(client, conversation.id) == ["Say hello", ended.response.output_text]


def test_context_loading(client: OpenAI, model: str) -> None:
    conversation = client.conversations.create(
        items=[message("My name is Alice. I like to eat apples."), message("Hello Alice!", "assistant")]  # type: ignore[list-item]
    )
    response = ask(client, model, "What do I like to eat?", conversation=conversation.id)

    assert response.output_text.strip()
    if model == "gpt-4o":
        assert "apple" in response.output_text.lower()
    assert len(texts(client, conversation.id)) == 4


def test_deleted_items_are_not_sent(client: OpenAI, model: str) -> None:
    """The third question is the first again: with the history gone, so is the answer."""
    conversation = client.conversations.create()
    first = ask(client, model, "Say hello", conversation=conversation.id)
    for item in client.conversations.items.list(conversation.id):
        assert item.id is not None
        client.conversations.items.delete(item.id, conversation_id=conversation.id)

    assert texts(client, conversation.id) == []
    assert ask(client, model, "Say hello", conversation=conversation.id).output_text == first.output_text


def test_previous_response(client: OpenAI, model: str) -> None:
    first = ask(client, model, "Say hello", instructions="Be brief.")
    second = ask(client, model, "Say goodbye", previous_response_id=first.id)

    assert second.previous_response_id == first.id
    assert second.instructions is None
    listed = client.responses.input_items.list(second.id, order="asc").data
    assert [item.type for item in listed] == ["message", "message", "message"]
    assert client.responses.retrieve(second.id).output_text == second.output_text


def test_errors(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="begins with 'conv'"):
        ask(client, model, "Hello", conversation="invalid_conversation_id")
    with pytest.raises(openai.NotFoundError):
        ask(client, model, "Hello", conversation="conv_zzzzzzzzz5dc81908289d62779d2ac510a2b0b602ef00a44")
    conversation = client.conversations.create()
    with pytest.raises(openai.BadRequestError, match=r"[Mm]utually exclusive"):
        ask(client, model, "Hello", conversation=conversation.id, previous_response_id="resp_1")
    assert texts(client, conversation.id) == []


def test_no_conversation_at_all(client: OpenAI, model: str) -> None:
    response = ask(client, model, "Say hello")

    assert response.output_text.strip()
    assert response.conversation is None


def test_every_step_of_the_manual_script(client: OpenAI, model: str) -> None:
    conversation = client.conversations.create(metadata={"topic": "demo"}, items=[message("Hello!")])  # type: ignore[list-item]
    assert client.conversations.retrieve(conversation.id) == conversation
    updated = client.conversations.update(conversation.id, metadata={"topic": "project-x"})
    assert updated.metadata == {"topic": "project-x"}

    parts = [[{"type": "input_text", "text": text}] for text in ("Hello!", "How are you?")]
    new = [{"type": "message", "role": "user", "content": content} for content in parts]
    assert len(client.conversations.items.create(conversation.id, items=new).data) == 2  # type: ignore[arg-type]
    listed = client.conversations.items.list(conversation.id, limit=10).data
    assert len(listed) == 3
    newest = listed[0].id
    assert newest is not None
    assert client.conversations.items.retrieve(newest, conversation_id=conversation.id) == listed[0]
    assert client.conversations.items.delete(newest, conversation_id=conversation.id).id == conversation.id
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)

    other = client.conversations.create()
    first = ask(client, model, "What are the 5 Ds of dodgeball?", conversation=other.id)
    again = "Repeat what you just said but add 'this is my {} time saying this'"
    second = ask(client, model, again.format("second"), conversation=other.id)
    third = ask(client, model, again.format("third"), conversation=other.id)
    answers = [first.output_text, second.output_text, third.output_text]
    assert texts(client, other.id)[1::2] == answers
