"""What a refresh will take and what came of it, for people: made for 80 columns, and for pipes."""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.recording.diff import Diff
from harness.recording.estimate import Estimate
from harness.recording.figures import Figures
from harness.recording.following import Followed
from harness.recording.format import file_url
from harness.recording.refresh import Plan
from harness.report.wording import plural, short_name, visible

_SHOWN_NAMES = 3
_SHOWN_REASONS = 8
_WORTH_TELLING = 0.1


def money(amount: float, currency: str) -> str:
    """A sum with as many digits as it needs to be one."""
    return f"{amount:,.2f} {currency}" if amount >= 1 or not amount else f"{amount:.2g} {currency}"


def print_estimate(
    plan: Plan,
    estimate: Estimate,
    console: Console,
    *,
    known: int = 0,
    alone: int = 0,
    absent: Sequence[str] = (),
    upstreams: Sequence[str] = (),
    currency: str = "",
) -> None:
    """Print how many requests go where, what they may take, and what is to be known before.

    ``known`` answers are there already, ``alone`` recordings go beside the batches, ``absent`` are paths to be removed
    that no request has. ``upstreams`` are those who are asked, one for each step.
    """
    asked = plural(len(plan.steps), "recording")
    to = ", ".join(dict.fromkeys(upstreams))
    console.print(Text(f"{asked}, {plural(estimate.requests, 'request')}{f' to {to}' if to else ''}", style="bold"))
    if estimate.rows:
        console.print(_table(estimate, currency))
    unset = [f"no request has {path}: --unset changes nothing there" for path in absent]
    for line in (*_moved(plan, upstreams), *unset, *_beforehand(plan, estimate, known, alone)):
        wrapped = textwrap.wrap(visible(line), console.width - 4, break_on_hyphens=False)
        console.print(Text("  " + "\n    ".join(wrapped)), soft_wrap=True)


