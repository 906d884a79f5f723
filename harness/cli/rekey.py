"""``harness rekey``: files get the name of what they hold."""

from functools import partial
from pathlib import Path

import click

from harness.cli.options import settings_from


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
    from harness.checking import check_all
    from harness.recording.rekey import renamings
    from harness.stores.housekeeping import places, read, rename
    from harness.wiring import verifier_of

    settings = settings_from({})
    folders = list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths)) or [settings.directory]
    files = {path.absolute() for path in paths if not path.is_dir()}
    hindered = False
    for folder in folders:
        if not folder.is_dir():
            raise click.UsageError(f"No recordings: {folder} is not a directory.")
        make = partial(verifier_of, settings, str(folder), looks_for_secrets=False)
        names = places(folder)
        found = renamings(check_all(read(folder, names), len(names), make))
        whole = folder in paths or not paths
        found = [renaming for renaming in found if whole or (folder / renaming.old).absolute() in files]
        for renaming in found:
            told = (
                f"  cannot be {Path(renaming.new).name}: {renaming.hindrance}"
                if renaming.hindrance
                else f"  -> {Path(renaming.new).name}"
            )
            click.echo(f"{folder / renaming.old}\n{told}")
        hindered = hindered or any(renaming.hindrance for renaming in found)
        if not dry_run:
            rename(folder, found)
    context.exit(1 if hindered else 0)
