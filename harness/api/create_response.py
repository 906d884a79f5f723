"""The request of ``responses.create``.

Source: OpenAI's description (``CreateResponse``), and Open Responses where it has more parameters (the penalties).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr

from harness.api.closed import Closed, Deferred
from harness.api.conversations import Metadata
from harness.api.errors import invalid_prefix, invalid_value, missing
from harness.api.extra_body import check_extra, gather
from harness.api.listing import Include
from harness.api.mcp import McpPolicy
from harness.api.namespaces import NAME
from harness.api.prompts import PromptReference
from harness.api.tools import check_choice, check_mode, check_tools
from harness.api.validation import parse
from harness.api.writable import check_writable
from harness.errors import InvalidRequest

HANDED_ON = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "user", "seed", "stop",
    "top_k", "min_p", "logit_bias",
)  # fmt: skip
"""What a chat completion calls by the same name: handed on as it came, absent where it was absent."""

_NOT_SERVED = (
    "moderation", "access_programs", "background_options", "image",
)  # fmt: skip
"""Parameters of OpenAI's that change what happens and that are not served here: refused, never dropped."""

_BY_OPENAI = McpPolicy()
_CLIENT = (
    "What OpenAI's Codex says of its session to whoever serves it. It is in no description, and no model reads it."
)

ServiceTier: TypeAlias = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]
_Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_Summary: TypeAlias = Literal["auto", "concise", "detailed"]
_Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Format(Deferred):
    """The form of the output, before it is known which."""

    type: Literal["text", "json_object", "json_schema"]


class AnyFormat(Closed):
    """Output in a form of which there is no more to say: text, or any JSON object."""

    type: Literal["text", "json_object"]


class JsonSchema(Closed):
    """Output that follows a JSON schema."""

    type: Literal["json_schema"]
    name: Annotated[StrictStr, Field(min_length=1, max_length=64, pattern=NAME)]
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]
    description: StrictStr | None = None
    strict: StrictBool | None = None


class TextOptions(Closed):
    """``text``: the format of the output and its verbosity."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None

    @property
    def given_format(self) -> dict[str, Any]:
        """The format without its nulls; empty when there is none."""
        return {name: value for name, value in (self.format or {}).items() if value is not None}


class ReasoningOptions(Closed):
    """``reasoning``: how much the model is to think, and how that is shown. Its effort is handed on."""

    effort: _Effort | None = None
    summary: _Summary | None = None
    generate_summary: _Summary | None = None
    mode: StrictStr | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None


class StreamOptions(Closed):
    """``stream_options``, which mean nothing without ``stream``, and change nothing with it.

    Nothing is padded here, so there is no obfuscation to leave out; and the last event has the usage always, which
    some ask for in chat completions' way, as OGX lets them.
    """

    include_obfuscation: StrictBool | None = None
    include_usage: StrictBool | None = None


class PromptCacheOptions(Closed):
    """``prompt_cache_options``, as far as a chat completion has them: it cannot ask for a cache and no answer."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None
    prewarm: Literal[False] | None = None


class ContextManagement(Closed):
    """An entry of ``context_management``: above so many tokens the context is made short."""

    type: Literal["compaction"]
    compact_threshold: Annotated[StrictInt, Field(ge=1000)] | None = None


class ConversationReference(Closed):
    """``conversation`` as an object."""

    id: StrictStr


