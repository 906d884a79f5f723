"""The kinds of items and content parts that OpenAI's API has: what each must bring, and how its ids begin.

Messages and what the engine reads (calls, their outputs, reasoning) are looked at closely; the items of hosted tools
only as far as their keys and statuses, since they are kept and shown unchanged. The keys of a kind are all those that
OpenAI's description, Open Responses or a type of the ``openai`` package has for it, as a request or in an answer: what
a client was shown it can send back.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator, Field, create_model

from harness.api.closed import Exact
from harness.api.validation import ID_PATTERN, MAX_ID

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN)]

TRIGGER = "compaction_trigger"
"""The kind of input item that asks for a compaction in place of an answer."""

_Objects: TypeAlias = Annotated[list[dict[str, Any]], BeforeValidator(lambda value: [] if value is None else value)]
_Detail: TypeAlias = Annotated[
    Literal["low", "high", "auto", "original"], BeforeValidator(lambda value: "auto" if value is None else value)
]


class Part(Exact):
    """A content part."""


class InputText(Part):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputImage(Part):
    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: _Detail = "auto"
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputFile(Part):
    type: Literal["input_file"]
    file_id: str | None = None
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    detail: Literal["low", "high", "auto"] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class Audio(Exact):
    """Sound, base64-encoded."""

    data: str
    format: Literal["mp3", "wav"]


class InputAudio(Part):
    type: Literal["input_audio"]
    input_audio: Audio


class OutputText(Part):
    type: Literal["output_text"]
    text: str
    annotations: _Objects = Field(default=[])
    logprobs: _Objects = Field(default=[])
    parsed: Annotated[Any, Field(exclude=True)] = None
    """What ``responses.parse`` of an SDK made of the text: it is in no request, and in a client's dump of an answer."""


class Refusal(Part):
    type: Literal["refusal"]
    refusal: str


PARTS: Mapping[str, type[Part]] = {
    "input_text": InputText,
    "input_image": InputImage,
    "input_file": InputFile,
    "input_audio": InputAudio,
    "output_text": OutputText,
    "refusal": Refusal,
}

INPUT_PARTS = ("input_text", "input_image", "input_file", "input_audio")
"""Of these the messages of all but the assistant are made, and the outputs of tools."""

SOURCES: Mapping[str, tuple[str, ...]] = {
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_id", "file_data", "file_url"),
}
"""Of these keys a part must bring one."""


_Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Item(Exact):
    """What every item may bring."""

    type: str | None = None
    id: Id | None = None
    status: _Status | None = None


class Message(Item):
    """A message; its content is looked at part by part."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Any]
    phase: Literal["commentary", "final_answer"] | None = None


class Reference(Exact):
    """The id of an item that is kept somewhere already."""

    type: Literal["item_reference"] | None = None
    id: Id


class SummaryText(Exact):
    """A part of a summary of reasoning."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(Exact):
    """A part of reasoning itself."""

    type: Literal["reasoning_text"]
    text: str


