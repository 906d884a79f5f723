"""The Response object: as it begins, and the pieces that it ends with.

Source: OpenAI's description (``Response``), and Open Responses where it asks for more keys (the penalties, ``store``).
"""

import math
from typing import Any, get_args

from harness.api.create_response import CreateResponse, ServiceTier, TextOptions
from harness.api.refusals import failure_code
from harness.api.tools import shown_choice, shown_tool
from harness.errors import HarnessError

_FAILURES = (
    "server_error", "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy",
    "vector_store_timeout", "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
    "image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode",
    "image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
    "image_file_not_found",
)  # fmt: skip
"""The codes that the error of a response may have (OpenAI's ``ResponseErrorCode``)."""


def response_object(
    wanted: CreateResponse, *, response_id: str, created_at: int, conversation_id: str | None
) -> dict[str, Any]:
    """The Response at its beginning: in progress, or queued, without output, the request's parameters or defaults."""
    reasoning = wanted.reasoning.model_dump(exclude_none=True) if wanted.reasoning else {}
    caching = wanted.handed_on.get("prompt_cache_options")

    def given(name: str, *, default: Any) -> Any:
        value = getattr(wanted, name)
        return default if value is None else value

    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "completed_at": None,
        "status": "queued" if wanted.background else "in_progress",
        "background": wanted.background is True,
        "error": None,
        "incomplete_details": None,
        "instructions": wanted.instructions,
        "max_output_tokens": wanted.max_output_tokens,
        "max_tool_calls": wanted.max_tool_calls,
        "model": wanted.model,
        "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", default=True),
        "previous_response_id": wanted.previous_response_id,
        "conversation": {"id": conversation_id} if conversation_id else None,
        "prompt_cache_key": wanted.prompt_cache_key,
        "prompt_cache_retention": wanted.prompt_cache_retention,
        "reasoning": {"effort": None, "summary": None} | reasoning,
        "safety_identifier": wanted.safety_identifier,
        "service_tier": given("service_tier", default="default"),
        "store": wanted.keeps,
        "temperature": given("temperature", default=1.0),
        "text": _shown_text(wanted.text or TextOptions()),
        "tool_choice": shown_choice(wanted.tool_choice),
        "tools": [shown_tool(tool) for tool in wanted.tools or ()],
        "top_logprobs": given("top_logprobs", default=0),
        "top_p": given("top_p", default=1.0),
        "presence_penalty": given("presence_penalty", default=0.0),
        "frequency_penalty": given("frequency_penalty", default=0.0),
        "truncation": given("truncation", default="disabled"),
        "usage": None,
        "metadata": wanted.metadata or {},
        # The keys that OpenAI's description does not let be null.
        **({} if wanted.user is None else {"user": wanted.user}),
        **({} if wanted.prompt is None else {"prompt": wanted.prompt.model_dump(exclude_none=True)}),
        **({} if caching is None else {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"} | caching}),
    }


def _shown_text(text: TextOptions) -> dict[str, Any]:
    shown = {"type": "text"} | text.given_format
    if shown["type"] == "json_schema":
        shown = {"strict": False} | shown
    return {"format": shown} | ({"verbosity": text.verbosity} if text.verbosity else {})


def usage_object(usage: dict[str, Any]) -> dict[str, Any]:
    """A chat completion's usage as the Responses API counts it, in tokens. What is no number counts for nothing."""
    inputs, outputs = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return {
        "input_tokens": inputs,
        "input_tokens_details": {
            "cached_tokens": _count(prompt, "cached_tokens"),
            "cache_write_tokens": _count(prompt, "cache_write_tokens"),
        },
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": _count(completion, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens") or inputs + outputs,
    }


def _count(counts: Any, name: str) -> int:
    count = counts.get(name) if isinstance(counts, dict) else None
    return int(count) if isinstance(count, int | float) and math.isfinite(count) else 0


def tier_shown(given: str | None) -> str | None:
    """An upstream's service tier, when it is one that a Response can show."""
    return given if given in get_args(ServiceTier) else None


def failure_object(error: HarnessError) -> dict[str, str]:
    """The ``error`` of a Response that failed."""
    return {"code": failure_code(error, _FAILURES), "message": str(error)}
