"""The labels in recordings (``__type__``): whether they fit what they stand on."""

import re
from collections.abc import Iterator

from harness.recording.model import Json

_CLASS = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*\.[A-Z]\w*)(?:\[.*\])?")
"""A class, by its full name; one with a parameter has it in brackets behind."""
_FITTING = {
    "chat.completion.chunk": "ChatCompletionChunk",
    "chat.completion": "ChatCompletion",
    "text_completion": "Completion",
    "model": "Model",
}
"""The class of OpenAI's that each ``object`` is."""


def wrong_labels(body: Json) -> Iterator[str]:
    """What is wrong with the labels of a response's body, each fault once."""
    faults = (_fault(item) for item in (body if isinstance(body, list) else [body]))
    yield from dict.fromkeys(fault for fault in faults if fault)


def _fault(item: Json) -> str:
    if not isinstance(item, dict) or ("__type__" not in item and "__data__" not in item):
        return ""
    if "__data__" not in item or "__type__" not in item:
        return 'a body has only one of "__type__" and "__data__"'
    label, data = item["__type__"], item["__data__"]
    match = _CLASS.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        return f"__type__ {label!r} is not the name of a class"
    said = data.get("object") if isinstance(data, dict) else None
    fitting = _FITTING.get(said) if isinstance(said, str) else None
    if fitting and label.startswith("openai.types.") and not match[1].endswith((f".{fitting}", f".Parsed{fitting}")):
        return f"__type__ {label!r} stands on a {said}"
    return ""
