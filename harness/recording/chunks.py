"""Chunks of a chat completion: a stream to a whole, a whole to a stream.

The law: ``aggregate(split(whole)) == whole`` for every whole, fields that we do not know included. The one field that
a chunk has and a whole has not is a tool call's ``index``; a whole that carries it all the same loses it.
"""

import copy
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from harness.api.calls import CallNumbers
from harness.recording.model import Json

Chunk: TypeAlias = dict[str, Json]
Whole: TypeAlias = dict[str, Json]

_REPLACED = ("role", "id", "type", "name", "object", "format")
"""Strings of a delta that are said again rather than continued."""


def is_usage_chunk(chunk: Chunk) -> bool:
    """Whether a chunk is the one that ``stream_options.include_usage`` asks for: no choices, only the usage."""
    return chunk.get("choices") == [] and chunk.get("usage") is not None


def aggregate(chunks: Iterable[Chunk]) -> Whole:
    """The whole completion that a stream spells out.

    Texts, refusals, arguments and log probabilities are put end to end, for each choice and each tool call by its
    number; of other values the last that says something stands. Padding (``obfuscation``) goes.
    """
    whole: Whole = {}
    choices: dict[int, Json] = {}
    calls: defaultdict[int, CallNumbers] = defaultdict(CallNumbers)
    for chunk in chunks:
        for name, value in chunk.items():
            if name == "choices":
                for choice in value or ():
                    _add_choice(choices, choice, calls[choice.get("index", 0)])
            elif name != "obfuscation":
                _keep(whole, name, copy.deepcopy(value))
    if whole.get("object") in ("chat.completion.chunk", "", None):
        whole["object"] = "chat.completion"
    whole["choices"] = [choices[index] for index in sorted(choices)]
    return whole


def _keep(target: dict[str, Json], name: str, value: Json) -> None:
    if name not in target or value not in (None, ""):
        target[name] = value


def _add_choice(choices: dict[int, Json], piece: Json, calls: CallNumbers) -> None:
    index = piece.get("index", 0)
    choice = choices.setdefault(index, {"index": index, "message": {}})
    for name, value in piece.items():
        if name == "delta":
            _add_calls(choice["message"], value or {}, calls)
            _merge(choice["message"], {name: item for name, item in (value or {}).items() if name != "tool_calls"})
        elif name == "logprobs" and isinstance(value, dict):
            if not isinstance(choice.get("logprobs"), dict):
                choice["logprobs"] = {}
            _merge(choice["logprobs"], value)
        elif name != "index":
            _keep(choice, name, copy.deepcopy(value))


def _add_calls(message: dict[str, Json], delta: dict[str, Json], numbers: CallNumbers) -> None:
    pieces = delta.get("tool_calls")
    if not isinstance(pieces, list):
        _merge(message, {"tool_calls": pieces} if "tool_calls" in delta else {})
        return
    calls = message["tool_calls"] = message.get("tool_calls") or []
    for position, piece in enumerate(pieces):
        number = numbers.number(piece, position)
        if number == len(calls):
            calls.append({})
        _merge(calls[number], {name: value for name, value in piece.items() if name != "index"})


def _merge(target: dict[str, Json], delta: dict[str, Json]) -> None:
    """Add a delta to what is there: texts continue, lists grow, objects merge."""
    for name, value in delta.items():
        current = target.get(name)
        if isinstance(current, str) and isinstance(value, str) and name not in _REPLACED:
            target[name] = current + value
        elif isinstance(current, list) and isinstance(value, list):
            current.extend(copy.deepcopy(value))
        elif isinstance(current, dict) and isinstance(value, dict):
            _merge(current, value)
        else:
            _keep(target, name, copy.deepcopy(value))


