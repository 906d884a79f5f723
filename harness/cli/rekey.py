"""``harness rekey``: files get the name of what they hold."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import directories_of, settings_from

if TYPE_CHECKING:
    from harness.recording.findings import Finding
    from harness.recording.rekey import Renaming


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[DIR | FILE...]")
@click.option("--dry-run", is_flag=True, help="Say what would be renamed, and rename nothing.")
@click.pass_context
def rekey(context: click.Context, paths: tuple[Path, ...], dry_run: bool) -> None:
    """Rename recordings to the keys of what they hold.

    That is: files named by another algorithm, files whose request was edited by hand, sequences with a gap.

    \b
    Example:
      harness rekey --dry-run
      harness rekey recordings/

    Exit code: 0 all have their names, 1 some cannot have theirs, 2 nothing could be read.
    """
    from harness.checking import renamings_of, targets
    from harness.opening import verifier_of
    from harness.report.wording import plural
    from harness.stores.housekeeping import closed, rename

    settings = settings_from({})
    count = renamed = hindered = unreadable = closed_folders = 0
    for target in targets(paths, directories_of(settings)):
        make = partial(verifier_of, settings, target.shown, looks_for_secrets=False)
        found, broken = renamings_of(target, make)
        _tell(target.shown, found, broken)
        shut = [f"{target.shown}{place}: a folder that may not be looked into" for place in closed(target.root)]
        tell_left_out(shut, 0)
        if not dry_run:
            rename(target.root, found)
        count += len(target.names)
        unreadable += len(broken)
        closed_folders += len(shut)
        hindered += sum(bool(renaming.hindrance) for renaming in found)
        renamed += sum(not renaming.hindrance for renaming in found)
    rest = {"cannot have their name": hindered, "cannot be read": unreadable}
    said = [f"{renamed} {'to rename' if dry_run else 'renamed'}", *(f"{n} {words}" for words, n in rest.items() if n)]
    click.echo(f"{plural(count, 'recording')}: {', '.join(said)}.")
    if hindered or unreadable:
        click.echo("harness verify has the command for each.")
    context.exit(2 if unreadable and unreadable == count else int(bool(hindered or unreadable or closed_folders)))


def _tell(shown: str, found: Sequence["Renaming"], broken: Sequence["Finding"]) -> None:
    for fault in broken:
        click.echo(f"{shown}{fault.file}\n  cannot be read: {fault.message}")
    for renaming in found:
        told = f"cannot be {Path(renaming.new).name}: {renaming.hindrance}" if renaming.hindrance else ""
        click.echo(f"{shown}{renaming.old}\n  {told or f'-> {Path(renaming.new).name}'}")
