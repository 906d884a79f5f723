"""Texts of streams: changed as wholes, wherever chunks cut them."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.chunks import aggregate
from harness.recording.model import Response
from harness.recording.pieces import Edit, edited, edited_response, edited_stream, spelled_out
from harness.recording.placeholders import editor, put_back

LAW = settings(deadline=None)

cut_texts = st.lists(st.text("ab12-", max_size=4), max_size=8)


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


def twelve(text: str) -> list[Edit]:
    return [Edit(at, at + 2, "<twelve>") for at in range(len(text) - 1) if text[at : at + 2] == "12"]


@LAW
@given(cut_texts)
def test_a_stream_says_afterwards_what_its_text_says_afterwards(pieces: list[str]) -> None:
    chunks = [chunk(piece) for piece in pieces]
    before = json.dumps(chunks)

    changed = edited_stream(chunks, twelve)

    said = aggregate(changed)["choices"][0]["message"]["content"] if pieces else ""
    assert said == "".join(pieces).replace("12", "<twelve>")
    assert len(changed) == len(chunks)
    assert json.dumps(chunks) == before
    if "12" not in "".join(pieces):
        assert changed is chunks


@LAW
@given(cut_texts)
def test_lines_of_an_event_stream_are_chunks_too(pieces: list[str]) -> None:
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in pieces
    ]
    lines = [line for event in events for line in ("event: content_block_delta", f"data: {json.dumps(event)}", "")]

    changed = edited_stream(list(lines), twelve)

    said = "".join(json.loads(line[5:])["delta"]["text"] for line in changed if line.startswith("data:"))
    assert said == "".join(pieces).replace("12", "<twelve>")
    assert [line for line in changed if not line.startswith("data:")] == [line for line in lines if line[:5] != "data:"]


@LAW
@given(cut_texts, st.booleans())
def test_data_that_is_text_goes_on_in_the_next_line(pieces: list[str], quoted: bool) -> None:
    said = [json.dumps(piece) if quoted else piece for piece in pieces]
    lines = [line for piece in said for line in (f"data: {piece}", "")]

    changed = edited_stream(list(lines), twelve)

    assert len(changed) == len(lines)
    assert all(line.startswith("data: ") for line in changed[::2])
    after = [line.removeprefix("data: ") for line in changed[::2]]
    if not quoted:
        assert "".join(after) == "".join(pieces).replace("12", "<twelve>")
    else:
        assert [json.loads(text) for text in after] == [piece.replace("12", "<twelve>") for piece in pieces]


def test_texts_of_several_choices_calls_and_fields_are_not_mixed() -> None:
    def delta(index: int, **said: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": said}]}

    def call(index: int, arguments: str) -> list[dict[str, Any]]:
        return [{"index": index, "function": {"arguments": arguments}}]

    chunks = [
        *(delta(0, content="1"), delta(1, content="2"), delta(1, content="1"), delta(0, content="2")),
        *(delta(0, refusal="2"), delta(0, tool_calls=call(0, "1")), delta(0, tool_calls=call(1, "2"))),
        *(delta(0, tool_calls=call(0, "2")), {"model": "1", "choices": []}, {"model": "2", "choices": []}),
    ]

    assert sorted(spelled_out(chunks)) == ["12", "12", "21"]
    assert sum(json.dumps(piece).count("<twelve>") for piece in edited_stream(chunks, twelve)) == 2


def test_what_is_not_changed_is_not_copied() -> None:
    value = {"a": ["x", {"b": None}], "c": 1}

    assert edited(value, twelve) is value
    assert edited({"12": 1}, twelve) == {"<twelve>": 1}


def test_placeholders_are_put_back_all_at_once_the_longest_first_and_as_words() -> None:
    mapping = {"2025-01-03": "2026-11-22", "2026-11-22": "2030-01-01", "/srv/a": "/srv/b", "/srv/a/c": "/d"}
    text = "On 2025-01-03 (not 12025-01-03 or 2025-01-034), 2025-01-03T10:00, 2026-11-22, in /srv/a/c and /srv/a/e."

    [edited_text] = [edited(text, editor(mapping))]

    assert edited_text == (
        "On 2026-11-22 (not 12025-01-03 or 2025-01-034), 2026-11-22T10:00, 2030-01-01, in /d and /srv/b/e."
    )


def test_placeholders_are_put_back_into_arguments_as_json() -> None:
    mapping = {'C:\\old "x"': "D:\\new"}
    path = 'C:\\old "x"'
    arguments = {"path": path, "body": json.dumps({"path": path, "again": json.dumps([path])})}
    answer = {"tool_calls": [{"function": {"arguments": json.dumps(arguments)}}]}

    [call] = put_back(Response(answer), mapping).body["tool_calls"]

    said = json.loads(call["function"]["arguments"])
    assert said["path"] == json.loads(said["body"])["path"] == "D:\\new"
    assert json.loads(json.loads(said["body"])["again"]) == ["D:\\new"]


def test_what_an_answer_says_of_itself_is_not_put_back() -> None:
    own = {"id": "chatcmpl-7", "object": "7", "model": "gpt-4o-7", "system_fingerprint": "fp_7"}
    call = {"type": "tool_use", "id": "7", "input": {"id": "7", "type": "7"}}
    answer = own | {"choices": [{"message": {"content": "7"}}]}
    event = {"type": "message_start", "message": own | {"content": [call]}}

    assert put_back(Response(answer), {"7": "8"}).body == own | {"choices": [{"message": {"content": "8"}}]}
    [changed] = put_back(Response([event], is_streaming=True), {"7": "8"}).body
    assert changed == {
        "type": "message_start",
        "message": own | {"content": [{"type": "tool_use", "id": "8", "input": {"id": "8", "type": "8"}}]},
    }


def test_a_stream_quotes_the_present_date_however_it_is_cut() -> None:
    chunks = [chunk(piece) for piece in ("It is 20", "25", "-01-0", "3", ", a day.")]

    body = edited_response(Response(chunks, is_streaming=True), editor({"2025-01-03": "2026-11-22"}))

    assert [piece["choices"][0]["delta"]["content"] for piece in body] == ["It is 2026-11-22", "", "", "", ", a day."]
