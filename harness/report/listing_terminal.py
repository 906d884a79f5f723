"""Lists of recordings and sums over them, for people: made for 80 columns, without colour, and for pipes.

Nothing is cut: what does not fit beside the rest of its line stands below it.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len

from harness.recording.description import Description
from harness.recording.statistics import NO_TEST, Statistics, Sum
from harness.report.wording import plural, short_name, visible

_SHOWN = 10
_WIDTH = 80
_NARROW = (12, 12, 16, 11, 14, 6)
"""How wide columns are at least aligned where there is no room for what is in them."""


def render_list(found: Sequence[Description], count: int, width: int | None = None) -> str:
    """Recordings under their tests, of ``count`` that there are, with a newline at the end.

    Each on one line; with a ``width`` those that are longer go on in the next.
    """
    return "\n".join(_list(found, count, width)) + "\n"


def _list(found: Sequence[Description], count: int, width: int | None) -> Iterator[str]:
    for test, some in groupby(found, key=lambda one: one.test):
        yield visible(test) if test else NO_TEST
        rows = [_row(one) for one in some]
        widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
        if width is not None and sum(widths) + 2 * len(widths) > width:
            widths = [min(one, most) for one, most in zip(widths, _NARROW, strict=True)]
        for row in rows:
            yield from _folded(row, widths, width)
    of = "" if len(found) == count else f" of {count}"
    yield f"{plural(len(found), 'recording')}{of}, {size(sum(one.size for one in found))}."


def _folded(row: Sequence[str], widths: Sequence[int], width: int | None) -> Iterator[str]:
    line = ""
    for cell, wide in zip(row, widths, strict=True):
        if cell and width is not None and line.strip() and cell_len(line) + 2 + cell_len(cell) > width:
            yield line.rstrip()
            line = "    "
        line += f"  {cell}{' ' * (wide - cell_len(cell))}"
    if line.strip():
        yield line.rstrip()


def _row(one: Description) -> tuple[str, ...]:
    tokens = f"{one.tokens_in}+{one.tokens_out} tokens" if one.tokens_in or one.tokens_out else ""
    age = "" if one.age is None else f"{one.age} d"
    content = " ".join(one.content)
    return short_name(one.name), visible(one.model), _below(one.endpoint), content, tokens, age


def _below(endpoint: str) -> str:
    return visible(endpoint).removeprefix("/v1/")


def render_statistics(found: Statistics, *, everything: bool) -> str:
    """The sums as tables, with a newline at the end; of long ones the first rows unless ``everything`` is asked for."""
    return "\n".join(_statistics(found, everything=everything)) + "\n"


def _statistics(found: Statistics, *, everything: bool) -> Iterator[str]:
    total = found.total
    yield (
        f"{plural(total.recordings, 'recording')}, {size(total.size)}; "
        f"{total.tokens_in:,} tokens in, {total.tokens_out:,} out."
    )
    if not total.recordings:
        return
    for title, sums in (
        ("endpoint", found.by_endpoint),
        ("content", found.by_content),
        ("model", found.by_model),
        ("test", found.by_test),
    ):
        yield ""
        yield from _table(title, sums, everything=everything)
    yield ""
    yield "Largest"
    yield from (f"  {size(one.size):>9}  {short_name(one.name)}  {_below(one.endpoint)}" for one in found.largest)
    yield ""
    yield from _repeated(found, everything=everything)


def _table(title: str, sums: Sequence[Sum], *, everything: bool) -> Iterator[str]:
    shown = sums if everything else sums[:_SHOWN]
    figures = [
        ("recordings", "size", "tokens in", "out"),
        *((f"{one.recordings:,}", size(one.size), f"{one.tokens_in:,}", f"{one.tokens_out:,}") for one in shown),
    ]
    widths = [max(map(len, column)) for column in zip(*figures, strict=True)]
    for row, name in zip(figures, [title, *(visible(one.name) for one in shown)], strict=True):
        line = "  ".join(figure.rjust(width) for figure, width in zip(row, widths, strict=True))
        # A name that does not fit beside its figures stands below them.
        yield from [f"{line}  {name}"] if len(line) + 2 + cell_len(name) <= _WIDTH else [line, f"  {name}"]
    if len(sums) > len(shown):
        yield f"and {len(sums) - len(shown)} more (--all shows them)"


def _repeated(found: Statistics, *, everything: bool) -> Iterator[str]:
    if not found.repeated:
        yield "No question was asked more than once."
        return
    recordings = sum(len(one.files) for one in found.repeated)
    same = sum(one.is_same for one in found.repeated)
    yield (
        f"{plural(len(found.repeated), 'question')} asked more than once, in {recordings} recordings; "
        f"{same} always answered the same."
    )
    shown = found.repeated if everything else found.repeated[:_SHOWN]
    for one in shown:
        yield f"  {len(one.files)} times, {'the same answer' if one.is_same else 'different answers'}"
        yield from (f"    {visible(file)}" for file in (one.files if everything else one.files[:2]))
        if not everything and len(one.files) > 2:
            yield f"    and {len(one.files) - 2} more"
    if len(found.repeated) > len(shown):
        yield f"  and {len(found.repeated) - len(shown)} more (--all shows them)"


def size(number: int) -> str:
    """Bytes in words: ``12 kB``, ``3.4 MB``."""
    if number < 1_000_000:
        return f"{max(round(number / 1000), 1 if number else 0)} kB"
    return f"{number / 1_000_000:,.1f} MB"
