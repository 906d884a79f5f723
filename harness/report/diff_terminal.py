"""A diff for people: a table by test and class, then what differs in each pair. Made for 80 columns, and for pipes."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.recording.diff import Diff, Pair, Single
from harness.recording.differences import Difference
from harness.recording.drift import Drift
from harness.recording.model import Json
from harness.recording.places import Place
from harness.recording.words import Segment
from harness.report.wording import (
    COLUMNS,
    NO_TEST,
    Row,
    compared,
    figures,
    hunks,
    pair_name,
    percent,
    plural,
    rows,
    short_name,
    split_test,
    totals,
    value_text,
    visible,
    worst_first,
)

_STYLES = {
    "error": "bold red",
    "structure": "bold magenta",
    "text": "bold yellow",
    "usage": "cyan",
    "equal": "green",
    "added": "green",
    "removed": "red",
    "breaking": "bold red",
    "notable": "bold yellow",
    "minor": "dim",
}
_SHOWN_PAIRS = 200
_SHOWN_PLACES = 8
_SHOWN_SINGLES = 20
_SHOWN_DRIFT = 40
_SHOWN_HUNKS = 12
_AROUND = 40
_LONGEST = 400


def print_diff(diff: Diff, console: Console) -> None:
    """Print the table, the drift, the differences of each pair that is not equal (worst first), and the totals."""
    console.print(_table(diff))
    _print_drift(diff.drift, console)
    changed = worst_first(diff)
    for pair in changed[:_SHOWN_PAIRS]:
        _print_pair(pair, console)
    if len(changed) > _SHOWN_PAIRS:
        rest = plural(len(changed) - _SHOWN_PAIRS, "pair")
        console.print(Text(f"\nand {rest} more that differ (--html FILE and --json show all)", style="dim"))
    for word, singles in (("removed", diff.removed), ("added", diff.added)):
        _print_singles(word, singles, console)
    console.print()
    for line in figures(*diff.totals, diff.currency):
        console.print(Text(line, style="dim"))
    console.print(_coloured(totals(diff)))


# The table.


def _table(diff: Diff) -> Table:
    """A row for each test where something differs, under the name of its file; the others are one row."""
    found = rows(diff)
    columns = [column for column in COLUMNS if any(row.counts[column] for row in found)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("test", overflow="fold", ratio=1)
    for column in columns:
        table.add_column(column, justify="right", style=_STYLES[column], no_wrap=True)
    _add_tests(table, [row for row in found if not row.is_equal], columns)
    unchanged = [row for row in found if row.is_equal]
    if unchanged:
        equal = sum(row.counts["equal"] for row in unchanged)
        named = f"{plural(len(unchanged), 'test')} without a difference"
        table.add_row(Text(named, style="dim"), *(_count(equal * (column == "equal")) for column in columns))
    return table


def _add_tests(table: Table, found: Iterable[Row], columns: Sequence[str]) -> None:
    file = None
    for row in found:
        path, name = split_test(row.test)
        if path and path != file:
            table.add_row(Text(visible(path), style="dim"))
        file = path
        text = Text(visible(name))
        indented = Padding(text, (0, 0, 0, 2)) if path else text
        table.add_row(indented, *(_count(row.counts[column]) for column in columns))


def _count(number: int) -> str:
    return str(number) if number else ""


def _coloured(line: str) -> Text:
    """A line of totals, each word in the colour of its class."""
    text = Text(line)
    for word in COLUMNS:
        text.highlight_regex(rf"\d+ {word}\b", _STYLES[word])
    return text


def _print_drift(found: Sequence[Drift], console: Console) -> None:
    if not found:
        return
    console.print(Text("\nDrift: the shape of the answers, whatever they say", style="bold"))
    endpoint = None
    for one in found[:_SHOWN_DRIFT]:
        if one.endpoint != endpoint:
            endpoint = one.endpoint
            console.print(Text(f"  {visible(endpoint)}", overflow="fold"))
        line = Text.assemble(
            "    ", (f"{one.severity:<9}", _STYLES[one.severity]), visible(one.path), f": {one.change}"
        )
        console.print(line, overflow="fold")
        if one.change not in ("appeared", "disappeared") or one.old != "(absent)":
            values = Text(f"{visible(one.old)} -> {visible(one.new)}", style="dim", overflow="fold")
            console.print(Padding(values, (0, 0, 0, 13), expand=False))
    if len(found) > _SHOWN_DRIFT:
        console.print(Text(f"    and {len(found) - _SHOWN_DRIFT} more (--json shows all)", style="dim"))


# The details.


def _print_pair(pair: Pair, console: Console) -> None:
    beside = [pair.model] if pair.model else []
    beside += [f"texts {percent(pair.similarity)} alike"] if pair.similarity is not None else []
    beside += [f"paired by {pair.how}"] if pair.how in ("test and order", "near miss") else []
    console.print()
    console.print(Text.assemble((pair.cls, _STYLES[pair.cls]), f"  {pair_name(pair)}"), overflow="fold")
    console.print(_test_line(pair.test_id))
    if beside:
        console.print(Padding(Text(visible(", ".join(beside)), style="dim"), (0, 0, 0, 2), expand=False))
    if pair.remark:
        remark = Text(visible(pair.remark), style="italic", overflow="fold")
        console.print(Padding(remark, (0, 0, 0, 2), expand=False))
    if pair.request:
        console.print(Text("  the request differs:", style="bold"))
        _print_places(pair.request, console)
        console.print(Text("  the answer differs:", style="bold"))
    _print_places(pair.differences, console)


def _test_line(test_id: str | None) -> Padding:
    return Padding(Text(visible(test_id or NO_TEST), style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)


def _print_places(found: Sequence[Difference | Place], console: Console) -> None:
    for one in found[:_SHOWN_PLACES]:
        _print_difference(one, console)
    rest = len(found) - _SHOWN_PLACES
    if rest > 0:
        console.print(Text(f"  and {plural(rest, 'place')} more (--json shows all)", style="dim"))


def _print_difference(found: Difference | Place, console: Console) -> None:
    old, new = value_text(found.old), value_text(found.new)
    is_figure = isinstance(found, Difference) and found.cls == "usage"
    if is_figure and len(found.path) + len(old) + len(new) < 60:
        console.print(Text(f"  {visible(found.path)}  {old} -> {new}", style="dim"), overflow="fold")
        return
    console.print(Text(f"  {visible(found.path)}", style="bold"), overflow="fold")
    if isinstance(found, Difference) and found.note:
        console.print(Padding(Text(visible(found.note), style="italic", overflow="fold"), (0, 0, 0, 2), expand=False))
    console.print(_side_by_side(found.old, found.new, marked=console.no_color or console.color_system is None))


def _side_by_side(old: Json, new: Json, *, marked: bool) -> Table:
    """Both values in two columns, a row for each place where they differ; ``marked`` where there is no colour."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=2, justify="right")
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(width=1)
    grid.add_column(ratio=1, overflow="fold")
    found = hunks(compared(old, new), _AROUND, _LONGEST)
    for at, hunk in enumerate(found[:_SHOWN_HUNKS]):
        texts = [_side(hunk, side, marked=marked) for side in (0, 1)]
        for side, value in enumerate((old, new)):
            if isinstance(value, str):
                texts[side] = _quoted(texts[side], first=at == 0, last=at == len(found) - 1)
        grid.add_row(Text("-", style="red"), texts[0], Text("+", style="green"), texts[1])
    if len(found) > _SHOWN_HUNKS:
        grid.add_row("", Text(f"and {plural(len(found) - _SHOWN_HUNKS, 'place')} more", style="dim"))
    return grid


