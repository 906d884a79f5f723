"""How reports put things into words: names of files and tests, values of any kind, texts that differ."""

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.recording.classes import CLASSES
from harness.recording.diff import Diff, Pair
from harness.recording.figures import Figures
from harness.recording.model import Json
from harness.recording.places import ABSENT
from harness.recording.words import Segment, segments

COLUMNS = (*CLASSES, "added", "removed")
"""What a summary counts, in this order."""
NO_TEST = "(no test)"


@dataclass(frozen=True, slots=True)
class Row:
    """One test of a summary, with how many of its recordings are in each column."""

    test: str
    counts: Counter[str]

    @property
    def is_equal(self) -> bool:
        return set(self.counts) <= {"equal"}


def rows(diff: Diff) -> list[Row]:
    """A summary by test, in the order of their names."""
    found: dict[str, Counter[str]] = {}
    for test, word in (
        *((pair.test_id, pair.cls) for pair in diff.pairs),
        *((single.test_id, "added") for single in diff.added),
        *((single.test_id, "removed") for single in diff.removed),
    ):
        found.setdefault(test or NO_TEST, Counter())[word] += 1
    return [Row(test, counts) for test, counts in sorted(found.items())]


def worst_first(diff: Diff) -> list[Pair]:
    """The pairs that are not equal, worst first; of one class by test, those that are least alike first."""
    changed = [pair for pair in diff.pairs if pair.cls != "equal"]
    return sorted(changed, key=lambda pair: (CLASSES.index(pair.cls), pair.test_id or "", pair.similarity or 0.0))


def split_test(test: str) -> tuple[str, str]:
    """A node id as its file (with the class) and the test's own name; parameters may hold anything, ``::`` too."""
    head, bracket, parameters = test.partition("[")
    path, _, name = head.rpartition("::")
    return path, f"{name}{bracket}{parameters}"


def short_name(name: str) -> str:
    """The name of a file, its 64 digits cut to twelve: ``3fa91c0e77d2``, ``3fa91c0e77d2-2``."""
    folder, slash, stem = name.rpartition("/")
    digits, dash, number = stem.partition("-")
    is_key = len(digits) == 64 and not set(digits) - set("0123456789abcdef")
    return f"{folder}{slash}{digits[:12]}{dash}{number}" if is_key else visible(name)


def pair_name(pair: Pair) -> str:
    """Both names of a pair, or the one that it has."""
    old, new = short_name(pair.name), short_name(pair.new_name)
    return old if pair.name == pair.new_name else f"{old} -> {new}"


def plural(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def percent(share: float) -> str:
    """A share in whole per cent; what is not all is never said to be."""
    return f"{min(int(share * 100), 99 if share < 1 else 100)}%"


def totals(diff: Diff) -> str:
    """How many pairs there are, and of which kinds: ``3 pairs: 1 text, 2 equal, 1 added``."""
    counts = {**diff.summary, "added": len(diff.added), "removed": len(diff.removed)}
    words = [f"{number} {word}" for word, number in counts.items() if number]
    return f"{plural(len(diff.pairs), 'pair')}: {', '.join(words) or 'nothing to compare'}"


def figures(old: Figures, new: Figures, currency: str) -> list[str]:
    """What was used on both sides, figure by figure; nothing about what neither side says."""
    lines = []
    if old.input or new.input or old.output or new.output:
        lines.append(f"tokens in   {_amounts(old.input, new.input, ',')}")
        lines.append(f"tokens out  {_amounts(old.output, new.output, ',')}")
    if old.cost is not None and new.cost is not None:
        lines.append(f"cost        {_amounts(old.cost, new.cost, ',.6f')} {currency}")
    if old.seconds is not None and new.seconds is not None:
        lines.append(f"time        {_amounts(old.seconds, new.seconds, ',.2f')} s")
    return lines


def _amounts(old: float, new: float, form: str) -> str:
    if old == new:
        return f"{old:{form}}"
    change = f" ({(new - old) / old:+.1%})" if old else ""
    return f"{old:{form}} -> {new:{form}}{change}"


# Values.


def value_text(value: Json) -> str:
    """A value on one line: a text in quotes, a tool call as one, anything else as JSON."""
    if value is ABSENT:
        return repr(ABSENT)
    if isinstance(value, str):
        return '"' + visible(value.replace("\\", "\\\\")) + '"'
    function = value.get("function") if isinstance(value, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return f"{visible(function['name'])}({_json(function.get('arguments'))})"
    return _json(value)


def _json(value: Json) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def visible(text: str, kept: str = "") -> str:
    """Control characters, and spaces that are not the plain one, as escapes; ``kept`` are characters that stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in kept else json.dumps(one)[1:-1] for one in text)


# Texts that differ.


def compared(old: Json, new: Json) -> tuple[Segment, ...]:
    """Two values word by word, made visible. What looks the same to the eye is told apart by its escapes."""
    if isinstance(old, str) and isinstance(new, str):
        return tuple(map(_told_apart, segments(old, new)))
    one, two = value_text(old), value_text(new)
    return segments(one, two) if type(old) is type(new) and not isinstance(old, int | float) else (Segment(one, two),)


def _told_apart(part: Segment) -> Segment:
    if not part.same and _look(part.old) == _look(part.new):
        return Segment(json.dumps(part.old)[1:-1], json.dumps(part.new)[1:-1])
    return Segment(visible(part.old, kept="\n"), visible(part.new, kept="\n"))


def _look(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def hunks(parts: Sequence[Segment], around: int, longest: int) -> list[list[Segment]]:
    """The places where texts differ, each with ``around`` characters of what is the same about it.

    Where something is left out stands an ellipsis; a stretch of more than ``longest`` characters is cut.
    """
    found: list[list[Segment]] = [[]]
    for at, part in enumerate(parts):
        if not part.same:
            found[-1].append(Segment(_cut(part.old, longest), _cut(part.new, longest)))
            continue
        text, first, last = part.old, at == 0, at == len(parts) - 1
        head = "" if first else text[:around]
        tail = "" if last else text[-around:]
        if len(text) <= len(head) + len(tail) + around:
            found[-1].append(part)
        else:
            found[-1] += [Segment(f"{head}…", f"{head}…")] if head else []
            found += [[]] if found[-1] and tail else []
            found[-1] += [Segment(f"…{tail}", f"…{tail}")] if tail else []
    return [hunk for hunk in found if hunk]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
