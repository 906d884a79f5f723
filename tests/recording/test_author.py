"""A recording written by hand is one like any other, and says that it was written by hand."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from harness.recording.author import author
from harness.recording.chunks import aggregate
from harness.recording.format import dumps, loads, to_document, to_exchange
from harness.recording.ids import completion_id
from harness.recording.key import key
from harness.recording.model import Request

LAW = settings(deadline=None)


def request(*, stream: bool, scope: str | None = "tests/t.py::test_a") -> Request:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello"}]}
    return Request("POST", "/v1/chat/completions", {**body, "stream": True} if stream else body, scope)


@LAW
@given(
    st.text(max_size=40),
    st.lists(st.fixed_dictionaries({"name": st.text(max_size=5), "arguments": st.text(max_size=40)}), max_size=3),
)
def test_a_stream_and_a_whole_say_the_same(answer: str, calls: list[dict[str, str]]) -> None:
    whole = author(request(stream=False), answer, calls).response
    stream = author(request(stream=True), answer, calls).response

    assert not whole.is_streaming
    assert stream.is_streaming
    for chunk in stream.body:
        ChatCompletionChunk.model_validate(chunk)
    completion = ChatCompletion.model_validate(whole.body)
    assert (completion.choices[0].message.content or "") == answer
    assert completion.choices[0].finish_reason == ("tool_calls" if calls else "stop")
    assert _without_ids(aggregate(stream.body)) == _without_ids(whole.body)


def _without_ids(whole: dict[str, Any]) -> dict[str, Any]:
    """A copy without what follows from the key, which differs as the requests do."""
    copied = copy.deepcopy({**whole, "id": None})
    for call in copied["choices"][0]["message"].get("tool_calls") or ():
        call["id"] = None
    return copied


def test_it_is_marked_and_its_ids_follow_from_its_key() -> None:
    asked = request(stream=False)
    exchange = author(asked, "", [{"name": "f", "arguments": "{}"}, {"name": "f", "arguments": "{}"}])

    document = to_document(exchange)
    assert document["request"]["provider_metadata"] == {"authored": True}
    assert exchange.response.body["id"] == completion_id(key(asked))
    ids = [call["id"] for call in exchange.response.body["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert to_exchange(loads(dumps(document))) == exchange


def test_the_same_words_make_the_same_file() -> None:
    one, other = (to_document(author(request(stream=True), "Hello! How can I assist you today?")) for _ in range(2))

    assert dumps(one) == dumps(other)
    assert [chunk["__data__"]["choices"][0]["delta"].get("content") for chunk in one["response"]["body"]] == [
        "",
        "Hello!",
        " How",
        " can",
        " I",
        " assist",
        " you",
        " today?",
        None,
    ]