def _side(hunk: Sequence[Segment], side: int, *, marked: bool) -> Text:
    """One side of a hunk, what differs in its colour, or, where there is none and not all of it differs, in marks."""
    style, opening, closing = (("bold red", "[-", "-]"), ("bold green", "{+", "+}"))[side]
    marked = marked and any(part.same for part in hunk)
    text = Text()
    for part in hunk:
        words = (part.old, part.new)[side]
        if part.same:
            text.append(words)
        elif words:
            # A line's end that came or went is seen, too.
            words = words.replace("\n", "\\n\n")
            text.append(f"{opening}{words}{closing}" if marked else words, style=style)
    return text


def _quoted(text: Text, *, first: bool, last: bool) -> Text:
    """A text between its quotes: where it begins and where it ends, unless that is left out."""
    begins, ends = first and not text.plain.startswith("…"), last and not text.plain.endswith("…")
    return Text.assemble('"' if begins else "", text, '"' if ends else "")


def _print_singles(word: str, singles: Sequence[Single], console: Console) -> None:
    for single in singles[:_SHOWN_SINGLES]:
        console.print()
        console.print(Text.assemble((word, _STYLES[word]), f"  {short_name(single.name)}"))
        console.print(_test_line(single.test_id))
    if len(singles) > _SHOWN_SINGLES:
        console.print(Text(f"\nand {len(singles) - _SHOWN_SINGLES} more {word} (--json shows all)", style="dim"))
