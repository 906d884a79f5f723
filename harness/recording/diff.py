"""What changed between two sets of recordings: exchanges paired, compared by meaning, classed.

Each pair has one class, that of its worst difference:

- ``error``: one side failed, or both did with different errors;
- ``structure``: tool calls (which, their order, names, arguments), finish reason, a refusal, the number of choices,
  and, where the request asked for JSON, the answer's keys and types;
- ``text``: what was said differs in any character; so do vectors and the entries of a list;
- ``usage``: the same was said, but figures around it differ: tokens, log probabilities, the name under which the model
  reports itself, and whatever else an upstream puts beside its answer;
- ``equal``: no difference but noise, which :mod:`harness.recording.meaning` sets aside.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from harness.recording.canonical import Canonicalizer
from harness.recording.key import parse_stem
from harness.recording.meaning import Answer, Block, Shape, answer, parsed, same
from harness.recording.model import Exchange, Json
from harness.recording.places import ABSENT

Class: TypeAlias = Literal["error", "structure", "text", "usage", "equal"]
Path: TypeAlias = list[str | int]

CLASSES: tuple[Class, ...] = get_args(Class)
"""All classes, worst first."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a pair differs: its path by meaning, both values (``ABSENT`` where there is none), its class."""

    path: str
    old: Json
    new: Json
    cls: Class


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings of one request. ``name`` is that of the file in OLD, ``new_name`` of the one in NEW.

    ``differences`` stand worst first; there are none when the pair is equal.
    """

    name: str
    new_name: str
    test_id: str | None
    cls: Class
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Single:
    """A recording without a counterpart."""

    name: str
    test_id: str | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The outcome: every pair, the recordings that only NEW has (``added``), and those that only OLD has."""

    pairs: tuple[Pair, ...]
    added: tuple[Single, ...]
    removed: tuple[Single, ...]

    @property
    def summary(self) -> dict[str, int]:
        """How many pairs there are of each class, worst first."""
        counted = Counter(pair.cls for pair in self.pairs)
        return {cls: counted[cls] for cls in CLASSES}

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs at all: every pair is equal and none is without its counterpart."""
        return not self.added and not self.removed and all(pair.cls == "equal" for pair in self.pairs)


def diff(old: Mapping[str, Exchange], new: Mapping[str, Exchange], canonicalizer: Canonicalizer | None = None) -> Diff:
    """Pair the recordings of two sets, each by its name, and compare every pair.

    They pair by name, which is the key; then by fingerprint within a scope; then by fingerprint alone. No recording is
    used twice, and the members of a sequence pair in their order.
    """
    paired, removed, added = _pair_up(old, new, canonicalizer or Canonicalizer())
    return Diff(
        tuple(_pair(name, old[name], new_name, new[new_name]) for name, new_name in paired),
        tuple(Single(name, new[name].request.scope) for name in added),
        tuple(Single(name, old[name].request.scope) for name in removed),
    )


def _pair_up(
    old: Mapping[str, Exchange], new: Mapping[str, Exchange], canonicalizer: Canonicalizer
) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """The pairs of names, the rest of OLD and the rest of NEW."""
    paired = [(name, name) for name in old if name in new]
    left, right = (sorted((n for n in one if n not in two), key=_sequence) for one, two in ((old, new), (new, old)))
    exchanges = {("old", name): old[name] for name in left} | {("new", name): new[name] for name in right}
    prints = {at: canonicalizer.fingerprint(exchange.request) for at, exchange in exchanges.items()}

    def print_and_scope(side: str, name: str) -> Hashable:
        return prints[side, name], exchanges[side, name].request.scope

    def print_alone(side: str, name: str) -> Hashable:
        return prints[side, name]

    for mark in (print_and_scope, print_alone):
        found = _match(left, right, mark)
        paired += found
        used = {one for one, _ in found}, {two for _, two in found}
        left, right = [n for n in left if n not in used[0]], [n for n in right if n not in used[1]]
    return sorted(paired, key=lambda pair: _sequence(pair[0])), left, right


def _match(left: list[str], right: list[str], mark: Callable[[str, str], Hashable]) -> list[tuple[str, str]]:
    """Names with the same mark, first with first."""
    waiting: dict[Hashable, list[str]] = {}
    for name in reversed(right):
        waiting.setdefault(mark("new", name), []).append(name)
    found = []
    for name in left:
        queue = waiting.get(mark("old", name))
        if queue:
            found.append((name, queue.pop()))
    return found


def _sequence(name: str) -> tuple[str, str, int]:
    folder, _, stem = name.rpartition("/")
    return folder, *parse_stem(stem)


def _pair(name: str, old: Exchange, new_name: str, new: Exchange) -> Pair:
    scope = old.request.scope if new.request.scope is None else new.request.scope
    found = differences(old, new)
    return Pair(name, new_name, scope, found[0].cls if found else "equal", found)


def differences(old: Exchange, new: Exchange) -> tuple[Difference, ...]:
    """Where the answers of two exchanges differ by meaning, worst first; noise is no difference."""
    left, right = answer(old.response), answer(new.response)
    if left.failed != right.failed:
        before, after = (one.value if one.failed else ABSENT for one in (left, right))
        return (Difference("error", before, after, "error"),)
    if same(left.value, right.value):
        return ()
    wants_json = any(_wants_json(exchange.request.body) for exchange in (old, new))
    if wants_json:
        left, right = _with_json(left, right)
    found = [
        (_rank(cls := _class(right.shape, path, before, after, wants_json=wants_json)), _order(path),
         Difference(_written(path), before, after, cls))
        for path, before, after in _compared(left.value, right.value)
    ]  # fmt: skip
    return tuple(difference for *_, difference in sorted(found, key=lambda row: row[:2]))


def _rank(cls: Class) -> int:
    return CLASSES.index(cls)


def _order(path: Path) -> list[tuple[bool, str | int]]:
    return [(isinstance(step, str), step) for step in path]


def _compared(old: Json, new: Json) -> Iterable[tuple[Path, Json, Json]]:
    """Every place at which two values differ, as deepdiff finds them."""
    # Heavy to import, and not needed where everything is equal.
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    tree = DeepDiff(
        old, new, view="tree", zip_ordered_iterables=True, threshold_to_diff_deeper=0, ignore_private_variables=False
    )
    for levels in tree.values():
        for level in levels:
            before, after = (
                ABSENT if value is notpresent else json.loads(value) if isinstance(value, Block) else value
                for value in (level.t1, level.t2)
            )
            yield level.path(output_format="list"), before, after


def _written(path: Path) -> str:
    """``choices[0].message.content``; a name that is not plain is quoted: ``models["gpt-4.1"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text or "body"


# Where the request asked for JSON.


def _wants_json(body: Json) -> bool:
    asked = body.get("response_format") if isinstance(body, dict) else None
    return isinstance(asked, dict) and asked.get("type") in ("json_schema", "json_object")


def _with_json(old: Answer, new: Answer) -> tuple[Answer, Answer]:
    """Both with their contents parsed, unless the letters differ and the values do not."""
    if old.shape != "chat" or new.shape != "chat":
        return old, new
    for one, two in zip(old.value["choices"], new.value["choices"], strict=False):
        messages = one.get("message"), two.get("message")
        if all(messages):
            values = [parsed(message["content"]) for message in messages]
            if not same(*values):
                for message, value in zip(messages, values, strict=True):
                    message["content"] = value
    return old, new


# Classes, by shape and path.

_STRUCTURE: dict[Shape, str] = {
    "chat": r"choices(\[\d+\])?|choices\[\d+\]\.(finish_reason|message\.(tool_calls|function_call)\b.*)",
    "message": r"stop_reason|stop_sequence|content(\[\d+\](\.(type|name|input\b.*))?)?",
    "response": r"status|incomplete_details\b.*|output(\[\d+\](\.(type|name|status|arguments\b.*|input\b.*))?)?",
    "embeddings": r"data\[\d+\]",
    "models": r'models(\.[\w-]+|\[".*?"\])',
    "other": r"(?!)",
    "error": r"(?!)",
}
_TEXT: dict[Shape, str] = {
    "chat": r"choices\[\d+\]\.(message|text)\b.*|citations\b.*",
    "message": r"content\b.*",
    "response": r"output\b.*",
    "embeddings": r"data\b.*",
    "models": r".*",
    "other": r"(?!usage\b|model$).*",
    "error": r"(?!)",
}
_CONTENT = re.compile(r"choices\[\d+\]\.message\.content\b")
_REFUSAL = re.compile(r"choices\[\d+\]\.message\.refusal|output\[\d+\]\.content\[\d+\]\.refusal")


def _class(shape: Shape, path: Path, old: Json, new: Json, *, wants_json: bool) -> Class:
    where = _written(path)
    if shape == "error":
        return "error"
    if not path or re.fullmatch(_STRUCTURE[shape], where, re.DOTALL):
        return "structure"
    if _REFUSAL.fullmatch(where) and ABSENT in (old, new):
        return "structure"
    if wants_json and _CONTENT.match(where) and _reshaped(path, old, new):
        return "structure"
    if shape == "embeddings" and isinstance(old, list) and isinstance(new, list) and len(old) != len(new):
        return "structure"
    return "text" if re.fullmatch(_TEXT[shape], where, re.DOTALL) else "usage"


def _reshaped(path: Path, old: Json, new: Json) -> bool:
    """Whether a key came or went, or a value has another type. A longer list has the same shape."""
    if old is ABSENT or new is ABSENT:
        return isinstance(path[-1], str)
    return _kind(old) != _kind(new)


def _kind(value: Json) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
