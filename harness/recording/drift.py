"""Drift: how the shape of an upstream's answers changed, whatever they say.

A shape is the set of fields with their types, as the wire had them, counted over all answers of one endpoint (streams
and wholes apart). Fields that come and go with what is said (tool calls, a refusal) are content: of those, only another
type is drift. Model names are part of it: an alias that answers under another name is another model.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from harness.recording.canonical import endpoint_of
from harness.recording.model import Exchange, Json, Response
from harness.recording.streams import events_of

Severity: TypeAlias = Literal["breaking", "notable", "minor"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""All severities, worst first.

``breaking``: a field that every answer had is gone, or has another type; ``notable``: it is there less often, may be
null, has a type more, or an alias is answered by another model; ``minor``: a new field, another fingerprint.
"""

_CONTENT = frozenset({
    *("content", "refusal", "tool_calls", "function_call", "reasoning", "reasoning_content", "annotations", "audio"),
    *("logprobs", "finish_reason", "stop_reason", "stop_sequence", "error", "incomplete_details", "citations", "text"),
    *("name", "arguments", "delta", "summary", "encrypted_content", "choices", "output", "data", "usage", "role"),
    *("system_fingerprint", "obfuscation", "partial_json", "thinking", "status", "container", "images"),
})  # fmt: skip
"""Fields whose presence follows from what is said, or from the chunk of a stream."""
_OPAQUE = frozenset({
    *("metadata", "input", "schema", "parameters", "json_schema", "input_schema", "tools", "properties", "headers"),
    *("arguments", "logit_bias", "top_logprobs", "tool_choice"),
})  # fmt: skip
"""Objects whose fields are the user's, not the API's."""
_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """One change: its endpoint, the field's path (or the model's alias), what became of it."""

    severity: Severity
    endpoint: str
    path: str
    change: str
    old: str
    new: str


@dataclass(slots=True)
class _Kind:
    """The shape of the answers of one kind: how many there were, in how many each path is, and with which types."""

    answers: int = 0
    present: Counter[str] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(slots=True)
class Wire:
    """What one side's answers look like. Observations of several processes are merged."""

    kinds: dict[str, _Kind] = field(default_factory=dict)
    models: dict[str, Counter[str]] = field(default_factory=dict)
    fingerprints: dict[str, Counter[str]] = field(default_factory=dict)

    def observe(self, exchange: Exchange) -> None:
        """Count one answer in."""
        request, response = exchange.request, exchange.response
        pieces = _distinct(_pieces(response))
        seen: dict[str, set[str]] = {}
        for piece in pieces:
            _walk(piece, "", seen)
        way = "error" if response.status >= 400 else "stream" if response.is_streaming else "whole"
        kind = self.kinds.setdefault(f"{endpoint_of(request.path)} ({way})", _Kind())
        kind.answers += 1
        kind.present.update(seen.keys())
        for path, types in seen.items():
            kind.types[path].update(types)
        if request.model:
            for names, found in ((self.models, _reported(pieces, "model")),
                                 (self.fingerprints, _reported(pieces, "system_fingerprint"))):  # fmt: skip
                names.setdefault(request.model, Counter()).update(found)

    def merge(self, other: "Wire") -> None:
        """Count in what another one has observed."""
        for name, theirs in other.kinds.items():
            ours = self.kinds.setdefault(name, _Kind())
            ours.answers += theirs.answers
            ours.present.update(theirs.present)
            for path, types in theirs.types.items():
                ours.types[path].update(types)
        for mine, yours in ((self.models, other.models), (self.fingerprints, other.fingerprints)):
            for alias, found in yours.items():
                mine.setdefault(alias, Counter()).update(found)


def drift(old: Wire, new: Wire) -> tuple[Drift, ...]:
    """What changed between two sides' shapes, worst first."""
    found = [
        change
        for kind in old.kinds.keys() & new.kinds.keys()
        for change in _changes(kind, old.kinds[kind], new.kinds[kind])
    ]
    found += _renamed(old.models, new.models, "notable", "answered by another model")
    found += _renamed(old.fingerprints, new.fingerprints, "minor", "another system_fingerprint")
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.endpoint, one.path)))


def _pieces(response: Response) -> list[Json]:
    body = response.body
    if response.is_streaming and isinstance(body, list):
        try:
            return list(events_of(body))
        except ValueError:
            return []  # Lines that were cut off in the middle have no shape.
    return [body]


def _distinct(pieces: list[Json]) -> list[Json]:
    """One piece of each form: nearly all chunks of a stream are built alike, and telling so is quicker than a walk."""
    return list({_form(piece): piece for piece in pieces}.values()) if len(pieces) > 1 else pieces