class CreateResponse(Closed):
    """The body of ``POST /v1/responses``, as far as it is served. Null is the same as absent throughout.

    ``client_metadata`` is in no description. OpenAI's Codex tells with it of its session, and no model reads it.
    """

    model: StrictStr | None = None
    input: StrictStr | list[Any] | None = None
    instructions: StrictStr | None = None
    prompt: PromptReference | None = None
    conversation: StrictStr | ConversationReference | None = None
    previous_response_id: StrictStr | None = None
    context_management: Annotated[list[ContextManagement], Field(min_length=1)] | None = None
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
    prompt_cache_options: PromptCacheOptions | None = None
    safety_identifier: Annotated[StrictStr, Field(max_length=64)] | None = None
    user: StrictStr | None = None
    seed: StrictInt | None = None
    stop: StrictStr | list[StrictStr] | None = None
    top_k: StrictInt | None = None
    min_p: _Number | None = None
    logit_bias: dict[str, _Number] | None = None
    client_metadata: dict[str, StrictStr] | None = None
    extra_body: dict[str, Any] | None = None

    @property
    def conversation_id(self) -> str | None:
        given = self.conversation
        return given.id if isinstance(given, ConversationReference) else given

    @property
    def handed_on(self) -> dict[str, Any]:
        """What a chat completion calls by the same name, without what says nothing."""
        said = self.model_dump(include={*HANDED_ON}, exclude={"prompt_cache_options": {"prewarm"}}, exclude_none=True)
        return {name: said[name] for name in HANDED_ON if name in said}

    @property
    def compact_threshold(self) -> int | None:
        """The tokens above which the context is made short, if it is to be; of several thresholds the lowest."""
        given = [entry.compact_threshold for entry in self.context_management or ()]
        return min((most for most in given if most is not None), default=None)

    @property
    def wants_logprobs(self) -> bool:
        return "message.output_text.logprobs" in (self.include or ())

    @property
    def wants_packed_reasoning(self) -> bool:
        return "reasoning.encrypted_content" in (self.include or ())

    @property
    def wants_summary(self) -> bool:
        """Whether reasoning is to be shown as its summary: the one place where clients of OpenAI's look for it."""
        return self.reasoning is not None and bool(self.reasoning.summary or self.reasoning.generate_summary)

    @property
    def keeps(self) -> bool:
        """Whether the response can be retrieved later; so it is unless ``store`` says no."""
        return self.store is not False


def parse_create(
    body: dict[str, Any], upstream_parameters: Sequence[str] = (), mcp: McpPolicy = _BY_OPENAI
) -> CreateResponse:
    """A request body as CreateResponse, its input still as the client wrote it.

    ``upstream_parameters`` are keys that OpenAI does not have and the upstream does; they join ``extra_body``.
    ``mcp`` is what holds of MCP servers where the body does not say. Raises InvalidRequest in OpenAI's
    words for whatever is wrong with the body.
    """
    body = gather(body, {*upstream_parameters} - {*CreateResponse.model_fields, *_NOT_SERVED})
    for name in _NOT_SERVED:
        if body.get(name) is not None and body[name] is not False:
            raise InvalidRequest(
                f"'{name}' is not served by the harness.",
                hint="Leave it out, or have the provider's own Responses API: harness serve --responses upstream.",
                param=name,
                code="unsupported_parameter",
            )
    # Items are looked at one by one.
    check_writable({name: value for name, value in body.items() if name != "input" or isinstance(value, str)})
    # A flag that is off asks for nothing.
    wanted = parse(CreateResponse, {name: value for name, value in body.items() if name not in _NOT_SERVED})
    if not wanted.model:
        raise missing("model")
    _check_ids(wanted)
    _check_thresholds(wanted)
    _check_format(wanted)
    check_extra(wanted.extra_body or {})
    _check_tools(wanted.tool_choice, wanted.tools or [], mcp)
    if wanted.background and not wanted.keeps:
        raise invalid_value("store", "Background mode requires 'store' to be true: the response is to be polled.")
    return wanted.model_copy(update={"tools": mcp.completed(wanted.tools)})


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


def _check_thresholds(wanted: CreateResponse) -> None:
    for place, entry in enumerate(wanted.context_management or ()):
        if entry.compact_threshold is None:
            raise InvalidRequest(
                f"Missing required parameter: 'context_management[{place}].compact_threshold'.",
                hint="Name it: how long a context the model takes is not known here.",
                param=f"context_management[{place}].compact_threshold",
                code="missing_required_parameter",
            )


def _check_tools(choice: str | dict[str, Any] | None, tools: list[dict[str, Any]], mcp: McpPolicy) -> None:
    """What stands at the top of the request is told before what stands inside of a tool."""
    if isinstance(choice, str):
        check_mode(choice, tools)
    check_tools(tools, connectors=mcp.connectors)
    if isinstance(choice, dict):
        check_choice(choice, tools)


def _check_format(wanted: CreateResponse) -> None:
    if wanted.text is None or wanted.text.format is None:
        return
    has_schema = parse(Format, wanted.text.format, "text.format").type == "json_schema"
    parse(JsonSchema if has_schema else AnyFormat, wanted.text.format, "text.format")
