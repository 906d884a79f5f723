"""Answers from recordings of any shape: told as they are, or an error that says why not."""

from typing import Any

import pytest

from harness.errors import RecordingError
from harness.recording.answer import render
from harness.recording.model import Request, Response

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("body", [{"choices": [None]}, {"choices": 3}, {"choices": {"a": 1}}])
def test_a_whole_that_is_no_completion_is_told_as_it_is_and_not_as_a_stream(body: Any) -> None:
    response = Response(body)

    assert render(response, Request("POST", CHAT, {})).body.startswith(b'{"choices":')
    with pytest.raises(RecordingError, match="no completion that can be told in the other way"):
        render(response, Request("POST", CHAT, {"stream": True}))


@pytest.mark.parametrize(
    "choice", [{"index": [0]}, {"index": 0, "delta": [1]}, {"index": 0, "delta": {"tool_calls": [3]}}]
)
def test_a_stream_that_is_no_completion_is_told_as_it_is_and_not_as_a_whole(choice: Any) -> None:
    response = Response([{"choices": [choice]}], is_streaming=True)

    assert render(response, Request("POST", CHAT, {"stream": True})).body.endswith(b"data: [DONE]\n\n")
    with pytest.raises(RecordingError, match="no completion that can be told in the other way"):
        render(response, Request("POST", CHAT, {}))