def _form(value: Json) -> object:
    """How a value is built: equal for two whose walks find the same."""
    if isinstance(value, dict):
        inner = (_form(item) for item in value.values() if isinstance(item, dict | list))
        kind = value.get("type")
        return (*value, *map(type, value.values()), kind if isinstance(kind, str) else None, *inner)
    if isinstance(value, list):
        return tuple(_form(item) for item in value)
    return type(value)


def _walk(value: Json, path: str, seen: dict[str, set[str]]) -> None:
    """Collect every path below a value with its types. A list has one path; what says its ``type``, its own."""
    if isinstance(value, dict):
        kind = value.get("type")
        here = f"{path}<{kind}>" if isinstance(kind, str) and len(kind) < 60 else path
        if here != path:
            seen.setdefault(here, set()).add("object")
        for name, item in value.items():
            where = f"{here}.{name}" if here else name
            seen.setdefault(where, set()).add(_TYPES.get(type(item), "null"))
            if name not in _OPAQUE and isinstance(item, dict | list):
                _walk(item, where, seen)
    elif isinstance(value, list):
        # Of numbers in a row, one says as much as all.
        items = value[:1] if value and isinstance(value[0], int | float) else value
        for item in items:
            seen.setdefault(f"{path}[]", set()).add(_TYPES.get(type(item), "null"))
            _walk(item, f"{path}[]", seen)


def _reported(pieces: Iterable[Json], name: str) -> set[str]:
    """The names that an answer gives itself, wherever its API puts them."""
    found = set()
    for piece in pieces:
        if isinstance(piece, dict):
            for holder in (piece, piece.get("response"), piece.get("message")):
                value = holder.get(name) if isinstance(holder, dict) else None
                if isinstance(value, str) and value:
                    found.add(value)
    return found


def _changes(kind: str, old: _Kind, new: _Kind) -> Iterator[Drift]:
    for path in sorted(old.present.keys() | new.present.keys()):
        holder = _holder(path)
        before, after = old.present[holder], new.present[holder]
        if holder and not (before and after):
            # Its object is on one side alone, and told as one.
            continue
        every, now_every = (before or old.answers), (after or new.answers)
        found = _change(path, (old, every), (new, now_every))
        if found is not None:
            severity, change, was, becomes = found
            yield Drift(severity, kind, path, change, was, becomes)


def _holder(path: str) -> str:
    """The path of the object or list that a path is in."""
    if path.endswith("[]"):
        return path[:-2]
    if path.endswith(">"):
        return path[: path.rindex("<")]
    return path.rpartition(".")[0]


def _change(path: str, old: tuple[_Kind, int], new: tuple[_Kind, int]) -> tuple[Severity, str, str, str] | None:
    (before, every), (after, now_every) = old, new
    was, now = _types(before, path), _types(after, path)
    here, there = before.present[path], after.present[path]
    is_content = path.endswith((">", "[]")) or path.rpartition(".")[2] in _CONTENT
    if here and there:
        values = was - {"null"}, now - {"null"}
        if values[0] and values[1] and not values[0] & values[1]:
            return "breaking", "changed type", _said(was), _said(now)
        if values[0] and values[1] - values[0]:
            return "notable", "may have another type", _said(was), _said(now)
        if is_content:
            return None
        if values[0] and "null" in now and "null" not in was:
            return "notable", "may be null", _said(was), _said(now)
        if here >= every and there < now_every:
            return "notable", "is there less often", "always", f"{there} of {now_every}"
        return None
    if is_content:
        return None
    if there:
        return "minor", "appeared", "(absent)", _said(now)
    if here >= every:
        return "breaking", "disappeared", _said(was), "(absent)"
    return "notable", "disappeared", f"{_said(was)}, {here} of {every}", "(absent)"


def _types(kind: _Kind, path: str) -> frozenset[str]:
    return frozenset(kind.types.get(path, ()))


def _said(types: frozenset[str]) -> str:
    return " | ".join(sorted(types))


def _renamed(
    old: dict[str, Counter[str]], new: dict[str, Counter[str]], severity: Severity, change: str
) -> Iterator[Drift]:
    for alias in old.keys() & new.keys():
        if old[alias] and new[alias] and new[alias].keys() - old[alias].keys():
            yield Drift(severity, "model", alias, change, _most(old[alias]), _most(new[alias]))


def _most(names: Counter[str]) -> str:
    """The names, most frequent first, a few of them."""
    ranked = sorted(names, key=lambda name: (-names[name], name))
    return ", ".join(ranked[:_NAMED]) + (f" and {len(ranked) - _NAMED} more" if len(ranked) > _NAMED else "")
