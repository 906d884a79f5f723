"""Server-sent events: any cut of the bytes gives the same events, and what is encoded is decoded the same."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.api.sse import DONE, Decoder, Event, encode, encode_each, encode_json

LAW = settings(deadline=None)

BOM = b"\xef\xbb\xbf"
ends = st.sampled_from(["\n", "\r", "\r\n"])
texts = st.text(st.sampled_from("aé€🌧: \t\u2028\x00\x85\x0b") | st.characters(exclude_categories=["Cs"]), max_size=8)
odd = st.sampled_from(["\x1e", "\ud83c", "\udf27"])
plain = texts.map(lambda text: text.replace("\r", "").replace("\n", ""))
lines = st.one_of(
    st.just(""),
    st.just(""),
    plain.map("data:{}".format),
    plain.map("data: {}".format),
    plain.map("event: {}".format),
    plain.map(": {}".format),
    plain.map("id: {}".format),
    st.sampled_from(["data", "event", "retry: 3", "data:  two", "other: x"]),
    plain,
)


def test_a_large_event_takes_no_longer_for_coming_in_many_pieces() -> None:
    event = b"data: " + b"x" * 4_000_000 + b"\n\n"
    decoder, begun = Decoder(), time.process_time()
    found = [one for at in range(0, len(event), 2048) for one in decoder.feed(event[at : at + 2048])]

    assert [len(one.data) for one in found] == [4_000_000]
    assert time.process_time() - begun < 5


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Any bytes of a stream: lines of every kind with line ends of every kind, with a BOM or without."""
    text = "".join(line + draw(ends) for line in draw(st.lists(lines, max_size=10)))
    return (
        draw(st.sampled_from([b"", BOM])) + text.encode() + draw(st.sampled_from([b"", b"\r", b"data: x", b"\xff\n\n"]))
    )


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    at = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def decode(*pieces: bytes) -> list[Event]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@LAW
@given(st.data(), streams())
def test_any_cut_gives_the_same_events(data: st.DataObject, stream: bytes) -> None:
    whole = decode(stream)

    assert decode(*data.draw(cuts(stream))) == whole
    assert decode(*(bytes([byte]) for byte in stream)) == whole


def by_the_standard(stream: bytes) -> list[Event]:
    """The events as the HTML standard's section 9.2.6 words it, for a stream that is there as a whole."""
    text = stream.removeprefix(BOM).decode(errors="replace")
    *whole_lines, _ = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    events, data, name, event_id = [], "", "", None
    for line in whole_lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append(Event(data[:-1], name or "message", event_id))
            data, name, event_id = "", "", None
        elif field == "data":
            data += value + "\n"
        elif field == "event":
            name = value
        elif field == "id":
            event_id = value
    return events


@LAW
@given(streams())
def test_the_events_are_those_of_the_standard(stream: bytes) -> None:
    assert decode(stream) == by_the_standard(stream)


named = st.tuples(texts.map(lambda text: text.replace("\r", "")), st.none() | plain.filter(bool))


@LAW
@given(st.data(), st.lists(named, max_size=4))
def test_what_is_encoded_is_decoded_the_same(data: st.DataObject, events: list[tuple[str, str | None]]) -> None:
    stream = b"".join(encode(text, name) for text, name in events)

    assert decode(*data.draw(cuts(stream))) == [Event(text, name or "message") for text, name in events]


@LAW
@given(st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4))
def test_json_takes_one_line(value: Any) -> None:
    stream = encode_json(value, "x")

    assert stream.count(b"\n") == 3
    assert [(event.name, json.loads(event.data)) for event in decode(stream)] == [("x", value)]


def test_half_a_character_as_models_stream_it_can_be_sent() -> None:
    chunks = [encode_json({"content": half}) for half in ("\ud83c", "\udf27")]

    assert [json.loads(event.data)["content"] for event in decode(*chunks)] == ["\ud83c", "\udf27"]
    assert "🌧".encode() in encode_json("🌧")


@LAW
@given(st.lists(texts))
def test_an_event_is_one_line_whoever_splits_it(said: list[str]) -> None:
    line, end = encode_json(said).decode().splitlines()
    assert (json.loads(line.removeprefix("data: ")), end) == (said, "")
    assert len(encode_each(said).decode().splitlines()) == 2 * len(said)


@LAW
@given(st.lists(st.recursive(texts | odd, lambda inner: st.lists(inner, max_size=3), max_leaves=4)))
def test_events_encoded_together_are_those_encoded_one_by_one(values: list[Any]) -> None:
    assert encode_each(values) == b"".join(map(encode_json, values))


def test_carriage_returns_in_data_are_line_ends_and_lose_nothing() -> None:
    assert decode(encode("a\rb\r\nc")) == [Event("a\nb\nc")]


def test_events_come_as_soon_as_they_are_complete() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        assert decode(b"data: x" + end + end) == [Event("x")]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (DONE, [Event("[DONE]")]),
        (b"data: x\n", []),
        (b"data: x", []),
        (b": ping\n\ndata: x\n\n", [Event("x")]),
        (b"event: only a name\n\ndata: x\n\n", [Event("x")]),
        (b"event: a\ndata: 1\ndata: 2\n\n", [Event("1\n2", "a")]),
        (b"data:x\n\ndata:  x\n\ndata\n\n", [Event("x"), Event(" x"), Event("")]),
        (BOM + b"data: x\n\n", [Event("x")]),
        (b"data: \xef\xbb\xbfx\n\n", [Event("\ufeffx")]),
        (b"data: \xff\n\n", [Event("\ufffd")]),
    ],
)
def test_the_standards_corners(stream: bytes, events: list[Event]) -> None:
    assert decode(stream) == events
