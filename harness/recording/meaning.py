"""What an answer says: its stream put together, noise set aside, arguments parsed. What ``diff`` compares.

Noise is what changes from one call to the next though nobody said anything different: ids, times, padding, fingerprints
of the upstream's machines, verdicts of its filters, opaque signatures, seeds. Null, an empty text and an empty list say
as little as what is absent, for streams and wholes spell "nothing" differently. None of this reaches into the arguments
of a tool call or into the text: there every value counts.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from harness.recording.bodies import BINARY
from harness.recording.model import Json, Response
from harness.recording.streams import choices_of, is_event_text, is_ollama, whole
from harness.recording.vectors import is_vector, vector

Shape: TypeAlias = Literal["chat", "message", "response", "embeddings", "models", "other", "error"]

_NOISE = frozenset({
    *("id", "call_id", "item_id", "previous_response_id", "request_id", "response_id", "x_groq"),
    *("approval_request_id", "response_time", "size_vram"),
    *("created", "created_at", "modified_at", "completed_at", "expires_at", "timings", "time_info", "object"),
    *("obfuscation", "system_fingerprint", "service_tier", "seed", "provider", "kv_transfer_params"),
    *("prompt_filter_results", "content_filter_results", "content_filter_result", "content_filter_offsets"),
    *("create_time", "createTime", "responseId", "sdk_http_response", "sdkHttpResponse"),
    *("signature", "thought_signature", "encrypted_content", "extra_content", "token_id", "token_ids"),
    *("file_id", "container_id", "conversation_id", "trace_id", "correlation_id", "x-request-id", "request-id"),
    *("timestamp", "sequence_number", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"),
})  # fmt: skip
_VERBATIM = frozenset({"input", "arguments", "input_schema", "inputSchema", "output_schema", "outputSchema", "env"})
"""What a tool is given, and what it says that it takes: names in there are the tool's, none is noise."""
_EMPTY: tuple[Json, ...] = (None, "", [], {})
OPAQUE = frozenset({"reasoning.encrypted", "redacted_thinking"})
"""Kinds of parts whose ``data`` nobody but the upstream can read, and that are never the same twice."""
_UNSTABLE = re.compile(
    r"\b(?:req(?:uest)?|chatcmpl|cmpl|resp|msg|call|rec)[_-]\w{8,}"
    r"|(?<=\bid: )[\w-]*\d[\w-]{7,}"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b|\b0x[0-9a-f]{8,}\b"
    r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
"""What the message of an error says of one call alone: ids, addresses, the time."""
_AMOUNT = re.compile(r"(?:[\d.,]*\d(?:ms|h|m|s)?)+")
_TOO_MANY_REQUESTS = 429
_NOT_BUILT_LIKE_ONE = (AttributeError, KeyError, TypeError, ValueError, IndexError)


class Block(str):
    """JSON text that stands for a long row of numbers, which is one thing to a reader and compared as one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer by its meaning. ``shape`` says how to read ``value``; a failure has the shape ``error``."""

    shape: Shape
    value: Json

    @property
    def failed(self) -> bool:
        return self.shape == "error"


def answer(response: Response) -> Answer:
    """What a response says, in a form in which two that say the same are equal. Total: any JSON has an answer."""
    try:
        body = spelled_out(response)
        error = body.get("error") if isinstance(body, dict) else None
        if response.status >= 400 or error:
            return Answer("error", _error(response.status, error or body))
        shape = _shape(body)
        return Answer(shape, _FORMS[shape](body))
    except _NOT_BUILT_LIKE_ONE:
        # A file may hold anything under the name of a completion: what is not built like one is compared as it stands.
        return Answer("other", _clean(response.body))


def spelled_out(response: Response) -> Json:
    """The whole answer as the upstream's JSON: streams put together, also those that a file holds as one text."""
    body = response.body
    if isinstance(body, str) and is_event_text(body):
        return whole(body.splitlines())
    body = whole(body) if response.is_streaming else parsed(body)
    return _like_openai(body) if is_ollama(body) else body


def settled(response: Response) -> Response:
    """The response as one whole, for those that look at it several times; of a broken stream, the response as it is."""
    try:
        return replace(response, body=spelled_out(response), is_streaming=False)
    except _NOT_BUILT_LIKE_ONE:
        return response


def _like_openai(body: dict[str, Json]) -> Json:
    """An answer of Ollama's own API in OpenAI's form, in which it is read like any other."""
    usage = {"prompt_tokens": body.get("prompt_eval_count"), "completion_tokens": body.get("eval_count")}
    generated = {"text": body.get("response"), "thinking": body.get("thinking")}
    said = {"message": body["message"]} if isinstance(body.get("message"), dict) else generated
    choice = {"index": 0, **said, "finish_reason": body.get("done_reason")}
    return {"model": body.get("model"), "choices": [choice], "usage": usage}


def parsed(text: Json) -> Json:
    """A text that holds a JSON object or array, parsed; any other value as it is. ``1.0`` is ``1``."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text, parse_float=_number)
    except (ValueError, RecursionError):
        return text


def same(old: Json, new: Json) -> bool:
    """Whether two JSON values are equal. Python alone takes ``true`` for ``1``."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _shape(body: Json) -> Shape:
    if not isinstance(body, dict):
        return "other"
    data = body.get("data")
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    if isinstance(body.get("choices"), list):
        return "chat"
    if body.get("type") == "message" and isinstance(body.get("content"), list):
        return "message"
    if isinstance(body.get("output"), list):
        return "response"
    if (items and all("embedding" in item for item in items)) or _is_matrix(body.get("embeddings")):
        return "embeddings"
    if _is_model(body) or (items and all(map(_is_model, items))) or _is_ollama_listing(body):
        return "models"
    return "other"


def _is_model(value: dict[str, Json]) -> bool:
    return "model" in (value.get("object"), value.get("type")) and isinstance(value.get("id"), str)


def _is_ollama_listing(body: dict[str, Json]) -> bool:
    models = body.get("models")
    return isinstance(models, list) and bool(models) and all(isinstance(one, dict) and _name(one) for one in models)


def _name(model: dict[str, Json]) -> Json:
    return model.get("id") or model.get("model") or model.get("name")


def _is_matrix(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_vector, value))


