"""Two texts compared word by word, and how alike they are."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(
    # Scripts that put no space between words are compared by their characters.
    r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]\s*|(?:(?![\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff])\w)+\s*|[^\w\s]\s*|\s+"
)
_EXACT = 20_000
"""Up to how many pairs of equal words each is looked at; beyond, the most frequent words do not begin a match.

A text that says the same few words again and again would take minutes.
"""
_TELLING = 3
"""How many letters and digits two changes must have between them to be two."""
_TOO_MANY = 6_000
"""With more words than this on a side, only the common beginning and end are found."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of two texts: ``old`` and ``new`` are the same text, or what stands in place of each other."""

    old: str
    new: str

    @property
    def same(self) -> bool:
        return self.old == self.new


def segments(old: str, new: str) -> tuple[Segment, ...]:
    """Both texts as stretches that are the same or differ, in turns; joined, each side is its text again.

    A comma or a space that is the same between two changes is part of the change, which then reads as one.
    """
    left, right = _WORD.findall(old), _WORD.findall(new)
    codes = _opcodes(left, right)
    found: list[Segment] = []
    for at, (tag, a, b, c, d) in enumerate(codes):
        one, two = "".join(left[a:b]), "".join(right[c:d])
        inside = 0 < at < len(codes) - 1
        same = tag == "equal" and not (inside and sum(map(str.isalnum, one)) < _TELLING)
        if found and found[-1].same == same:
            one, two = found[-1].old + one, found[-1].new + two
            found.pop()
        found.append(Segment(one, two))
    return tuple(found)


def similarity(parts: Sequence[Segment]) -> float:
    """How much of two texts is the same, from 0 to 1, in characters; 1 for two empty texts."""
    total = sum(len(part.old) + len(part.new) for part in parts)
    return sum(2 * len(part.old) for part in parts if part.same) / total if total else 1.0


def _opcodes(left: list[str], right: list[str]) -> list[tuple[str, int, int, int, int]]:
    start = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    rest = min(len(left), len(right)) - start
    end = next((at for at in range(rest) if left[-1 - at] != right[-1 - at]), rest)
    one, two = left[start : len(left) - end], right[start : len(right) - end]
    if max(len(one), len(two)) > _TOO_MANY:
        middle = [("replace", 0, len(one), 0, len(two))]
    else:
        left_has, right_has = Counter(one), Counter(two)
        equal = sum(number * right_has[word] for word, number in left_has.items())
        matcher = difflib.SequenceMatcher(None, one, two, autojunk=equal > _EXACT)
        middle = [(str(tag), a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes()]
    return [
        *([("equal", 0, start, 0, start)] if start else []),
        *((tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in middle),
        *([("equal", len(left) - end, len(left), len(right) - end, len(right))] if end else []),
    ]