def _table(estimate: Estimate, currency: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  endpoint", overflow="fold")
    table.add_column("model", overflow="fold")
    for name in ("requests", "tokens in", "out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for (endpoint, model), row in sorted(estimate.rows.items()):
        figures = _figures(row.figures, currency, guessed=bool(row.guessed))
        table.add_row(f"  {visible(endpoint)}", visible(model), str(row.requests), *figures)
    if len(estimate.rows) > 1:
        figures = _figures(estimate.total, currency, guessed=bool(estimate.guessed))
        table.add_row("  total", "", str(estimate.requests), *figures, style="bold")
    return table


def _figures(figures: Figures, currency: str, *, guessed: bool) -> list[str]:
    mark = "~" if guessed else ""
    tokens = [f"{mark}{number:,}" for number in (figures.input, figures.output)]
    return [*tokens, "" if figures.cost is None else mark + money(figures.cost, currency)]


def _moved(plan: Plan, upstreams: Sequence[str]) -> Iterator[str]:
    """Recordings that somebody else answered before, as far as files tell."""
    pairs = [
        (file_url(step.exchange.provider, ""), file_url(upstream, ""))
        for step, upstream in zip(plan.steps, upstreams, strict=True)
    ]
    for (before, now), count in Counter(pairs).items():
        if before != now:
            yield f"{plural(count, 'recording')} answered by {before} before, {now} is asked now (--upstream)"


def _beforehand(plan: Plan, estimate: Estimate, known: int, alone: int) -> Iterator[str]:
    if known:
        yield f"{plural(known, 'answer')} of an unfinished refresh: there already, not asked again"
    if alone:
        yield f"{plural(alone, 'recording')} asked one by one, at the full price: no batch takes such requests"
    if estimate.guessed:
        yield f"~ counts characters: {plural(estimate.guessed, 'request')} of it without recorded tokens"
    if estimate.unpriced and estimate.total.cost is not None:
        yield f"no price, not in the sum: {', '.join(sorted(estimate.unpriced))}"
    if plan.later_turns:
        how = "left as recorded (--frozen)" if plan.frozen else "it will quote the new one (--frozen: as recorded)"
        yield f"{plural(plan.later_turns, 'later turn')} quoting an earlier answer: {how}"
    redacted = [step.name for step in plan.steps if step.is_redacted]
    if redacted:
        yield f"{plural(len(redacted), 'request')} with [redacted] for a secret, sent so: {_names(redacted)}"
    yield from _left(plan)


def _left(plan: Plan) -> Iterator[str]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for left in plan.left:
        reasons[left.reason].append(left.name)
    for reason, names in list(reasons.items())[:_SHOWN_REASONS]:
        yield f"{len(names)} not asked again ({reason}): {_names(names)}"
    if len(reasons) > _SHOWN_REASONS:
        yield f"and more not asked again, for {len(reasons) - _SHOWN_REASONS} other reasons (--json has them)"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(short_name, names[:_SHOWN_NAMES]))
    return shown if len(names) <= _SHOWN_NAMES else f"{shown}, …"


def followed_lines(followed: Mapping[str, Followed]) -> Iterator[str]:
    """What became of the later turns, by the names of the recordings."""
    taken = sum(bool(one.taken) for one in followed.values())
    same = sum(bool(one.same) and not one.taken and not one.misfits for one in followed.values())
    if taken:
        yield f"{plural(taken, 'later turn')} asked with the new answers in the place of the recorded ones"
    if same:
        yield f"{plural(same, 'later turn')} asked as recorded, for the earlier answers came back the same"
    loose = [(name, words) for name, one in followed.items() for words in one.loose]
    for name, words in loose[:_SHOWN_REASONS]:
        yield f"{short_name(name)}: {words}"
    if len(loose) > _SHOWN_REASONS:
        yield f"and {len(loose) - _SHOWN_REASONS} more results that stand for another call"
    misfits = {name: one for name, one in followed.items() if one.misfits}
    for name, one in list(misfits.items())[:_SHOWN_REASONS]:
        why = "; ".join(dict.fromkeys(one.misfits.values()))
        yield f"{short_name(name)} asked as recorded, the new answer before it does not fit: {why}"
    if len(misfits) > _SHOWN_REASONS:
        yield f"and {len(misfits) - _SHOWN_REASONS} more asked as recorded, for the new answer does not fit"


def failed_lines(failed: Mapping[str, str]) -> Iterator[str]:
    """What could not be asked, by its reason."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in failed.items():
        reasons[reason].append(name)
    for reason, names in list(reasons.items())[:_SHOWN_REASONS]:
        yield f"{len(names)} failed, {_names(names)}: {reason}"
    if len(reasons) > _SHOWN_REASONS:
        yield f"and {len(reasons) - _SHOWN_REASONS} other reasons to fail"


def variation_lines(diff: Diff, by_chance: float) -> Iterator[str]:
    """How many differences are larger than the model's own variation, where that was asked.

    ``by_chance`` is how many of them mean nothing, if nothing has changed.
    """
    own = sum(pair.is_own for pair in diff.pairs)
    larger = sum(pair.cls != "equal" and not pair.is_own for pair in diff.pairs)
    yield f"{plural(larger, 'difference')} larger than the model's own variation, {own} it shows against itself"
    if larger and by_chance >= _WORTH_TELLING:
        yield f"by chance up to {by_chance:.1f} would be larger with so few answers: more --times, --control tell more"


def as_json(plan: Plan, estimate: Estimate, known: int) -> dict[str, Any]:
    """The estimate for programs."""
    rows = [
        {"endpoint": endpoint, "model": model, "requests": row.requests, "guessed": row.guessed,
         "input_tokens": row.figures.input, "output_tokens": row.figures.output, "cost": row.figures.cost}
        for (endpoint, model), row in sorted(estimate.rows.items())
    ]  # fmt: skip
    return {
        "recordings": len(plan.steps),
        "requests": estimate.requests,
        "known": known,
        "input_tokens": estimate.total.input,
        "output_tokens": estimate.total.output,
        "cost": estimate.total.cost,
        "unpriced": sorted(estimate.unpriced),
        "rows": rows,
        "later_turns": plan.later_turns,
        "redacted": [f"{step.name}.json" for step in plan.steps if step.is_redacted],
        "left": [{"name": f"{one.name}.json", "test_id": one.scope, "reason": one.reason} for one in plan.left],
    }
