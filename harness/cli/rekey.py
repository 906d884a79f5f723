"""``harness rekey``: files get the name of what they hold."""

from functools import partial
from pathlib import Path

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import directories_of, settings_from


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
    from harness.stores.housekeeping import closed, rename

    settings = settings_from({})
    hindered = False
    for target in targets(paths, directories_of(settings)):
        make = partial(verifier_of, settings, target.shown, looks_for_secrets=False)
        found = renamings_of(target, make)
        for renaming in found:
            told = f"cannot be {Path(renaming.new).name}: {renaming.hindrance}" if renaming.hindrance else ""
            click.echo(f"{target.shown}{renaming.old}\n  {told or f'-> {Path(renaming.new).name}'}")
        shut = [f"{target.shown}{place}: a folder that may not be looked into" for place in closed(target.root)]
        tell_left_out(shut, 0)
        hindered = hindered or bool(shut) or any(renaming.hindrance for renaming in found)
        if not dry_run:
            rename(target.root, found)
    context.exit(1 if hindered else 0)
