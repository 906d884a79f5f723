"""``harness prune``: the end of recordings that nothing uses."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import settings_from, shown

if TYPE_CHECKING:
    from harness.pruning import Unused
    from harness.stores.protocol import RecordingStore


@click.command()
@click.argument("places", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[DIR...]")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
@click.option("--shared", is_flag=True, help="Also recordings of no test, of which a `harness run` used others.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --yes or --dry-run.")
@click.pass_context
def prune(
    context: click.Context, places: tuple[Path, ...], *, yes: bool, dry_run: bool, shared: bool, as_json: bool
) -> None:
    """Delete recordings that the last whole run did not use.

    A whole run is pytest over all of the suite, or a command behind `harness run`; it passed, and missed nothing. What
    it did not cover stays: recordings of tests that were skipped or failed, of other suites, and model listings. Looks
    at DIR, or at every directory that such a run used.

    \b
    Example:
      harness prune --dry-run
      harness prune
      harness run -- npm test && harness prune --yes --shared

    Exit code: 0 nothing unused is left (or --dry-run), 1 you said no, 2 there is no run to go by.
    """
    from harness.pruning import NothingToGoBy, delete, find
    from harness.report.last_run import load, root_of

    if as_json and not (yes or dry_run):
        raise click.UsageError("--json asks nobody: add --yes or --dry-run.")
    root = root_of(Path.cwd())
    if root is None:
        hint = "Run all of it first: pytest; harness prune"
        raise NothingToGoBy("No whole run that passed is known here.", hint=hint)
    runs = load(root)
    stores = _stores(places or sorted({root / place for run in runs for place in run.files}), root)
    found = find(runs, stores, root, shared=shared)
    if not as_json:
        _show(found)
    if found and not (dry_run or yes or _agrees(len(found))):
        click.echo("Nothing was deleted.", err=True)
        context.exit(1)
    if not dry_run:
        delete(found)
    if as_json:
        click.echo(json.dumps({"unused": [_row(one) for one in found], "deleted": not dry_run}, indent=2))
    elif found and not dry_run:
        click.echo(f"Deleted {_count(found)}.")


def _stores(places: Sequence[Path], root: Path) -> dict[str, "RecordingStore"]:
    """The store of each directory, by the directory as seen from the project."""
    from dataclasses import replace

    from harness.opening import open_store

    settings = settings_from({})
    found = {}
    for place in places:
        path = place.absolute()
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        found[name] = open_store(replace(settings, recordings=path, more_recordings=()))
    return found


def _agrees(count: int) -> bool:
    try:
        return click.confirm(f"Delete {'it' if count == 1 else f'these {count}'}?", default=False)
    except click.Abort:
        # Ctrl-C at the question is an answer.
        click.echo("" if sys.stdin.isatty() else "\nNobody answers: --yes deletes without asking.", err=True)
        return False


def _show(found: "Sequence[Unused]") -> None:
    for one in found:
        click.echo(f"{shown(one.file)}\n  {one.scope or 'no test'}")
    size = sum(one.size for one in found)
    click.echo(f"{_count(found)} unused, {size / 1024:,.0f} kB." if found else "No unused recordings.")


def _row(one: "Unused") -> dict[str, object]:
    return {"file": shown(one.file), "test": one.scope, "bytes": one.size}


def _count(found: "Sequence[Unused]") -> str:
    return f"{len(found)} recording{'' if len(found) == 1 else 's'}"
