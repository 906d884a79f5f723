"""``harness diff``: what changed between two directories of recordings."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.recording.diff import Diff

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("diff")
@click.argument("old", type=_DIRECTORY)
@click.argument("new", type=_DIRECTORY)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.pass_context
def diff_command(context: click.Context, old: Path, new: Path, as_json: bool) -> None:
    """Show what changed from OLD to NEW, two directories of recordings.

    Streams are put together and noise (ids, times, padding, the cuts of chunks) is set aside. Each pair of recordings
    gets one class, worst first: error, structure, text, usage, equal.

    \b
    Example:
      harness diff recordings-before/ recordings/
      harness diff --json recordings-before/ recordings/ | jq .summary

    Exit code: 0 nothing differs, 1 something does, 2 nothing could be compared.
    """
    found = _compare(old, new)
    _show(found, as_json=as_json)
    context.exit(0 if found.is_equal else 1)


def _compare(old: Path, new: Path) -> "Diff":
    """The diff; broken files are named on stderr. Raises UsageError when there is nothing to compare."""
    from harness.recording.diff import diff
    from harness.settings import load
    from harness.stores.reading import read_directory
    from harness.wiring import canonicalizer_of

    canonicalizer = canonicalizer_of(load({}, os.environ, Path.cwd()))
    (before, broken_before), (after, broken_after) = read_directory(old), read_directory(new)
    for place, broken in ((old, broken_before), (new, broken_after)):
        for line in broken:
            click.echo(f"Could not be read: {place}/{line}", err=True)
    if not before and not after:
        raise click.UsageError(f"No recordings in {old} or {new}.")
    found = diff(before, after, canonicalizer)
    if (broken_before or broken_after) and not found.pairs:
        raise click.UsageError("Nothing could be compared: mend the files named above, or record them again.")
    return found


def _show(found: "Diff", *, as_json: bool) -> None:
    if as_json:
        from harness.report.diff_json import render_json

        click.echo(render_json(found), nl=False)
        return
    from rich.console import Console

    from harness.report.diff_terminal import print_diff

    print_diff(found, Console(highlight=False))
