"""What one chunk says: the dialects of chat-completions upstreams read into one shape, and checked.

Upstreams differ in where they put reasoning, in what they leave out of a tool call, in how they say that they failed.
No other file of the engine knows that.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from harness.api.calls import CallNumbers
from harness.api.refusals import broken_off
from harness.errors import UpstreamError

T = TypeVar("T")
Object: TypeAlias = dict[str, Any]

_CALL_TEXTS = {"function": "arguments", "custom": "input"}
"""The kinds of tool calls, and what each calls the text that the model writes for the tool."""


_FAILURES = ("error", "insufficient_system_resource")
"""Finish reasons of answers that failed, as OpenRouter and DeepSeek write them."""


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of the tool call with this number. What the piece does not say is empty."""

    number: int
    kind: str
    call_id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Delta:
    """What a chunk adds to the first choice, and what it says of the whole answer. Other choices are passed over."""

    reasoning: str = ""
    text: str = ""
    refusal: str = ""
    logprobs: tuple[Object, ...] = ()
    annotations: tuple[Object, ...] = ()
    calls: tuple[CallPiece, ...] = ()
    finish_reason: str | None = None
    usage: Object | None = None
    service_tier: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is a word of the model's in it, or its end: most answers begin with a role and no word."""
        return any((self.reasoning, self.text, self.refusal, self.annotations, self.calls, self.finish_reason))


class Reader:
    """Reads the chunks of one answer, in their order."""

    def __init__(self) -> None:
        self._numbers = CallNumbers()

    def read(self, chunk: Object) -> Delta:
        """The delta of a ``chat.completion.chunk``. Raises UpstreamError for what is none (``"choices": 7``)."""
        choice = _first_choice(chunk)
        if choice.get("finish_reason") in _FAILURES:
            raise broken_off(choice.get("error") or f"The upstream ended its answer with '{choice['finish_reason']}'.")
        said = _get(choice, "delta", dict) or {}
        text, thought = _content(said.get("content"))
        return Delta(
            reasoning=_get(said, "reasoning_content", str) or _reasoning(said) or thought,
            text=text,
            refusal=_get(said, "refusal", str) or "",
            logprobs=tuple(map(_logprob, _objects(_get(choice, "logprobs", dict) or {}, "content"))),
            annotations=tuple(_citations(said)),
            calls=tuple(self._call(place, call) for place, call in enumerate(_calls(said))),
            finish_reason=_get(choice, "finish_reason", str),
            usage=_get(chunk, "usage", dict),
            service_tier=_get(chunk, "service_tier", str),
        )

    def _call(self, place: int, call: Object) -> CallPiece:
        _get(call, "index", int)
        said = {kind: _get(call, kind, dict) for kind in _CALL_TEXTS}
        kind = "custom" if call.get("type") == "custom" or said["custom"] is not None else "function"
        inner = said[kind] or {}
        return CallPiece(
            kind=kind,
            call_id=_get(call, "id", str) or "",
            name=_get(inner, "name", str) or "",
            text=_get(inner, _CALL_TEXTS[kind], str) or "",
            number=self._numbers.number(call, place),
        )


def _first_choice(chunk: Object) -> Object:
    return next((choice for choice in _objects(chunk, "choices") if not choice.get("index")), {})


def _calls(said: Object) -> list[Object]:
    """The calls of a delta: in the older way, one ``function_call``, which some send empty beside the others."""
    calls = _objects(said, "tool_calls")
    function = _get(said, "function_call", dict) or {}
    return calls or ([{"index": 0, "function": function}] if any(function.values()) else [])


def _content(content: Any) -> tuple[str, str]:
    """The text of a content, and the reasoning in it: Mistral sends a list of parts where there is some."""
    if content is None or isinstance(content, str):
        return content or "", ""
    texts, thoughts = "", ""
    for part in _expect(content, list, "content"):
        kind = _expect(part, dict, "content").get("type")
        if kind == "thinking":
            thoughts += _content(part.get("thinking"))[0]
        elif kind == "text":
            texts += _get(part, "text", str) or ""
        elif kind != "reference":
            # Numbers of sources are no words; whatever else there is the client would miss.
            _expect(part, str, "content")
    return texts, thoughts


def _reasoning(said: Object) -> str:
    # Some send an object here, of which the model's words are no part.
    reasoning = said.get("reasoning")
    return reasoning if isinstance(reasoning, str) else ""


def _logprob(token: Object) -> Object:
    """A token's log probability in the Responses API's shape, where ``bytes`` and ``top_logprobs`` must be there."""
    return _token(token) | {"top_logprobs": [_token(other) for other in _objects(token, "top_logprobs")]}


def _citations(said: Object) -> Iterator[Object]:
    """What a model that searches the web cites, as the Responses API shows it."""
    for annotation in _objects(said, "annotations"):
        if annotation.get("type") == "url_citation":
            cited = _get(annotation, "url_citation", dict) or {}
            places = {name: _get(cited, name, int) or 0 for name in ("start_index", "end_index")}
            names = {name: _get(cited, name, str) or "" for name in ("url", "title")}
            yield {"type": "url_citation", **places, **names}


def _token(token: Object) -> Object:
    logprob = _get(token, "logprob", (int, float)) or 0.0
    return {
        "token": _get(token, "token", str) or "",
        # JSON has no infinity; this is what OpenAI writes for a token that cannot be.
        "logprob": logprob if math.isfinite(logprob) else -9999.0,
        "bytes": [_expect(byte, int, "bytes") for byte in _get(token, "bytes", list) or []],
    }


def _objects(value: Object, name: str) -> list[Object]:
    found = _get(value, name, list) or []
    for inner in found:
        _expect(inner, dict, name)
    return found


def _get(value: Object, name: str, kind: type[T] | tuple[type[T], ...]) -> T | None:
    found = value.get(name)
    return None if found is None else _expect(found, kind, name)


def _expect(value: Any, kind: type[T] | tuple[type[T], ...], name: str) -> T:
    if not isinstance(value, kind):
        raise UpstreamError(
            f"The upstream sent what is no chunk of a chat completion: '{name}' cannot be {str(value)[:64]!r}.",
            hint="Ask again.",
        )
    return value
