"""``/v1/responses/compact``: its request, its answer, and the compaction item that carries a summary.

What is left of a conversation is what the user said, word for word, and a compaction item behind it. OpenAI encrypts
what its own models make of the rest. Ours holds a summary by the model that was named, as JSON in base64: a client
hands it back as it is, and whoever wants to can read it.
"""

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from harness.api.closed import Closed
from harness.api.create_response import CreateResponse, PromptCacheOptions, ServiceTier, parse_create
from harness.api.responses import usage_object
from harness.api.validation import parse
from harness.errors import InvalidRequest

_REQUEST = """\
You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM that will resume the task.

Include:
- Current progress and key decisions made
- Important context, constraints, or user preferences
- What remains to be done (clear next steps)
- Any critical data, examples, or references needed to continue

Be concise, structured, and focused on helping the next LLM seamlessly continue the work."""
"""The words of OGX (MIT license), which OpenAI's description has too: so recordings of either answer us."""

_HANDOFF = (
    "Another language model started to solve this problem and produced a summary of its thinking process. "
    "You also have access to the state of the tools that were used by that language model. "
    "Use this to build on the work that has already been done and avoid duplicating work. "
    "Here is the summary produced by the other language model, "
    "use the information in this summary to assist with your own analysis:"
)
"""What OGX says before a summary."""


class CompactRequest(Closed):
    """The body of the request. Null is the same as absent, but for the model."""

    model: StrictStr
    input: StrictStr | list[Any] | None = None
    previous_response_id: StrictStr | None = None
    instructions: StrictStr | None = None
    prompt_cache_key: Annotated[StrictStr, Field(max_length=64)] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    service_tier: ServiceTier | None = None


class _Packed(Closed):
    """What stands inside of a compaction item."""

    harness: Literal[1]
    summary: StrictStr


def parse_compact(body: dict[str, Any]) -> CreateResponse:
    """The request as that of the response which makes the summary; its input as the client wrote it."""
    parse(CompactRequest, body)
    # Items may bring tools; what is wanted is a text.
    return parse_create({**body, "store": False, "tool_choice": "none"})


def request_item(item_id: str) -> dict[str, Any]:
    """What asks the model for the summary, after the conversation."""
    content = [{"type": "input_text", "text": _REQUEST}]
    return {"type": "message", "id": item_id, "status": "completed", "role": "user", "content": content}


def compaction_object(response: dict[str, Any], output: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer, given the response that made the summary, and what is left of the conversation."""
    return {
        "id": response["id"],
        "object": "response.compaction",
        "created_at": response["created_at"],
        "output": output,
        "usage": response["usage"] or usage_object({}),
    }


def compacted(items: list[dict[str, Any]], compaction: dict[str, Any]) -> list[dict[str, Any]]:
    """What is left of a conversation: what the user said, and the compaction item that stands for all of it."""
    return [*(item for item in items if item["type"] == "message" and item["role"] == "user"), compaction]


def pack(item_id: str, summary: str) -> dict[str, Any]:
    """The compaction item that carries a summary."""
    packed = json.dumps({"harness": 1, "summary": summary})
    return {"id": item_id, "type": "compaction", "encrypted_content": base64.b64encode(packed.encode()).decode()}


def expand(item: dict[str, Any]) -> dict[str, Any] | None:
    """The message that a model is sent in place of a compaction item; None for one that was not made here."""
    try:
        packed = parse(_Packed, json.loads(base64.b64decode(item["encrypted_content"], validate=True)))
    except (binascii.Error, ValueError, RecursionError, InvalidRequest):
        return None
    return {"type": "message", "role": "assistant", "content": f"{_HANDOFF}\n{packed.summary}"}
