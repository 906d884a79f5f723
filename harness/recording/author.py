"""Recordings written by hand: a model, messages and an answer make an exchange, chunks and all."""

from harness.recording.chunks import split
from harness.recording.ids import completion_id
from harness.recording.key import key
from harness.recording.model import Exchange, Json, Request, Response

AUTHORED = {"authored": True}
"""The ``provider_metadata`` of a recording that no provider gave."""


def author(request: Request, answer: str, tool_calls: list[Json] | None = None) -> Exchange:
    """The exchange in which ``answer`` (and ``tool_calls``, as ``{"name", "arguments"}``) answers a chat request.

    It is a stream when the request asks for one. The finish reason is ``tool_calls`` when there are any, else ``stop``.
    """
    name = key(request)
    calls = [
        {
            "id": f"call_{name[:20]}{index}",
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for index, call in enumerate(tool_calls or ())
    ]
    message: dict[str, Json] = {"role": "assistant", "content": answer or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    whole = {
        "id": completion_id(name),
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [choice],
    }
    response = Response(split(whole), is_streaming=True) if request.wants_stream else Response(whole)
    return Exchange(request, response, metadata=AUTHORED)