# Forms: an answer of each shape, free of noise.


def _clean(value: Json) -> Json:
    if isinstance(value, dict):
        cleaned = {
            name: parsed(json.dumps(item)) if name in _VERBATIM and not isinstance(item, str) else _clean(item)
            for name, item in value.items()
            if name not in _NOISE and item not in _EMPTY and not (name == "data" and str(value.get("type")) in OPAQUE)
        }
        return {name: item for name, item in cleaned.items() if item not in _EMPTY}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _chat(body: Json) -> Json:
    choices = sorted(choices_of(body), key=_index)
    return {**_clean({**body, "choices": None}), "choices": [_choice(choice) for choice in choices]}


def _index(item: dict[str, Json]) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0


def _choice(choice: dict[str, Json]) -> Json:
    form = _clean(
        {name: value for name, value in choice.items() if name not in ("index", "message", "text", "logprobs")}
    )
    if choice.get("logprobs"):
        form["logprobs"] = Block(json.dumps(choice["logprobs"], sort_keys=True))
    message = choice.get("message")
    if not isinstance(message, dict):
        return {**form, "text": choice.get("text") or ""}
    said = _clean({name: value for name, value in message.items() if name not in ("role", "tool_calls", "audio")})
    said["content"] = _bare_text(said.get("content", ""))
    if said.get("reasoning") and said.get("reasoning_content") in (None, said["reasoning"]):
        # Upstreams say it under one name or the other, and some under both.
        said["reasoning_content"] = said.pop("reasoning")
    if isinstance(message.get("audio"), dict):
        # What was spoken counts; the sound of it is never the same twice.
        said |= _clean({"audio": message["audio"].get("transcript")})
    calls = message.get("tool_calls")
    said["tool_calls"] = [_call(call) for call in calls] if isinstance(calls, list) else []
    if isinstance(said.get("function_call"), dict):
        said["function_call"] = _function(said["function_call"])
    return {**form, "message": said}


