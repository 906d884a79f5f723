"""``harness diff``: what changed between two directories of recordings."""

from pathlib import Path

import click

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
    from harness.recording.diff import diff
    from harness.stores.reading import read_directory

    (before, broken_before), (after, broken_after) = read_directory(old), read_directory(new)
    for place, broken in ((old, broken_before), (new, broken_after)):
        for line in broken:
            click.echo(f"Could not be read: {place}/{line}", err=True)
    if not before and not after:
        raise click.UsageError(f"No recordings in {old} or {new}.")
    found = diff(before, after)
    if (broken_before or broken_after) and not found.pairs:
        raise click.UsageError(f"Nothing to compare: no recording of {old} has its counterpart in {new}.")
    if as_json:
        from harness.report.diff_json import render_json

        click.echo(render_json(found), nl=False)
    else:
        from rich.console import Console

        from harness.report.diff_terminal import print_diff

        print_diff(found, Console(highlight=False))
    context.exit(0 if found.is_equal else 1)