def split(whole: Whole) -> list[Chunk]:
    """A stream that spells out a whole completion, cut where words end, or where log probabilities say tokens do.

    The last chunk is the usage chunk, where the whole has a usage. What we do not know about goes into the first one.
    """
    shared: Chunk = {name: whole[name] for name in ("id", "created", "model") if name in whole}
    shared["object"] = "chat.completion.chunk"
    usage = whole.get("usage")
    apart = ("choices", "object") if usage is None else ("choices", "object", "usage")
    first = {name: value for name, value in whole.items() if name not in apart}
    chunks: list[Chunk] = []
    for choice in whole.get("choices") or ():
        for piece in _split_choice(choice):
            head = {**shared, **(first if not chunks else {})}
            chunks.append({**head, "choices": [{"index": choice.get("index", 0), **piece}]})
    if not chunks:
        chunks.append({**first, **shared, "choices": []})
    if usage is not None:
        chunks.append({**shared, "choices": [], "usage": usage})
    return copy.deepcopy(chunks)


def _split_choice(choice: Json) -> list[dict[str, Json]]:
    message = dict(choice.get("message") or {})
    rest = {name: value for name, value in choice.items() if name not in ("index", "message")}
    finish = {"finish_reason": rest.pop("finish_reason")} if "finish_reason" in rest else {}
    logprobs = dict(rest.pop("logprobs")) if isinstance(rest.get("logprobs"), dict) else None
    texts = {name: message.pop(name) for name in ("content", "refusal") if message.get(name)}
    calls = message.pop("tool_calls", None) if message.get("tool_calls") else None
    opening = {"delta": message | dict.fromkeys(texts, ""), **rest}
    pieces: list[dict[str, Json]] = [{**opening, "finish_reason": None} if finish else opening]
    for name, text in texts.items():
        pieces += _split_text(name, text, logprobs)
    if logprobs:
        # What no piece of text could carry along.
        pieces.append({"delta": {}, "logprobs": logprobs})
    elif logprobs is not None:
        pieces[0]["logprobs"] = {}
    for index, call in enumerate(calls or ()):
        pieces += _split_call(index, call)
    if finish:
        pieces.append({"delta": {}, **finish})
    return pieces


def _split_text(name: str, text: Json, logprobs: dict[str, Json] | None) -> list[dict[str, Json]]:
    """One piece for each word; where log probabilities spell the text out, one for each token, with its own."""
    if not isinstance(text, str):
        return [{"delta": {name: text}}]
    tokens = (logprobs or {}).get(name)
    if logprobs and isinstance(tokens, list) and "".join(map(_token, tokens)) == text:
        del logprobs[name]
        return [{"delta": {name: _token(token)}, "logprobs": {name: [token]}} for token in tokens]
    return [{"delta": {name: word}} for word in _words(text)]


def _token(token: Json) -> str:
    text = token.get("token") if isinstance(token, dict) else None
    return text if isinstance(text, str) else "\0"


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+", text)


def _split_call(index: int, call: Json) -> list[dict[str, Json]]:
    """A tool call's name, then its arguments in pieces of up to 16 characters."""
    for kind, field in (("function", "arguments"), ("custom", "input")):
        inner = call.get(kind)
        text = inner.get(field) if isinstance(inner, dict) else None
        if isinstance(text, str) and text:
            head = {**call, kind: {**inner, field: ""}}
            cuts = [text[start : start + 16] for start in range(0, len(text), 16)]
            deltas: list[Json] = [head, *({kind: {field: cut}} for cut in cuts)]
            break
    else:
        deltas = [call]
    return [{"delta": {"tool_calls": [{"index": index, **delta}]}} for delta in deltas]


def aggregate_text(chunks: Iterable[Chunk]) -> Whole:
    """The whole of a legacy text completion's stream: the texts of each choice put end to end."""
    whole: Whole = {}
    choices: dict[int, Json] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name != "choices":
                _keep(whole, name, value)
        for piece in chunk.get("choices") or ():
            choice = choices.setdefault(piece.get("index", 0), {})
            text = (choice.get("text") or "") + (piece.get("text") or "")
            for name, value in piece.items():
                _keep(choice, name, value)
            choice["text"] = text
    whole["choices"] = [choices[index] for index in sorted(choices)]
    return copy.deepcopy(whole)
