"""``harness diff``: what changed between two sets of recordings."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completing import complete_model
from harness.cli.left_out import tell_left_out
from harness.cli.options import directories_of, settings_from
from harness.cli.prices import read_prices
from harness.cli.reporting import check_reports, fails, progress_bar, show, with_reports, write_files

if TYPE_CHECKING:
    from harness.comparing import Asked
    from harness.recording.diff import Diff
    from harness.stores.reading import Recordings

_PATHS = "harness.diff.paths"


class _WithPaths(click.Command):
    """A command that tells what stands behind ``--`` apart, as git does: revisions before it, paths behind."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before, behind = args, []
        if "--" in args:
            at = args.index("--")
            before, behind = args[:at], args[at + 1 :]
        options = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        for path in behind:
            if path.partition("=")[0] in options:
                raise click.UsageError(f"{path} stands behind --, where only paths are: put it before.", ctx)
        ctx.meta[_PATHS] = tuple(behind)
        return super().parse_args(ctx, before)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "OLD [NEW]", "[-- PATH...]"]


@click.command("diff", cls=_WithPaths)
@click.argument("places", nargs=-1)
@click.option("--model", "models", multiple=True, metavar="MODEL", shell_complete=complete_model,
              help="Given twice: compare the recordings of one model with those of the other.")  # fmt: skip
@with_reports(fail_on="any")
@click.pass_context
def diff_command(context: click.Context, /, places: tuple[str, ...], **given: Any) -> None:
    """Show what changed from OLD to NEW. These are directories of recordings, files, or revisions of the repository.

    Streams are put together and noise (ids, times, padding, the cuts of chunks) is set aside. Recordings pair by key,
    then by fingerprint, then by test and order, then by near miss. Each pair gets one class, worst first: error,
    structure, text, usage, equal. Drift is what changed in the shape of the answers.

    \b
    Examples:
      harness diff recordings-before/ recordings/
      harness diff main..HEAD -- recordings/    two revisions, out of git
      harness diff HEAD recordings/             what is not committed yet
      harness diff --model gpt-4o --model gpt-5 recordings/
      harness diff main..HEAD --fail-on structure --html diff.html
      harness diff main..HEAD --markdown | gh pr comment --body-file -
      harness diff --json old/ new/ | jq .summary

    Exit code: 0 nothing at the level of --fail-on or worse, 1 something, 2 nothing could be compared.
    """
    models = given["models"]
    check_reports(given)
    if len(models) > 2:
        raise click.UsageError("--model is given once, to look at one model alone, or twice, to compare two.")
    found = _compare(context, places, models, given)
    write_files(found, given)
    show(found, given)
    context.exit(1 if fails(found, given["fail_on"]) else 0)


def _compare(context: click.Context, places: Sequence[str], models: Sequence[str], given: dict[str, Any]) -> "Diff":
    """The diff; broken files are named on stderr. Raises UsageError when there is nothing to compare."""
    from harness.comparing import Asked, compare_all
    from harness.opening import canonicalizer_of

    settings = settings_from({})
    asked = Asked(
        partial(canonicalizer_of, settings),
        prices=read_prices(given["prices"]) if given["prices"] else None,
        dialogues=given["html"] is not None,
        models=(models[0], models[-1]) if models else None,
    )
    # A bucket is in no repository and no directory: where recordings are kept in one, places are named.
    usual = directories_of(settings) if isinstance(settings.recordings, Path) else [Path("recordings")]
    old, new = _open(places, context.meta[_PATHS], asked, usual)
    if not old.files and not new.files:
        raise click.UsageError(f"No recordings in {old.where} or {new.where}.")
    with progress_bar() as progress:
        found = compare_all(old, new, asked, progress)
    tell_left_out(found.unreadable, found.passed_over)
    if not (found.pairs or found.added or found.removed):
        reason = "mend the files named above" if found.unreadable else f"no recording is of {' or '.join(models)}"
        reason = reason if found.unreadable or models else "there are recordings of tools alone"
        raise click.UsageError(f"Nothing could be compared: {reason}.")
    if found.unreadable and not found.pairs:
        raise click.UsageError("Nothing could be compared: mend the files named above, or record them again.")
    return found


def _open(
    places: Sequence[str], paths: Sequence[str], asked: "Asked", usual: Sequence[Path]
) -> tuple["Recordings", "Recordings"]:
    from harness.stores.sources import Named, open_both, open_place

    here = Path.cwd()
    named = Named(places, paths, here, [Path(os.path.relpath(place, here)) for place in usual])
    if len(places) > 2:
        raise click.UsageError("OLD and NEW are two places; paths of revisions stand behind --.")
    if asked.models and asked.models[0] != asked.models[1] and len(places) < 2 and not paths:
        place = places[0] if places else named.usual_folder(" ".join(f"--model {model}" for model in asked.models))
        if not places or (here / place).exists():
            return open_place(place, here), open_place(place, here)
    if asked.models and len(places) < 2 and not paths and (not places or (here / places[0]).is_dir()):
        raise click.UsageError("Within one place two models are compared: --model OLD --model NEW.")
    if not places:
        raise click.UsageError("Name OLD and NEW: two directories, two files, or revisions (main..HEAD).")
    return open_both(named)
