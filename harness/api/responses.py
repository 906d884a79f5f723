"""The Responses API's wire: the request of ``responses.create``, the Response object, the pieces of its output.

Source: OpenAI's description (``CreateResponse``, ``Response``, ``OutputItem``), and Open Responses where it asks for
more keys (the penalties, ``store``).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from harness.api.conversations import Metadata
from harness.api.errors import invalid_prefix, missing
from harness.api.listing import Include
from harness.api.validation import parse
from harness.errors import InvalidRequest

HANDED_ON = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "service_tier",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user", "seed", "stop", "top_k", "min_p",
    "logit_bias",
)  # fmt: skip
"""What a chat completion calls by the same name: handed on as it came, absent where it was absent."""

_NOT_SERVED = (
    "background", "context_management", "max_tool_calls", "moderation", "prompt", "prompt_cache_options",
    "access_programs", "background_options", "image",
)  # fmt: skip
"""Parameters of OpenAI's that change what happens and that are not served here: refused, never dropped."""

_Number = Annotated[float, Field(strict=True)]


class TextOptions(BaseModel):
    """``text``: the format of the output and its verbosity."""

    model_config = ConfigDict(extra="forbid")

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class CreateResponse(BaseModel):
    """The body of ``POST /v1/responses``, as far as it is served. Null is the same as absent throughout."""

    model_config = ConfigDict(extra="forbid")

    model: StrictStr | None = None
    input: StrictStr | list[Any] | None = None
    instructions: StrictStr | None = None
    conversation: StrictStr | dict[str, Any] | None = None
    previous_response_id: StrictStr | None = None
    include: list[Include] | None = None
    metadata: Metadata | None = None
    store: StrictBool | None = None
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    text: TextOptions | None = None
    reasoning: dict[str, Any] | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: StrictStr | dict[str, Any] | None = None
    truncation: Literal["disabled"] | None = None
    temperature: Annotated[_Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[_Number, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    parallel_tool_calls: StrictBool | None = None
    service_tier: StrictStr | None = None
    prompt_cache_key: StrictStr | None = None
    prompt_cache_retention: StrictStr | None = None
    safety_identifier: StrictStr | None = None
    user: StrictStr | None = None
    seed: StrictInt | None = None
    stop: StrictStr | list[StrictStr] | None = None
    top_k: StrictInt | None = None
    min_p: _Number | None = None
    logit_bias: dict[str, _Number] | None = None

    @property
    def conversation_id(self) -> str | None:
        given = self.conversation
        return given["id"] if isinstance(given, dict) else given

    @property
    def wants_logprobs(self) -> bool:
        return "message.output_text.logprobs" in (self.include or ())

    @property
    def keeps(self) -> bool:
        """Whether the response can be retrieved later; so it is unless ``store`` says no."""
        return self.store is not False


def parse_create(body: dict[str, Any]) -> CreateResponse:
    """A request body as CreateResponse. Raises InvalidRequest in OpenAI's words for whatever is wrong with it."""
    for name in _NOT_SERVED:
        if body.get(name) not in (None, False):
            raise InvalidRequest(
                f"'{name}' is not served by the harness.",
                hint="Leave it out.",
                param=name,
                code="unsupported_parameter",
            )
    # A flag that is off asks for nothing.
    wanted = parse(CreateResponse, {name: value for name, value in body.items() if name not in _NOT_SERVED})
    if not wanted.model:
        raise missing("model")
    if wanted.input is None:
        raise missing("input")
    _check_ids(wanted)
    _check_tools(wanted)
    return wanted


def _check_ids(wanted: CreateResponse) -> None:
    if isinstance(wanted.conversation, dict) and not isinstance(wanted.conversation.get("id"), str):
        raise missing("conversation.id")
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


def _check_tools(wanted: CreateResponse) -> None:
    for index, tool in enumerate(wanted.tools or ()):
        kind = tool.get("type")
        if kind is None:
            raise missing(f"tools[{index}].type")
        if kind != "function":
            raise InvalidRequest(
                f"A tool of type '{kind}' is not served over chat completions.",
                hint="Use tools of type 'function'.",
                param=f"tools[{index}].type",
                code="unsupported_tool",
            )
        if not isinstance(tool.get("name"), str):
            raise missing(f"tools[{index}].name")


def function_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A function tool with every key that a Response shows."""
    return {"type": "function", "description": None, "parameters": None, "strict": True} | tool


def response_object(
    wanted: CreateResponse, *, response_id: str, created_at: int, conversation_id: str | None
) -> dict[str, Any]:
    """The Response at its beginning: in progress, without output, the request's parameters or their defaults."""
    text = wanted.text.model_dump(exclude_none=True) if wanted.text else {}
    reasoning = {"effort": None, "summary": None} | (wanted.reasoning or {})

    def given(name: str, default: Any) -> Any:
        value = getattr(wanted, name)
        return default if value is None else value

    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": wanted.instructions,
        "max_output_tokens": wanted.max_output_tokens,
        "max_tool_calls": None,
        "model": wanted.model,
        "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", True),
        "previous_response_id": wanted.previous_response_id,
        "conversation": {"id": conversation_id} if conversation_id else None,
        "prompt_cache_key": wanted.prompt_cache_key,
        "prompt_cache_retention": wanted.prompt_cache_retention,
        "reasoning": reasoning,
        "safety_identifier": wanted.safety_identifier,
        "service_tier": given("service_tier", "default"),
        "store": wanted.keeps,
        "temperature": given("temperature", 1.0),
        "text": {"format": {"type": "text"}} | text,
        "tool_choice": given("tool_choice", "auto"),
        "tools": [function_tool(tool) for tool in wanted.tools or ()],
        "top_logprobs": given("top_logprobs", 0),
        "top_p": given("top_p", 1.0),
        "presence_penalty": given("presence_penalty", 0.0),
        "frequency_penalty": given("frequency_penalty", 0.0),
        "truncation": "disabled",
        "usage": None,
        "user": wanted.user,
        "metadata": wanted.metadata or {},
    }


def usage_object(usage: dict[str, Any]) -> dict[str, Any]:
    """A chat completion's usage as the Responses API counts it, in tokens."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    inputs, outputs = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return {
        "input_tokens": inputs,
        "input_tokens_details": {
            "cached_tokens": prompt.get("cached_tokens") or 0,
            "cache_write_tokens": prompt.get("cache_write_tokens") or 0,
        },
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": completion.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens") or inputs + outputs,
    }
