"""A diff for people: a table by test and class, then what differs in each pair. Made for 80 columns, and for pipes."""

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.recording.diff import CLASSES, Diff, Difference, Pair, Single
from harness.recording.model import Json
from harness.recording.places import ABSENT

_STYLES = {
    "error": "bold red",
    "structure": "bold magenta",
    "text": "bold yellow",
    "usage": "cyan",
    "equal": "green",
    "added": "green",
    "removed": "red",
}
_COLUMNS = (*CLASSES, "added", "removed")
_NO_TEST = "(no test)"
_SHOWN_PLACES = 8
_SHOWN_SINGLES = 20
_SHOWN_TEXT = 220
_LEAD = 30

_Row: TypeAlias = tuple[str, Counter[str]]


def print_diff(diff: Diff, console: Console) -> None:
    """Print the table, the differences of each pair that is not equal (worst first), and the totals."""
    console.print(_table(diff))
    changed = [pair for pair in diff.pairs if pair.cls != "equal"]
    for pair in sorted(changed, key=lambda pair: (CLASSES.index(pair.cls), pair.test_id or "")):
        _print_pair(pair, console)
    for word, singles in (("added", diff.added), ("removed", diff.removed)):
        _print_singles(word, singles, console)
    console.print(_totals(diff))


# The table.


def _table(diff: Diff) -> Table:
    """A row for each test where something differs, under the name of its file; the others are one row."""
    rows = _rows(diff)
    columns = [column for column in _COLUMNS if any(counts[column] for _, counts in rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("test", overflow="fold", ratio=1)
    for column in columns:
        table.add_column(column, justify="right", style=_STYLES[column], no_wrap=True)
    unchanged = [counts for _, counts in rows if set(counts) == {"equal"}]
    file = None
    for test, counts in rows:
        if set(counts) != {"equal"}:
            path, name = _split(test)
            if path and path != file:
                table.add_row(Text(_visible(path), style="dim"))
            file = path
            table.add_row(_indented(name, below=bool(path)), *(_count(counts[column]) for column in columns))
    if unchanged:
        equal = sum(counts["equal"] for counts in unchanged)
        named = f"{_plural(len(unchanged), 'test')} without a difference"
        table.add_row(Text(named, style="dim"), *(_count(equal * (column == "equal")) for column in columns))
    return table


def _rows(diff: Diff) -> list[_Row]:
    rows: dict[str, Counter[str]] = {}
    for test, word in (
        *((pair.test_id, pair.cls) for pair in diff.pairs),
        *((single.test_id, "added") for single in diff.added),
        *((single.test_id, "removed") for single in diff.removed),
    ):
        rows.setdefault(test or _NO_TEST, Counter())[word] += 1
    return sorted(rows.items())


def _split(test: str) -> tuple[str, str]:
    """A node id as its file (with the class) and the test's own name; parameters may hold anything, ``::`` too."""
    head, bracket, parameters = test.partition("[")
    path, _, name = head.rpartition("::")
    return path, f"{name}{bracket}{parameters}"


def _indented(name: str, *, below: bool) -> Padding | Text:
    text = Text(_visible(name))
    return Padding(text, (0, 0, 0, 2)) if below else text


def _count(number: int) -> str:
    return str(number) if number else ""


# The details.


def _print_pair(pair: Pair, console: Console) -> None:
    renamed = "" if pair.new_name == pair.name else f" -> {_short(pair.new_name)}"
    console.print()
    console.print(Text.assemble((pair.cls, _STYLES[pair.cls]), f"  {_short(pair.name)}{renamed}"))
    console.print(_test_line(pair.test_id))
    for found in pair.differences[:_SHOWN_PLACES]:
        _print_difference(found, console)
    rest = len(pair.differences) - _SHOWN_PLACES
    if rest > 0:
        console.print(Text(f"  and {_plural(rest, 'place')} more (--json shows all)", style="dim"))


def _test_line(test_id: str | None) -> Padding:
    return Padding(Text(_visible(test_id or _NO_TEST), style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)


def _print_difference(found: Difference, console: Console) -> None:
    old, new = _shown(found.old, found.new)
    if found.cls == "usage" and len(found.path) + len(old) + len(new) < 60:
        console.print(Text(f"  {_visible(found.path)}  {old} -> {new}", style="dim", overflow="fold"))
        return
    console.print(Text(f"  {_visible(found.path)}", style="bold", overflow="fold"))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=5, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row(Text("-", style="red"), Text(old, style="red"))
    grid.add_row(Text("+", style="green"), Text(new, style="green"))
    console.print(grid)


def _print_singles(word: str, singles: Sequence[Single], console: Console) -> None:
    for single in singles[:_SHOWN_SINGLES]:
        console.print()
        console.print(Text.assemble((word, _STYLES[word]), f"  {_short(single.name)}"))
        console.print(_test_line(single.test_id))
    if len(singles) > _SHOWN_SINGLES:
        console.print(Text(f"\nand {len(singles) - _SHOWN_SINGLES} more {word} (--json shows all)", style="dim"))


def _totals(diff: Diff) -> Text:
    counts = {**diff.summary, "added": len(diff.added), "removed": len(diff.removed)}
    text = Text(f"\n{_plural(len(diff.pairs), 'pair')}: ")
    words = [Text(f"{number} {word}", style=_STYLES[word]) for word, number in counts.items() if number]
    return text + Text(", ").join(words or [Text("nothing to compare")])


def _short(name: str) -> str:
    """The name of a file, its 64 digits cut to twelve: ``3fa91c0e77d2``, ``3fa91c0e77d2-2``."""
    folder, slash, stem = name.rpartition("/")
    digits, dash, number = stem.partition("-")
    is_key = len(digits) == 64 and not set(digits) - set("0123456789abcdef")
    return f"{folder}{slash}{digits[:12]}{dash}{number}" if is_key else _visible(name)


def _plural(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


# Values.


def _shown(old: Json, new: Json) -> tuple[str, str]:
    """Both values as text: whole where that is short, else from where they part; nothing in them moves a cursor."""
    left, right = _text(old), _text(new)
    if isinstance(old, str) and isinstance(new, str) and _look(old) == _look(new):
        # What looks the same to the eye is told apart by its escapes.
        left, right = json.dumps(old), json.dumps(new)
    start = 0
    if max(len(left), len(right)) > _SHOWN_TEXT:
        parted = (at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
        start = max(0, next(parted, min(len(left), len(right))) - _LEAD)
    return _cut(left, start), _cut(right, start)


def _look(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _text(value: Json) -> str:
    if value is ABSENT:
        return repr(ABSENT)
    if isinstance(value, str):
        return '"' + _visible(value.replace("\\", "\\\\")) + '"'
    function = value.get("function") if isinstance(value, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return f"{_visible(function['name'])}({_text_of_json(function.get('arguments'))})"
    return _text_of_json(value)


def _text_of_json(value: Json) -> str:
    return _visible(json.dumps(value, ensure_ascii=False))


def _cut(text: str, start: int) -> str:
    end = start + _SHOWN_TEXT
    return "…" * (start > 0) + text[start:end] + "…" * (end < len(text))


def _visible(text: str) -> str:
    """Control characters, and spaces that are not the plain one, as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
