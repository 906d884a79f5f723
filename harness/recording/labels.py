"""What a response says of its own body: its labels (``__type__``), and that it is a stream. Whether they fit it."""

import re
from collections.abc import Iterator

from harness.recording.canonical import CHUNKED, JSON_ENDPOINTS
from harness.recording.format import label_of
from harness.recording.model import Json
from harness.recording.recordable import says_failure

_CLASS = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*\.[A-Z]\w*)(?:\[.*\])?")
"""A class, by its full name; one with a parameter has it in brackets behind."""
_PACKAGES = re.compile(
    r"openai|anthropic|ollama|llama_stack\w*|llama_api_client|ogx\w*|google|mcp|cohere|groq|mistralai|together|fireworks"
    r"|cerebras|litellm|huggingface_hub|vllm|botocore|ibm_watsonx_ai|harness"
)
"""Whose classes answers are: providers' clients, and OGX's own under each of its names."""
_FITTING = {
    "chat.completion.chunk": "ChatCompletionChunk",
    "chat.completion": "ChatCompletion",
    "text_completion": "Completion",
    "model": "Model",
}
"""The class of OpenAI's that each ``object`` is."""
_FIRST_STATUS, _ERROR, _LAST_STATUS = 100, 400, 599
_LISTS = {"ChatCompletion": "choices", "ChatCompletionChunk": "choices", "CreateEmbeddingResponse": "data"}
"""The list of objects that a class of OpenAI's cannot do without."""


def wrong_labels(response: dict[str, Json], endpoint: str) -> Iterator[str]:
    """What is wrong with what a response says of its body, each fault once."""
    body = response.get("body")
    if isinstance(body, list) and not response.get("is_streaming") and _is_stream(body, endpoint):
        yield 'the pieces of a stream, and "is_streaming" says that it is none'
    if not isinstance(response.get("is_streaming", False), bool):
        yield '"is_streaming" is neither true nor false'
    labelled = [isinstance(item, dict) and "__type__" in item for item in (body if isinstance(body, list) else [])]
    if any(labelled) and not all(labelled):
        yield "of a stream's pieces only some have a __type__"
    if fault := _wrong_status(response, endpoint):
        yield fault
    ours = label_of(endpoint, is_streaming=bool(response.get("is_streaming")))
    faults = (_fault(item, ours) for item in (body if isinstance(body, list) else [body]))
    yield from dict.fromkeys(fault for fault in faults if fault)


def _wrong_status(response: dict[str, Json], endpoint: str) -> str:
    """Whether an error says that it is an answer, or an answer that it is an error."""
    status, body = response.get("status", 200), response.get("body")
    if not isinstance(status, int) or not _FIRST_STATUS <= status <= _LAST_STATUS:
        return f"{status!r} is not an HTTP status"
    if response.get("is_exception"):
        return "" if body is None else '"is_exception" says that an answer is an error'
    first = body[0] if isinstance(body, list) and body else body
    data = first.get("__data__", first) if isinstance(first, dict) else None
    if status >= _ERROR and isinstance(data, dict) and data.get("choices"):
        return f"status {status} stands on an answer"
    if status < _ERROR and endpoint in JSON_ENDPOINTS and says_failure(data):
        return f"status {status} stands on an error"
    return ""


def _is_stream(body: list[Json], endpoint: str) -> bool:
    """Whether a list is chunks, or lines of text."""
    return bool(body) and (endpoint in CHUNKED or all(isinstance(item, str) for item in body))


def _fault(item: Json, ours: str | None) -> str:
    """What is wrong with a labelled body or piece; ``ours`` is the label that we would write there in any case."""
    if not isinstance(item, dict) or ("__type__" not in item and "__data__" not in item):
        return ""
    if "__data__" not in item or "__type__" not in item:
        return 'a body has only one of "__type__" and "__data__"'
    label, data = item["__type__"], item["__data__"]
    match = _CLASS.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        return f"__type__ {label!r} is not the name of a class"
    if not _is_known(match[1]):
        return f"__type__ {label!r} is no class that an answer has"
    if not isinstance(data, dict):
        return f"__type__ {label!r} stands on what is no object"
    held = _LISTS.get(match[1].rpartition(".")[2]) if label.startswith("openai.types.") else None
    if held and not _is_of_objects(data.get(held)):
        return f"__type__ {label!r} stands on what has no list of {held}"
    said = data.get("object")
    fitting = _FITTING.get(said) if isinstance(said, str) and label != ours else None
    if fitting and label.startswith("openai.types.") and not match[1].endswith((f".{fitting}", f".Parsed{fitting}")):
        return f"__type__ {label!r} stands on a {said}"
    return ""


def _is_of_objects(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_known(name: str) -> bool:
    """Whether a class is of a known package; of those of OpenAI's client, each is in a module of its own name."""
    package, *modules, own = name.split(".")
    if not _PACKAGES.fullmatch(package):
        return False
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", own).lower()
    return not name.startswith("openai.types.") or modules[-1] == words
