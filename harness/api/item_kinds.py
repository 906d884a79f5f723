"""The kinds of items and content parts that OpenAI's API has: what each must bring, and how its ids begin.

Messages and what the engine reads (calls, their outputs, reasoning) are looked at closely; the items of hosted tools
only as far as their required keys, since they are kept and shown unchanged.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from harness.api.validation import ID_PATTERN, MAX_ID

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN)]

_Objects: TypeAlias = Annotated[list[dict[str, Any]], BeforeValidator(lambda value: [] if value is None else value)]
_Detail: TypeAlias = Annotated[
    Literal["low", "high", "auto", "original"], BeforeValidator(lambda value: "auto" if value is None else value)
]


class Part(BaseModel):
    """A content part. Keys that it does not have are passed over, as are nulls."""

    model_config = ConfigDict(strict=True)


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


class Audio(BaseModel):
    """Sound, base64-encoded."""

    model_config = ConfigDict(strict=True)

    data: str
    format: Literal["mp3", "wav"]


class InputAudio(Part):
    type: Literal["input_audio"]
    input_audio: Audio


class OutputText(Part):
    type: Literal["output_text"]
    text: str
    annotations: _Objects = []
    logprobs: _Objects = []


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

SOURCES: Mapping[str, tuple[str, ...]] = {
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_id", "file_data", "file_url"),
}
"""Of these keys a part must bring one."""


class Item(BaseModel):
    """What every item may bring."""

    model_config = ConfigDict(strict=True)

    id: Id | None = None
    status: str | None = None


class Message(Item):
    """A message; its content is looked at part by part."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Any]
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class Reference(BaseModel):
    """The id of an item that is kept somewhere already."""

    model_config = ConfigDict(strict=True)

    id: Id


class SummaryText(BaseModel):
    """A part of a summary of reasoning."""

    model_config = ConfigDict(strict=True)

    type: Literal["summary_text"]
    text: str


class ReasoningText(BaseModel):
    """A part of reasoning itself."""

    model_config = ConfigDict(strict=True)

    type: Literal["reasoning_text"]
    text: str


class Reasoning(Item):
    """What a model thought."""

    summary: list[SummaryText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class Kind(NamedTuple):
    """How ids of a kind begin, what its items must bring, and whether the API always shows a status of them."""

    prefix: str
    model: type[Item]
    has_status: bool


def _kind(prefix: str, *, has_status: bool = False, **required: Any) -> Kind:
    fields: dict[str, Any] = {name: (wanted, ...) for name, wanted in required.items()}
    return Kind(prefix, create_model(prefix, __base__=Item, **fields), has_status)


_Object: TypeAlias = dict[str, Any]
_List: TypeAlias = list[Any]
_Output: TypeAlias = str | list[Any]

KINDS: Mapping[str, Kind] = {
    "function_call": _kind("fc", has_status=True, call_id=str, name=str, arguments=str),
    "function_call_output": _kind("fco", has_status=True, call_id=str, output=_Output),
    "custom_tool_call": _kind("ctc", has_status=True, call_id=str, name=str, input=str),
    "custom_tool_call_output": _kind("ctco", has_status=True, call_id=str, output=_Output),
    "reasoning": Kind("rs", Reasoning, has_status=False),
    "web_search_call": _kind("ws", has_status=True, action=_Object),
    "file_search_call": _kind("fs", has_status=True, queries=_List),
    "code_interpreter_call": _kind("ci", has_status=True, container_id=str, code=str | None, outputs=_List | None),
    "image_generation_call": _kind("ig", has_status=True, result=str | None),
    "computer_call": _kind("cu", has_status=True, call_id=str, pending_safety_checks=_List),
    "computer_call_output": _kind("cuo", has_status=True, call_id=str, output=_Object),
    "local_shell_call": _kind("lsh", has_status=True, call_id=str, action=_Object),
    "local_shell_call_output": _kind("lsho", output=str),
    "shell_call": _kind("sh", has_status=True, call_id=str, action=_Object),
    "shell_call_output": _kind("sho", has_status=True, call_id=str, output=_List),
    "apply_patch_call": _kind("apc", has_status=True, call_id=str, operation=_Object),
    "apply_patch_call_output": _kind("apco", has_status=True, call_id=str),
    "mcp_list_tools": _kind("mcpl", server_label=str, tools=_List),
    "mcp_approval_request": _kind("mcpr", server_label=str, name=str, arguments=str),
    "mcp_approval_response": _kind("mcprr", approval_request_id=str, approve=bool),
    "mcp_call": _kind("mcp", server_label=str, name=str, arguments=str),
    "tool_search_call": _kind("tsc", has_status=True, arguments=Any),
    "tool_search_output": _kind("tso", has_status=True, tools=_List),
    "additional_tools": _kind("at", role=str, tools=_List),
    "compaction": _kind("cmp", encrypted_content=str),
    "compaction_trigger": _kind("cmpt"),
    "program": _kind("prog", call_id=str, code=str, fingerprint=str),
    "program_output": _kind("progo", has_status=True, call_id=str, result=str),
}
"""Every kind but messages and references."""
