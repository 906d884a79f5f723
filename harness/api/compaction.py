"""``/v1/responses/compact``: its request, its answer, and the compaction item that carries a summary.

OpenAI encrypts what its own models make of a conversation. Ours holds what the user said, word for word, and a summary
by the model that was named, as JSON in base64: a client hands it back as it is, and whoever wants to can read it.
"""

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from harness.api.closed import Closed
from harness.api.create_response import CreateResponse, ServiceTier, parse_create
from harness.api.items import parse_items
from harness.api.responses import usage_object
from harness.api.validation import parse
from harness.errors import InvalidRequest

_REQUEST = (
    "Summarize the conversation up to here, for someone who continues it without having seen it: what was asked and "
    "decided, what is known and where from, what tools were called and what they gave, what is still to be done. Keep "
    "names, numbers, paths and identifiers exactly as they are. Answer with the summary alone."
)


class CompactRequest(Closed):
    """The body of the request. Null is the same as absent, but for the model."""

    model: StrictStr
    input: StrictStr | list[Any] | None = None
    previous_response_id: StrictStr | None = None
    instructions: StrictStr | None = None
    prompt_cache_key: Annotated[StrictStr, Field(max_length=64)] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: ServiceTier | None = None


class _Packed(Closed):
    """What stands inside of a compaction item."""

    harness: Literal[1]
    messages: list[Any]
    summary: StrictStr


def parse_compact(body: dict[str, Any]) -> CreateResponse:
    """The request as that of the response which makes the summary; its input as the client wrote it."""
    if body.get("prompt_cache_options") is None:
        body = {name: value for name, value in body.items() if name != "prompt_cache_options"}
        parse(CompactRequest, body)
    return parse_create({**body, "store": False})


def request_item(item_id: str) -> dict[str, Any]:
    """What asks the model for the summary, after the conversation."""
    content = [{"type": "input_text", "text": _REQUEST}]
    return {"type": "message", "id": item_id, "status": "completed", "role": "user", "content": content}


def compaction_object(response: dict[str, Any], compaction: dict[str, Any]) -> dict[str, Any]:
    """The answer, given the response that made the summary."""
    return {
        "id": response["id"],
        "object": "response.compaction",
        "created_at": response["created_at"],
        "output": [compaction],
        "usage": response["usage"] or usage_object({}),
    }


def pack(item_id: str, items: list[dict[str, Any]], summary: str) -> dict[str, Any]:
    """The compaction item for ``items``: what the user said, word for word, and a summary of all of it."""
    said: list[dict[str, Any]] = []
    for item in items:
        before = unpack(item) if item["type"] == "compaction" else None
        if before is not None:
            said += before[0]
        elif item["type"] == "message" and item["role"] == "user":
            said.append(item)
    packed = json.dumps({"harness": 1, "messages": said, "summary": summary})
    return {"id": item_id, "type": "compaction", "encrypted_content": base64.b64encode(packed.encode()).decode()}


def unpack(item: dict[str, Any]) -> tuple[list[dict[str, Any]], str] | None:
    """The user's messages and the summary of a compaction item; None for one that was not made here."""
    try:
        value = json.loads(base64.b64decode(item["encrypted_content"], validate=True))
        packed = parse(_Packed, value)
        messages = parse_items(packed.messages, "messages", str)
    except (binascii.Error, ValueError, RecursionError, InvalidRequest):
        return None
    return (messages, packed.summary) if all(item["type"] == "message" for item in messages) else None


def expand(item: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The messages that a model is sent in place of a compaction item; None for one that was not made here."""
    unpacked = unpack(item)
    if unpacked is None:
        return None
    messages, summary = unpacked
    told = {"type": "message", "role": "user", "content": f"The conversation before this, in short:\n\n{summary}"}
    return [*messages, told]