def _bare_text(content: Json) -> Json:
    """Parts that are nothing but text, as the text."""
    if not isinstance(content, list) or not content:
        return content
    plain = [part for part in content if isinstance(part, dict) and part.keys() <= {"type", "text"}]
    texts = [part["text"] for part in plain if isinstance(part.get("text"), str)]
    return "".join(texts) if len(texts) == len(content) else content


def _call(call: Json) -> Json:
    if not isinstance(call, dict):
        return call
    form: dict[str, Json] = _clean({name: value for name, value in call.items() if name != "index"})
    if form.get("type") == "function":
        del form["type"]
    if isinstance(call.get("function"), dict):
        form["function"] = _function(form.get("function", {}))
    return form


def _function(function: dict[str, Json]) -> Json:
    # A tool without parameters is called with "{}" by some upstreams and with "" by others.
    return {**function, "arguments": parsed(function.get("arguments") or "{}")}


def _message(body: Json) -> Json:
    form = _clean({name: value for name, value in body.items() if name not in ("role", "type", "content")})
    blocks = [_clean(block) for block in body["content"]]
    for block in blocks:
        if isinstance(block, dict) and block.get("type") in ("tool_use", "server_tool_use"):
            block["input"] = parsed(block.get("input") or "{}")
    return {**form, "content": blocks}


def _response(body: Json) -> Json:
    items = [_clean(item) for item in body["output"]]
    for item in items:
        if isinstance(item, dict) and "arguments" in item:
            item["arguments"] = parsed(item["arguments"])
    return {**_clean({**body, "output": None}), "output": items}


def _embeddings(body: Json) -> Json:
    if _is_matrix(body.get("embeddings")):
        # Ollama's own API has the bare vectors.
        return {
            **_clean({**body, "embeddings": None}),
            "data": [{"embedding": _vector(row)} for row in body["embeddings"]],
        }
    items = sorted(body["data"], key=_index)
    data = [
        {**_clean(item), "embedding": _vector(item["embedding"])} if isinstance(item, dict) else item for item in items
    ]
    return {**_clean({**body, "data": None}), "data": data}


def _vector(value: Json) -> Json:
    numbers = vector(value)
    return Block(json.dumps(numbers)) if isinstance(numbers, list) else numbers


def _models(body: Json) -> Json:
    """Models by their names: that list has no order, and an id that is no noise."""
    models = next((body[name] for name in ("data", "models") if isinstance(body.get(name), list)), [body])
    return {"models": {str(_name(model)): _clean(model) for model in models if isinstance(model, dict)}}


def _other(body: Json) -> Json:
    """Anything else; bytes are told by their digest, which is one place and short."""
    binary = body.get(BINARY) if isinstance(body, dict) else None
    if isinstance(binary, dict) and isinstance(binary.get("base64"), str):
        data = base64.b64decode(binary["base64"])
        return {BINARY: {"media_type": binary.get("media_type"), "size": len(data),
                         "sha256": hashlib.sha256(data).hexdigest()}}  # fmt: skip
    return _clean(body)


_FORMS = {
    "chat": _chat,
    "message": _message,
    "response": _response,
    "embeddings": _embeddings,
    "models": _models,
    "other": _other,
}


def _error(status: int, error: Json) -> Json:
    form = {"status": status, "error": _clean(error)}
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, str):
        stable = _UNSTABLE.sub("(…)", message)
        # How long to wait, and how much is used up, is another number each time.
        form["error"]["message"] = _AMOUNT.sub("#", stable) if status == _TOO_MANY_REQUESTS else stable
    return form
