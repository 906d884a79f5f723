"""In which order what an upstream keeps is asked about, made of recordings that do not say when."""

from typing import Any

from harness.recording.keeping_order import order_of
from harness.recording.model import Exchange, Json, Request, Response
from harness.recording.quoting import quotes_of
from harness.recording.refresh import plan

CONV, ITEMS = "/v1/conversations/conv_000001", "/v1/conversations/conv_000001/items"


def asked(method: str, path: str, said: Json, body: Json = None, status: int = 200, **more: Any) -> Exchange:
    return Exchange(Request(method, path, body, "t::a", **more), Response(said, status=status))


def message(id: str) -> dict[str, Json]:
    return {"id": id, "type": "message", "role": "assistant", "content": []}


def turn(number: int, tokens: int) -> Exchange:
    said = {"id": f"resp_00000{number}", "object": "response", "output": [message(f"msg_00000{number}")],
            "usage": {"input_tokens": tokens, "output_tokens": 1}}  # fmt: skip
    return asked("POST", "/v1/responses", said, {"model": "m", "input": f"{number}", "conversation": "conv_000001"})


def listing(*ids: str) -> Exchange:
    return asked("GET", ITEMS, {"object": "list", "data": [message(id) for id in ids], "has_more": False})


def order(exchanges: dict[str, Exchange]) -> list[str]:
    return [step.name for step in plan(exchanges).steps]


MADE = asked("POST", "/v1/conversations", {"id": "conv_000001", "object": "conversation"}, {})


def test_turns_of_a_conversation_come_one_after_the_other_by_what_they_read() -> None:
    # The names are in another order.
    exchanges = {"d": MADE, "c": turn(1, 10), "a": turn(2, 30), "b": turn(3, 60)}
    assert order(exchanges) == ["d", "c", "a", "b"]
    exchanges["e"] = asked("POST", ITEMS, {"object": "list", "data": [message("msg_000009")]}, {"items": []})
    assert order(exchanges) == ["d", "e", "c", "a", "b"]


def test_what_is_read_comes_between_what_it_tells_and_what_it_does_not() -> None:
    exchanges = {"z": MADE, "a": listing("msg_000001"), "b": turn(1, 10), "c": turn(2, 30), "d": listing()}
    assert order(exchanges) == ["z", "d", "b", "a", "c"]


def test_what_ends_something_comes_behind_whatever_has_it_and_before_what_misses_it() -> None:
    gone = {"error": {"message": "No such object: conv_000001"}}
    exchanges = {
        "z": MADE,
        "a": asked("DELETE", CONV, {"id": "conv_000001", "deleted": True}),
        "b": asked("GET", CONV, gone, status=404),
        "c": asked("GET", CONV, {"id": "conv_000001", "object": "conversation"}),
        "d": turn(1, 10),
    }
    assert order(exchanges) in (["z", "c", "d", "a", "b"], ["z", "d", "c", "a", "b"])
    assert set(plan(exchanges).steps[3].behind) == {"c", "d"}


def test_recordings_of_what_keeps_nothing_wait_for_nothing() -> None:
    chat = Request("POST", "/v1/chat/completions", {"model": "m", "messages": []}, "t::a")
    exchanges = {name: Exchange(chat, Response({"id": "chatcmpl-00000001", "choices": []})) for name in "ab"}
    assert order_of(exchanges, {}) == {}
    # But for equal ones, whose answers are numbered.
    assert order_of({"a" * 64: exchanges["a"], f"{'a' * 64}-2": exchanges["b"]}, {}) == {f"{'a' * 64}-2": ("a" * 64,)}


def test_a_page_is_asked_for_behind_the_id_that_the_one_before_has_now() -> None:
    next_page = asked("GET", ITEMS, {"object": "list", "data": []}, query="after=msg_000001&limit=1")
    assert [quote.name for quote in quotes_of({"a": MADE, "b": turn(1, 10), "c": next_page})["c"]] == ["a", "b"]
