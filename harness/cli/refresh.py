"""``harness refresh``: recorded requests asked again, and what changed."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import settings_from
from harness.cli.prices import read_prices
from harness.cli.reporting import check_reports, fails, progress_bar, show, with_reports, write_files
from harness.cli.selecting import Selected, selected, with_selection

if TYPE_CHECKING:
    from rich.console import Console

    from harness.recording.changes import Changes
    from harness.recording.diff import Diff
    from harness.recording.model import Exchange
    from harness.refresh.placing import Placed
    from harness.refresh.refreshing import Refresh
    from harness.refresh.wanted import Outcome, Telling
    from harness.settings import Settings

_INTERRUPTED = 130


@click.command()
@with_selection
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the new recordings go (default: RECORDINGS-refreshed). The directory that is read: in place.",
)
@click.option("--recordings", multiple=True, metavar="PLACE", help="What to read (default: the project's recordings).")
@click.option("--upstream", metavar="URL", help="The provider's base URL (default: https://api.openai.com/v1).")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="PATH=JSON",
    help="Ask with this value: temperature=0, reasoning.effort=low.",
)
@click.option("--unset", "removed", multiple=True, metavar="PATH", help="Ask without this value.")
@click.option("--frozen", is_flag=True, help="Later turns quote the recorded answers, not the new ones.")
@click.option(
    "--times",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="Ask N times: which differences are larger than the model's own variation?",
)
@click.option("--control", is_flag=True, help="With --times and a change: ask as recorded N times, too.")
@click.option("--jobs", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests at once.")
@click.option(
    "--retries",
    type=click.IntRange(0, 20),
    default=5,
    show_default=True,
    help="How often a request that failed is sent again.",
)
@click.option("--batch", is_flag=True, help="Ask by the upstream's Batch API, at half the price, within a day.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SUM",
    help="Stop before this is spent; needs --prices.",
)
@click.option("--dry-run", is_flag=True, help="Print the estimate, and ask nothing.")
@click.option("--restart", is_flag=True, help="Forget what an unfinished refresh into DIR has asked.")
@with_reports(fail_on="never")
@click.pass_context
def refresh(context: click.Context, /, **given: Any) -> None:
    """Ask recorded requests again, of the same or another model, and show what changed. No test is run.

    WHAT is a directory of recordings, a recording's file, a key or its beginning, or a test; nothing means all.
    --model OLD=NEW takes the recordings of OLD and asks NEW. Later turns of a dialogue are asked with the new answers
    in the place of the recorded ones; where one does not fit (it calls other tools than those whose results were
    recorded), they are asked as recorded, and that is said. Answers are kept in DIR/.refresh until all are there:
    after Ctrl-C the same command goes on, and asks nothing twice.

    \b
    Examples:
      harness refresh --dry-run --prices prices.toml        what it would take
      harness refresh                                       into recordings-refreshed/
      harness refresh --into recordings                     in place
      harness refresh --model gpt-4o=gpt-5 --unset temperature --html diff.html
      harness refresh "tests/test_weather.py" --endpoint chat --set temperature=0
      harness refresh --times 5 --control --model gpt-4o=gpt-5 --fail-on structure

    Exit code: 0 all was asked, and nothing is at the level of --fail-on or worse; 1 something is; 2 not all was asked,
    or nothing; 130 interrupted.
    """  # fmt: skip
    from harness.refresh.telling import told

    check_reports(given)
    if given["control"] and given["times"] < 2:
        raise click.UsageError("--control needs --times 2 or more: one answer varies from nothing.")
    if given["budget"] is not None and not given["prices"]:
        raise click.UsageError("--budget needs --prices FILE: without prices nothing has a sum.")
    settings, into, refreshing = _made(given)
    console = _console(to_stdout=given["dry_run"])
    _estimated(refreshing, console, given)
    if given["dry_run"]:
        context.exit(0)
    outcome = _asked(context, refreshing, console, into)
    found = _compared(outcome, settings, into, given)
    placed = _placed(outcome, settings, into, refreshing)
    if found is None and given["as_json"]:
        click.echo(json.dumps({"refresh": told(outcome, placed)}, indent=2))
    elif found is not None:
        write_files(found, given)
        show(found, given, {"refresh": told(outcome, placed)})
    _end(outcome, found, placed, console, into)
    if not outcome.is_complete:
        context.exit(2)
    context.exit(1 if found is not None and fails(found, given["fail_on"]) else 0)


def _made(given: dict[str, Any]) -> "tuple[Settings, Path, Refresh]":
    """The settings, where to write, and the refresh that the flags ask for."""
    from harness.recording.changes import parse_model
    from harness.recording.refresh import plan
    from harness.refresh.refreshing import Refresh
    from harness.refresh.wanted import Wanted
    from harness.stores.staging import Staging
    from harness.wiring import redactor_of, upstreams_of

    models = dict(map(parse_model, given["models"]))
    settings, exchanges = _picked(tuple(models), given)
    if given["into"] is None and not isinstance(settings.recordings, Path):
        raise click.UsageError(f"Name a directory for what is answered: {settings.recordings} is none. --into DIR")
    into = given["into"] or Path(os.path.relpath(f"{settings.directory}-refreshed"))
    staging = Staging(into)
    if given["restart"]:
        staging.clear()
    wanted = Wanted(
        _changes(models, given),
        given["jobs"],
        given["times"],
        given["control"],
        given["budget"],
        read_prices(given["prices"]) if given["prices"] else None,
    )
    return (
        settings,
        into,
        Refresh(
            plan(exchanges, frozen=given["frozen"]),
            wanted,
            upstreams_of(settings),
            redactor_of(settings),
            staging,
            settings.upstream_names,
            given["retries"],
            given["batch"],
            settings.record_errors,
            settings.timings,
        ),
    )


def _picked(models: tuple[str, ...], given: dict[str, Any]) -> "tuple[Settings, dict[str, Exchange]]":
    """The settings, and the recordings that were selected; broken files are named on stderr."""
    from harness.refresh.picking import picked
    from harness.wiring import open_store

    words = selected(given["what"], given["tests"], models, given["endpoints"])
    settings = settings_from({"recordings": _places(words, given), "upstream": given["upstream"]})
    store = open_store(settings)
    exchanges, broken = picked(store, words.selection)
    for line in broken:
        click.echo(f"Could not be read: {line}", err=True)
    if not exchanges:
        of = f" of {', '.join(words.selection.words)}" if words.selection.words else ""
        raise click.UsageError(f"No recording{of} in {store.where}.")
    return settings, exchanges


def _places(words: Selected, given: dict[str, Any]) -> tuple[str, ...]:
    if words.places and given["recordings"]:
        raise click.UsageError("Name the directory once: as WHAT, or by --recordings.")
    return tuple(map(str, words.places)) or given["recordings"]


def _changes(models: dict[str, str | None], given: dict[str, Any]) -> "Changes":
    from harness.recording.changes import Changes, parse_value, steps_of

    for path in given["removed"]:
        steps_of(path)
    renamed = {old: new for old, new in models.items() if new is not None}
    return Changes(renamed, tuple(map(parse_value, given["values"])), given["removed"])


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
        print_estimate(plan, estimate, console, known=known, upstreams=refreshing.upstreams(), currency=currency)
    if given["budget"] is not None and estimate.unpriced:
        raise click.UsageError(f"--budget: {given['prices']} has no price for {', '.join(sorted(estimate.unpriced))}.")
    if not plan.steps:
        raise click.UsageError("None of these recordings can be asked again.")


def _asked(context: click.Context, refreshing: "Refresh", console: "Console", into: Path) -> "Outcome":
    """Ask. An interrupted run ends here, and says how to go on."""
    try:
        with _telling(console, refreshing) as telling:
            return asyncio.run(refreshing.ask(telling))
    except KeyboardInterrupt:
        words = "What was answered is kept" if refreshing.staging.is_there else "Nothing was answered"
        click.echo(f"Interrupted. {words} in {into}: the same command goes on from there.", err=True)
        context.exit(_INTERRUPTED)


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
    from harness.refresh.compared import diff_of
    from harness.wiring import canonicalizer_of

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
    from harness.refresh.placing import place
    from harness.wiring import open_store

    store = open_store(replace(settings, recordings=into, more_recordings=()))
    sources = (settings.recordings, *settings.more_recordings)
    in_place = any(isinstance(source, Path) and source.resolve() == into.resolve() for source in sources)
    placed = place(outcome, refreshing.staging, store, replaces=in_place)
    if outcome.is_complete:
        refreshing.staging.clear()
    return placed


def _end(outcome: "Outcome", found: "Diff | None", placed: "Placed", console: "Console", into: Path) -> None:
    """Say what became of the turns, of the answers, and of what is missing."""
    from harness.report.refresh_terminal import failed_lines, followed_lines, variation_lines
    from harness.report.wording import plural

    lines = list(followed_lines({name: done.followed for name, done in outcome.done.items()}))
    if found is not None and any(done.again for done in outcome.done.values()):
        lines += variation_lines(found)
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
