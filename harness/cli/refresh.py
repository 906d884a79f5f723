"""``harness refresh``: recorded requests asked again, and what changed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.prices import read_prices
from harness.cli.refresh_flags import made, with_flags
from harness.cli.reporting import check_reports, fails, progress_bar, show, with_reports, write_files
from harness.cli.selecting import with_selection

if TYPE_CHECKING:
    from rich.console import Console

    from harness.recording.diff import Diff
    from harness.refresh.placing import Placed
    from harness.refresh.refreshing import Refresh
    from harness.refresh.wanted import Outcome, Telling
    from harness.settings import Settings

_INTERRUPTED = 130


@click.command()
@with_selection
@with_flags
@with_reports(fail_on="never")
@click.pass_context
def refresh(context: click.Context, /, **given: Any) -> None:
    """Ask recorded requests again, and show what changed. No test is run; the model may be another.

    WHAT is a directory of recordings, a recording's file, a key or its beginning, or a test; nothing means all.
    --model OLD=NEW takes the recordings of OLD and asks NEW. Later turns of a dialogue are asked with the new answers
    in the place of the recorded ones; where one does not fit (it calls other tools than those whose results were
    recorded), they are asked as recorded, and that is said. Answers are kept in DIR/.refresh until all are there:
    after Ctrl-C the same command goes on, and asks nothing twice.

    \b
    Examples:
      harness refresh --dry-run --prices prices.toml   what it would take
      harness refresh                                  recordings-refreshed/
      harness refresh --into recordings                in place
      harness refresh --model gpt-4o=gpt-5 --unset temperature --html diff.html
      harness refresh "tests/test_weather.py" --endpoint chat --set temperature=0
      harness refresh --times 5 --control --model gpt-4o=gpt-5 --fail-on structure

    Exit code: 0 all was asked, and nothing is at the level of --fail-on or worse; 1 something is; 2 not all was asked,
    or nothing; 130 interrupted.
    """
    check_reports(given)
    if given["control"] and given["times"] < 2:
        raise click.UsageError("--control needs --times 2 or more: one answer varies from nothing.")
    if given["budget"] is not None and not given["prices"]:
        raise click.UsageError("--budget needs --prices FILE: without prices nothing has a sum.")
    try:
        is_complete, found = _refreshed(context, given)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command goes on from there, and asks nothing twice.", err=True)
        context.exit(_INTERRUPTED)
    if not is_complete:
        context.exit(2)
    context.exit(1 if found is not None and fails(found, given["fail_on"]) else 0)


def _refreshed(context: click.Context, given: dict[str, Any]) -> "tuple[bool, Diff | None]":
    """Whether all was asked, and the diff; None where nothing was answered."""
    from harness.refresh.telling import told

    settings, into, refreshing = made(given)
    console = _console(to_stdout=given["dry_run"])
    _estimated(refreshing, console, given)
    if given["dry_run"]:
        context.exit(0)
    with _telling(console, refreshing) as telling:
        outcome = asyncio.run(refreshing.ask(telling))
    found = _compared(outcome, settings, into, given)
    placed = _placed(outcome, settings, into, refreshing)
    if found is None and given["as_json"]:
        click.echo(json.dumps({"refresh": told(outcome, placed)}, indent=2))
    elif found is not None:
        write_files(found, given)
        show(found, given, {"refresh": told(outcome, placed)})
    _end(outcome, found, placed, console, into)
    return outcome.is_complete, found


def _console(*, to_stdout: bool) -> "Console":
    from rich.console import Console

    return Console(highlight=False, stderr=not to_stdout)


def _estimated(refreshing: "Refresh", console: "Console", given: dict[str, Any]) -> None:
    """Tell what it may take. Raises UsageError for a budget that cannot be kept."""
    from harness.refresh.wanted import Telling
    from harness.report.refresh_terminal import as_json, print_estimate

    plan, prices = refreshing.plan, refreshing.wanted.prices
    estimate, known = refreshing.run(Telling()).estimate()
    if given["dry_run"] and given["as_json"]:
        click.echo(json.dumps({"estimate": as_json(plan, estimate, known)}, indent=2))
    else:
        currency = prices.currency if prices else ""
        print_estimate(
            plan,
            estimate,
            console,
            known=known,
            alone=refreshing.beside_batches(),
            absent=refreshing.wanted.changes.without_effect([step.request for step in plan.steps]),
            upstreams=refreshing.upstreams(),
            currency=currency,
        )
    if given["budget"] is not None and estimate.unpriced:
        raise click.UsageError(f"--budget: {given['prices']} has no price for {', '.join(sorted(estimate.unpriced))}.")
    if not plan.steps:
        raise click.UsageError("None of these recordings can be asked again.")


@contextmanager
def _telling(console: "Console", refreshing: "Refresh") -> "Iterator[Telling]":
    """A progress bar where that is a terminal; sentences on stderr anywhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.refresh.wanted import Telling
    from harness.report.refresh_terminal import money

    prices = refreshing.wanted.prices
    if not console.is_terminal:
        yield Telling(note=lambda words: click.echo(words, err=True))
        return
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int, spent: float) -> None:
            cost = money(spent, prices.currency) if prices else ""
            bar.update(task, completed=done, total=total, description=cost)

        yield Telling(progress, lambda words: bar.console.print(words, style="dim", highlight=False))


def _compared(outcome: "Outcome", settings: "Settings", into: Path, given: dict[str, Any]) -> "Diff | None":
    """The diff, made while what was recorded is still in its place; None where nothing was answered."""
    from harness.comparing import Asked
    from harness.opening import canonicalizer_of
    from harness.refresh.compared import diff_of

    if not outcome.done:
        return None
    asked = Asked(
        partial(canonicalizer_of, settings),
        prices=read_prices(given["prices"]) if given["prices"] else None,
        dialogues=given["html"] is not None,
    )
    with progress_bar() as progress:
        return diff_of(outcome, asked, str(settings.recordings), str(into), progress)


def _placed(outcome: "Outcome", settings: "Settings", into: Path, refreshing: "Refresh") -> "Placed":
    from harness.opening import open_store
    from harness.refresh.placing import place

    store = open_store(replace(settings, recordings=into, more_recordings=()))
    sources = (settings.recordings, *settings.more_recordings)
    in_place = any(isinstance(source, Path) and source.resolve() == into.resolve() for source in sources)
    return place(outcome, refreshing.staging, store, replaces=in_place)


def _end(outcome: "Outcome", found: "Diff | None", placed: "Placed", console: "Console", into: Path) -> None:
    """Say what became of the turns, of the answers, and of what is missing."""
    from harness.refresh.compared import by_chance
    from harness.report.refresh_terminal import failed_lines, followed_lines, variation_lines
    from harness.report.wording import plural

    lines = list(followed_lines({name: done.followed for name, done in outcome.done.items()}))
    if found is not None and any(done.again for done in outcome.done.values()):
        lines += variation_lines(found, by_chance(outcome))
    lines += failed_lines(outcome.failed)
    if outcome.unasked:
        lines.append(f"{plural(len(outcome.unasked), 'recording')} not asked: {outcome.stopped or 'see above'}")
    where = f"{plural(placed.written, 'recording')} written to {into}"
    beside = {"as they were": placed.unchanged, "of an older name removed": placed.removed,
              "waiting for the rest of their test": placed.waiting}  # fmt: skip
    lines.append(", ".join([where, *(f"{number} {words}" for words, number in beside.items() if number)]))
    if not outcome.is_complete:
        lines.append("The same command asks what is missing, and nothing twice.")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