class Reasoning(Item):
    """What a model thought."""

    summary: list[SummaryText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class Kind(NamedTuple):
    """How ids of a kind begin, what its items may bring, and whether the API always shows a status of them."""

    prefix: str
    model: type[Item]
    has_status: bool


def _kind(prefix: str, optional: str = "", *, status: Any = None, has_status: bool = True, **required: Any) -> Kind:
    """A kind with the keys ``required``, by their types, those named in ``optional``, and a status of this type.

    A type with a default, as a pair, is that of a key that need not be there.
    """
    fields: dict[str, Any] = {
        name: wanted if isinstance(wanted, tuple) else (wanted, ...) for name, wanted in required.items()
    }
    fields |= dict.fromkeys(optional.split(), (Any, None))
    if status is not None:
        fields["status"] = (status | None, None)
    return Kind(prefix, create_model(prefix, __base__=Item, **fields), has_status and status is not None)


_Object: TypeAlias = dict[str, Any]
_List: TypeAlias = list[Any]
_Output: TypeAlias = str | list[Any]
_Name: TypeAlias = Annotated[str, Field(min_length=1)]

_Searched: TypeAlias = _Status | Literal["searching", "failed"]
_Ran: TypeAlias = _Status | Literal["interpreting", "failed"]
_Drawn: TypeAlias = Literal["in_progress", "completed", "generating", "failed"]
_Used: TypeAlias = _Status | Literal["failed"]
_Called: TypeAlias = _Status | Literal["calling", "failed"]

_MADE = "caller created_by"
_CALLED = f"{_MADE} namespace async"
_DRAWN = "action background error output_format quality revised_prompt size svg_usage"

SHOWN_NULLS: Mapping[str, tuple[str, ...]] = {
    "shell_call": ("environment",),
    "shell_call_output": ("max_output_length",),
    "tool_search_call": ("call_id",),
    "tool_search_output": ("call_id",),
}
"""Keys that the API shows of an item always, and that clients may leave out: they are null then."""

ARTEFACTS = frozenset({"parsed_arguments"})
"""Keys that SDKs hang on an item of an answer, and that no answer has."""

KINDS: Mapping[str, Kind] = {
    "function_call": _kind(
        "fc", f"{_CALLED} parsed_arguments", status=_Status, call_id=_Name, name=_Name, arguments=str
    ),
    # What a tool says that no model called has no call's id. No turn can tell a model of it.
    "function_call_output": _kind(
        "fco", f"{_MADE} name namespace", status=_Status, call_id=(_Name | None, None), output=_Output
    ),
    "custom_tool_call": _kind("ctc", _CALLED, status=_Status, call_id=_Name, name=_Name, input=str),
    "custom_tool_call_output": _kind("ctco", _MADE, status=_Status, call_id=_Name, output=_Output),
    "reasoning": Kind("rs", Reasoning, has_status=False),
    "web_search_call": _kind("ws", status=_Searched, action=_Object),
    "file_search_call": _kind("fs", "results", status=_Searched, queries=_List),
    "code_interpreter_call": _kind("ci", status=_Ran, container_id=str, code=str | None, outputs=_List | None),
    "image_generation_call": _kind("ig", _DRAWN, status=_Drawn, result=str | None),
    "computer_call": _kind("cu", "action actions", status=_Status, call_id=_Name, pending_safety_checks=_List),
    "computer_call_output": _kind(
        "cuo", "acknowledged_safety_checks created_by", status=_Used, call_id=_Name, output=_Object
    ),
    "local_shell_call": _kind("lsh", status=_Status, call_id=_Name, action=_Object),
    "local_shell_call_output": _kind("lsho", "call_id", output=str),
    "shell_call": _kind("sh", f"{_MADE} environment", status=_Status, call_id=_Name, action=_Object),
    "shell_call_output": _kind("sho", f"{_MADE} max_output_length", status=_Status, call_id=_Name, output=_List),
    "apply_patch_call": _kind("apc", _MADE, status=_Status, call_id=_Name, operation=_Object),
    "apply_patch_call_output": _kind("apco", f"{_MADE} output", status=_Used, call_id=_Name),
    "mcp_list_tools": _kind("mcpl", "error", server_label=str, tools=_List),
    "mcp_approval_request": _kind("mcpr", server_label=str, name=str, arguments=str),
    "mcp_approval_response": _kind("mcprr", "reason request_id", approval_request_id=str, approve=bool),
    "mcp_call": _kind(
        "mcp",
        "approval_request_id output error",
        status=_Called,
        has_status=False,
        server_label=str,
        name=str,
        arguments=str,
    ),
    "tool_search_call": _kind("tsc", "call_id execution created_by", status=_Status, arguments=Any),
    "tool_search_output": _kind("tso", "call_id execution created_by", status=_Status, tools=_List),
    "additional_tools": _kind("at", role=str, tools=_List),
    "configuration_update": _kind("cfg", "reasoning text"),
    "compaction": _kind("cmp", "created_by", encrypted_content=str),
    TRIGGER: _kind("cmpt"),
    "program": _kind("prog", "caller_id", call_id=str, code=str, fingerprint=str),
    "program_output": _kind("progo", status=_Status, call_id=str, result=str),
}
"""Every kind but messages and references."""
