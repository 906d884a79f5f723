"""The flags of ``harness refresh``, and the refresh that they ask for."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import looking_beside, settings_from
from harness.cli.prices import read_prices
from harness.cli.selecting import Selected, selected

if TYPE_CHECKING:
    from harness.recording.changes import Changes
    from harness.recording.model import Exchange
    from harness.refresh.refreshing import Refresh
    from harness.settings import Settings
    from harness.stores.protocol import RecordingStore
    from harness.stores.staging import Staging

F = TypeVar("F", bound=Callable[..., Any])

_FLAGS = (
    click.option(
        "--into",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Where the new recordings go (default: RECORDINGS-refreshed). The directory that is read: in place.",
    ),
    click.option(
        "--recordings",
        multiple=True,
        metavar="PLACE",
        help="Where to read (default: the project's recordings).",
    ),
    click.option("--upstream", metavar="URL", help="The provider's base URL (default: https://api.openai.com/v1)."),
    click.option(
        "--set",
        "values",
        multiple=True,
        metavar="PATH=JSON",
        help="Ask with this value: temperature=0, reasoning.effort=low.",
    ),
    click.option("--unset", "removed", multiple=True, metavar="PATH", help="Ask without this value."),
    click.option("--frozen", is_flag=True, help="Later turns quote the recorded answers, not the new ones."),
    click.option(
        "--times",
        type=click.IntRange(1, 100),
        default=1,
        metavar="N",
        help="Ask N times: which differences are larger than the model's own variation?",
    ),
    click.option("--control", is_flag=True, help="With --times and a change: ask as recorded N times, too."),
    click.option("--jobs", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests at once."),
    click.option(
        "--retries",
        type=click.IntRange(0, 20),
        default=5,
        show_default=True,
        help="How often a request that failed is sent again.",
    ),
    click.option("--batch", is_flag=True, help="Ask by the upstream's Batch API, at half the price, within a day."),
    click.option(
        "--budget",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SUM",
        help="Stop before this is spent; needs --prices.",
    ),
    click.option("--dry-run", is_flag=True, help="Print the estimate, and ask nothing."),
    click.option("--restart", is_flag=True, help="Forget what an unfinished refresh into DIR has asked."),
)  # fmt: skip


def with_flags(command: F) -> F:
    """Give a command the flags of a refresh."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


def made(given: dict[str, Any]) -> "tuple[Settings, Path, Refresh]":
    """The settings, where to write, and the refresh that the flags ask for.

    Raises UsageError for flags that mean nothing, and Exit where all there was to do was to end an earlier run.
    """
    from harness.opening import open_store, redactor_of
    from harness.recording.changes import parse_models
    from harness.recording.refresh import plan
    from harness.refresh.refreshing import Refresh
    from harness.refresh.wanted import Wanted
    from harness.stores.staging import Staging
    from harness.wiring import upstream_of

    models = parse_models(given["models"])
    words = selected(given["what"], given["tests"], tuple(models), given["endpoints"])
    settings = _settings(words, given)
    if given["into"] is None and not isinstance(settings.recordings, Path):
        raise click.UsageError(f"Name a directory for what is answered: {settings.recordings} is none. --into DIR")
    into = given["into"] or Path(os.path.relpath(f"{settings.directory}-refreshed"))
    staging = Staging(into)
    if not given["dry_run"]:
        _begin(staging, settings, into, restart=given["restart"])
    store = open_store(settings)
    exchanges = _picked(words, store)
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
            store,
            wanted,
            upstream_of(settings),
            redactor_of(settings),
            staging,
            settings.upstream_names,
            given["retries"],
            given["batch"],
            settings.record_errors,
            settings.timings,
        ),
    )


def _begin(staging: "Staging", settings: "Settings", into: Path, *, restart: bool) -> None:
    """Have the directory alone until the command ends, and end what an earlier run was killed in.

    Raises Exit when nothing else was left to do.
    """
    from harness.opening import open_store
    from harness.refresh.placing import finish

    click.get_current_context().with_resource(staging.alone())
    if restart:
        staging.clear()
    placed = finish(staging, open_store(replace(settings, recordings=into, more_recordings=())))
    if placed is not None and placed.is_complete:
        click.echo(f"The refresh that was interrupted is in {into}: it had been answered. Nothing was asked.", err=True)
        raise click.exceptions.Exit(0)


def _picked(words: Selected, store: "RecordingStore") -> "dict[str, Exchange]":
    """The recordings that were selected; broken files are named on stderr."""
    from harness.refresh.picking import picked

    exchanges, broken = picked(store, words.selection)
    tell_left_out(broken, store.passed_over())
    if not exchanges:
        of = f" of {', '.join(words.selection.words)}" if words.selection.words else ""
        raise click.UsageError(f"No recording{of} in {store.where}.")
    return exchanges


def _settings(words: Selected, given: dict[str, Any]) -> "Settings":
    if words.places and given["recordings"]:
        raise click.UsageError("Name the directory once: as WHAT, or by --recordings.")
    places = tuple(map(str, words.places)) or given["recordings"]
    settings = settings_from({"recordings": places, "upstream": given["upstream"]})
    return settings if places else looking_beside(settings)


def _changes(models: dict[str, str | None], given: dict[str, Any]) -> "Changes":
    from harness.recording.changes import Changes, parse_value, steps_of

    for path in given["removed"]:
        steps_of(path)
    renamed = {old: new for old, new in models.items() if new is not None}
    return Changes(renamed, tuple(map(parse_value, given["values"])), given["removed"])
