"""A diff as a comment for a pull request: a table, then each pair folded, within the size that GitHub takes."""

import html
import re
from collections.abc import Iterator, Sequence

from harness.recording.classes import CLASSES
from harness.recording.diff import Diff, Pair, Single
from harness.recording.drift import Drift
from harness.report.wording import (
    COLUMNS,
    compared,
    figures,
    hunks,
    pair_name,
    percent,
    plural,
    rows,
    short_name,
    totals,
    value_text,
    visible,
    worst_first,
)

LIMIT = 65_536
"""How many characters a comment may have. It is kept in bytes too, which are never fewer."""
_RESERVE = 400
"""Room for the sentence that says what was left out."""
_TABLE_SHARE = 0.4
_MARKS = re.compile(r"[|`*_\[\]\\~@]")
_AROUND = 60
_LONGEST = 1_500
_SHOWN_PLACES = 12
_SHOWN_HUNKS = 20
_SHOWN_DRIFT = 30
_SHOWN_SINGLES = 50


def render_markdown(diff: Diff) -> str:
    """The comment. What does not fit is counted at its end; worse pairs come first."""
    comment = _Comment()
    comment.add(f"### Recordings: {totals(diff)}\n\n")
    comment.add("".join(f"{line}  \n" for line in figures(*diff.totals, diff.currency)) + "\n")
    _add_table(diff, comment)
    comment.add(_drift(diff.drift))
    left_out = 0
    for pair in worst_first(diff):
        left_out += not comment.add(_pair(pair))
    for word, singles in (("removed", diff.removed), ("added", diff.added)):
        comment.add(_singles(word, singles))
    if left_out:
        comment.finish(f"\n{plural(left_out, 'pair')} more did not fit: `harness diff --html diff.html` shows all.\n")
    return comment.text()


class _Comment:
    """Pieces of text, as long as they fit."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._left = LIMIT - _RESERVE

    def add(self, piece: str, share: float = 0.0) -> bool:
        """Add a piece whole, unless less than ``share`` of the limit would be left; says whether it was added."""
        size = len(piece.encode("utf-8", "replace"))
        if size > self._left - share * LIMIT:
            return False
        self._pieces.append(piece)
        self._left -= size
        return True

    def finish(self, piece: str) -> None:
        self._pieces.append(piece)

    def text(self) -> str:
        return "".join(self._pieces).encode("utf-8", "replace").decode()


def _add_table(diff: Diff, comment: _Comment) -> None:
    """A row for each test where something differs; the table leaves room for the details."""
    found = rows(diff)
    columns = [column for column in COLUMNS if any(row.counts[column] for row in found)]
    changed = [row for row in found if not row.is_equal]
    if not changed:
        return
    comment.add(f"| test | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}\n")
    for at, row in enumerate(changed):
        counts = (str(row.counts[column] or "") for column in columns)
        if not comment.add(f"| {_code(row.test)} | {' | '.join(counts)} |\n", 1 - _TABLE_SHARE):
            comment.add(f"| and {plural(len(changed) - at, 'test')} more {'|' * (len(columns) + 1)}\n")
            break
    equal = [row for row in found if row.is_equal]
    if equal:
        comment.add(f"\n{plural(len(equal), 'test')} without a difference.\n")
    comment.add("\n")


def _drift(found: Sequence[Drift]) -> str:
    if not found:
        return ""
    lines = [
        f"| {one.severity} | {_code(one.endpoint)} | {_code(one.path)} | {one.change} "
        f"| {_code(one.old)} → {_code(one.new)} |"
        for one in found[:_SHOWN_DRIFT]
    ]
    rest = [f"\nand {len(found) - _SHOWN_DRIFT} more"] if len(found) > _SHOWN_DRIFT else []
    head = ["| severity | where | field | change | |", "|---|---|---|---|---|"]
    summary = f"<b>Drift</b>: {plural(len(found), 'change')} of the wire's shape, worst: {found[0].severity}"
    return _folded(summary, "\n".join([*head, *lines, *rest]))


def _pair(pair: Pair) -> str:
    words = [_tag(pair.model)] if pair.model else []
    words += [f"texts {percent(pair.similarity)} alike"] if pair.similarity is not None else []
    words += [f"paired by {pair.how}"] if pair.how in ("test and order", "near miss") else []
    test = _tag(pair.test_id) if pair.test_id else ""
    summary = f"<b>{pair.cls}</b> {_tag(pair_name(pair))} {test} {', '.join(words)}"
    return _folded(" ".join(summary.split()), "\n\n".join(_details(pair)))


def _details(pair: Pair) -> Iterator[str]:
    if pair.remark:
        yield f"<i>{html.escape(visible(pair.remark))}</i>"
    if pair.request:
        yield "The request differs:"
        for place in pair.request[:_SHOWN_PLACES]:
            yield f"{_code(place.path)}\n{_fenced(place.old, place.new)}"
        yield "The answer:"
    figures_only = [one for one in pair.differences if one.cls == CLASSES[3]]
    for found in pair.differences[:_SHOWN_PLACES]:
        if found not in figures_only:
            note = f" {html.escape(visible(found.note))}" if found.note else ""
            yield f"{_code(found.path)}{note}\n{_fenced(found.old, found.new)}"
    if figures_only:
        yield "\n".join(
            f"- {_code(one.path)}: {_code(value_text(one.old)[:200])} → {_code(value_text(one.new)[:200])}"
            for one in figures_only[:_SHOWN_PLACES]
        )
    if len(pair.differences) > _SHOWN_PLACES:
        yield f"and {plural(len(pair.differences) - _SHOWN_PLACES, 'place')} more"


def _fenced(old: object, new: object) -> str:
    """Both values as a diff block, in a fence that nothing inside can close."""
    lines: list[str] = []
    found = hunks(compared(old, new), _AROUND, _LONGEST)
    for hunk in found[:_SHOWN_HUNKS]:
        for sign, side in (("-", [part.old for part in hunk]), ("+", [part.new for part in hunk])):
            lines += [f"{sign} {line}" for line in "".join(side).split("\n")]
    if len(found) > _SHOWN_HUNKS:
        lines.append(f"  and {plural(len(found) - _SHOWN_HUNKS, 'place')} more")
    body = "\n".join(lines)
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{body}\n{fence}"


def _singles(word: str, singles: Sequence[Single]) -> str:
    if not singles:
        return ""
    lines = [
        f"- {_code(short_name(one.name))} {_code(one.test_id) if one.test_id else ''}"
        for one in singles[:_SHOWN_SINGLES]
    ]
    rest = [f"- and {len(singles) - _SHOWN_SINGLES} more"] if len(singles) > _SHOWN_SINGLES else []
    return _folded(f"<b>{len(singles)} {word}</b>", "\n".join([*lines, *rest]))


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>\n\n"


def _code(text: str) -> str:
    """Text as code inside Markdown, where nothing in it is taken for Markdown, HTML or the end of a cell."""
    return f"<code>{_MARKS.sub(lambda found: f'&#{ord(found[0])};', html.escape(visible(text)))}</code>"


def _tag(text: str) -> str:
    return f"<code>{html.escape(visible(text))}</code>"
