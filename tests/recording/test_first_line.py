"""What a line of a list says that an answer says."""

import pytest

from harness.recording.first_line import first_line
from harness.recording.model import Json, Response

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ({"content": "\n  Hello!\nAnd more."}, "Hello!"),
        ({"content": "x" * 200}, "x" * 99 + "…"),
        ({"content": "", "tool_calls": [CALL]}, 'f({"a": 1})'),
        ({"content": ""}, '""'),
        ({"content": " \n"}, '""'),
    ],
    ids=["text", "long", "call", "empty", "blank"],
)
def test_the_first_line_of_what_is_said(message: Json, line: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    assert first_line(Response({"id": "x", "object": "chat.completion", "choices": [choice]})) == line


def test_where_nothing_is_said_the_json_is_shown() -> None:
    assert first_line(Response({"deleted": True})) == '{"deleted": true}'
