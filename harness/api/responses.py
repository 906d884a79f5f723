"""The Responses API's wire: the request of ``responses.create``, the Response object, the pieces of its output.

Source: OpenAI's description (``CreateResponse``, ``Response``, ``OutputItem``), and Open Responses where it asks for
more keys (the penalties, ``store``).
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from harness.api.conversations import Metadata
from harness.api.errors import invalid_prefix, invalid_value, missing
from harness.api.extra_body import check_extra, gather
from harness.api.listing import Include
from harness.api.refusals import failure_code
from harness.api.tools import check_choice, check_tools, shown_choice, shown_tool
from harness.api.validation import parse
from harness.api.writable import check_writable
from harness.errors import HarnessError, InvalidRequest

HANDED_ON = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "user", "seed", "stop", "top_k", "min_p", "logit_bias",
)  # fmt: skip
"""What a chat completion calls by the same name: handed on as it came, absent where it was absent."""

_NOT_SERVED = (
    "context_management", "moderation", "prompt", "prompt_cache_options", "access_programs",
    "background_options", "image",
)  # fmt: skip
"""Parameters of OpenAI's that change what happens and that are not served here: refused, never dropped."""

_FAILURES = (
    "server_error", "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy",
    "vector_store_timeout", "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
    "image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode",
    "image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
    "image_file_not_found",
)  # fmt: skip
"""The codes that the error of a response may have (OpenAI's ``ResponseErrorCode``)."""

ServiceTier: TypeAlias = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]
_Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_Summary: TypeAlias = Literal["auto", "concise", "detailed"]
_Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Options(BaseModel):
    """Options of which every key is known."""

    model_config = ConfigDict(extra="forbid")


class Format(BaseModel):
    """The form of the output, before it is known which."""

    type: Literal["text", "json_object", "json_schema"]


class JsonSchema(_Options):
    """Output that follows a JSON schema."""

    type: Literal["json_schema"]
    name: Annotated[StrictStr, Field(min_length=1)]
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]
    description: StrictStr | None = None
    strict: StrictBool | None = None


class TextOptions(_Options):
    """``text``: the format of the output and its verbosity."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None

    @property
    def given_format(self) -> dict[str, Any]:
        """The format without its nulls; empty when there is none."""
        return {name: value for name, value in (self.format or {}).items() if value is not None}


class ReasoningOptions(_Options):
    """``reasoning``: how much the model is to think. Its effort is handed on, the rest shown again."""

    effort: _Effort | None = None
    summary: _Summary | None = None
    generate_summary: _Summary | None = None
    mode: StrictStr | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None


class StreamOptions(_Options):
    """``stream_options``. Nothing is padded here, so there is no obfuscation to leave out."""

    include_obfuscation: StrictBool | None = None


class ConversationReference(_Options):
    """``conversation`` as an object."""

    id: StrictStr


class CreateResponse(BaseModel):
    """The body of ``POST /v1/responses``, as far as it is served. Null is the same as absent throughout."""

    model_config = ConfigDict(extra="forbid")

    model: StrictStr | None = None
    input: StrictStr | list[Any] | None = None
    instructions: StrictStr | None = None
    conversation: StrictStr | ConversationReference | None = None
    previous_response_id: StrictStr | None = None
    include: list[Include] | None = None
    metadata: Metadata | None = None
    store: StrictBool | None = None
    stream: StrictBool | None = None
    background: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=16)] | None = None
    max_tool_calls: Annotated[StrictInt, Field(ge=1)] | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: StrictStr | dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    temperature: Annotated[_Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[_Number, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    parallel_tool_calls: StrictBool | None = None
    service_tier: ServiceTier | None = None
    prompt_cache_key: StrictStr | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: Annotated[StrictStr, Field(max_length=64)] | None = None
    user: StrictStr | None = None
    seed: StrictInt | None = None
    stop: StrictStr | list[StrictStr] | None = None
    top_k: StrictInt | None = None
    min_p: _Number | None = None
    logit_bias: dict[str, _Number] | None = None
    extra_body: dict[str, Any] | None = None

    @property
    def conversation_id(self) -> str | None:
        given = self.conversation
        return given.id if isinstance(given, ConversationReference) else given

    @property
    def wants_logprobs(self) -> bool:
        return "message.output_text.logprobs" in (self.include or ())

    @property
    def keeps(self) -> bool:
        """Whether the response can be retrieved later; so it is unless ``store`` says no."""
        return self.store is not False


def parse_create(body: dict[str, Any], upstream_parameters: Sequence[str] = ()) -> CreateResponse:
    """A request body as CreateResponse, its input still as the client wrote it.

    ``upstream_parameters`` are keys that OpenAI does not have and the upstream does; they join ``extra_body``. Raises
    InvalidRequest in OpenAI's words for whatever is wrong with the body.
    """
    body = gather(body, {*upstream_parameters} - {*CreateResponse.model_fields, *_NOT_SERVED})
    for name in _NOT_SERVED:
        if body.get(name) is not None and body[name] is not False:
            raise InvalidRequest(
                f"'{name}' is not served by the harness.",
                hint="Leave it out.",
                param=name,
                code="unsupported_parameter",
            )
    check_writable({name: value for name, value in body.items() if name != "input"})
    # A flag that is off asks for nothing.
    wanted = parse(CreateResponse, {name: value for name, value in body.items() if name not in _NOT_SERVED})
    if not wanted.model:
        raise missing("model")
    _check_ids(wanted)
    _check_format(wanted)
    check_extra(wanted.extra_body or {})
    check_tools(wanted.tools or [])
    if wanted.tool_choice is not None:
        check_choice(wanted.tool_choice, wanted.tools or [])
    if wanted.background and not wanted.keeps:
        raise invalid_value("store", "Background mode requires 'store' to be true: the response is to be polled.")
    if wanted.stream_options is not None and not wanted.stream:
        raise invalid_value(
            "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        )
    return wanted


def _check_ids(wanted: CreateResponse) -> None:
    conversation_id, previous = wanted.conversation_id, wanted.previous_response_id
    if conversation_id is not None and previous is not None:
        raise InvalidRequest(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are only providing "
            "one of them.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if conversation_id is not None and not conversation_id.startswith("conv_"):
        raise invalid_prefix("conversation", conversation_id, "conv")
    if previous is not None and not previous.startswith("resp_"):
        raise invalid_prefix("previous_response_id", previous, "resp")


def _check_format(wanted: CreateResponse) -> None:
    if wanted.text is None or wanted.text.format is None:
        return
    if parse(Format, wanted.text.format, "text.format").type == "json_schema":
        parse(JsonSchema, wanted.text.format, "text.format")


def response_object(
    wanted: CreateResponse, *, response_id: str, created_at: int, conversation_id: str | None
) -> dict[str, Any]:
    """The Response at its beginning: in progress, or queued, without output, the request's parameters or defaults."""
    reasoning = wanted.reasoning.model_dump(exclude_none=True) if wanted.reasoning else {}

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
        # The one key that OpenAI's description does not let be null.
        **({} if wanted.user is None else {"user": wanted.user}),
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
