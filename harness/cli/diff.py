"""``harness diff``: what changed between two sets of recordings."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completing import complete_model
from harness.cli.prices import read_prices, with_prices

if TYPE_CHECKING:
    from harness.comparing import Asked
    from harness.recording.diff import Diff
    from harness.stores.reading import Recordings

_LEVELS = ("error", "structure", "text", "usage", "any", "never")
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_PATHS = "harness.diff.paths"


class _WithPaths(click.Command):
    """A command that tells what stands behind ``--`` apart, as git does: revisions before it, paths behind."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before, behind = args, []
        if "--" in args:
            at = args.index("--")
            before, behind = args[:at], args[at + 1 :]
        ctx.meta[_PATHS] = tuple(behind)
        return super().parse_args(ctx, before)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "OLD [NEW]", "[-- PATH...]"]


@click.command("diff", cls=_WithPaths)
@click.argument("places", nargs=-1)
@click.option("--model", "models", multiple=True, metavar="MODEL", shell_complete=complete_model,
              help="Given twice: compare the recordings of one model with those of the other.")  # fmt: skip
@with_prices
@click.option("--fail-on", type=click.Choice(_LEVELS), default="any", show_default=True,
              help="Exit with 1 from this class on; any: also when recordings came or went.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a comment for a pull request instead.")
@click.option("--html", type=_FILE, metavar="FILE", help="Also write one page to look at and filter; needs no network.")
@click.option("--junit", type=_FILE, metavar="FILE", help="Also write a JUnit report, for CI.")
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
    if given["as_json"] and given["as_markdown"]:
        raise click.UsageError("--json and --markdown are two forms of one report: choose one.")
    if len(models) > 2:
        raise click.UsageError("--model is given once, to look at one model alone, or twice, to compare two.")
    found = _compare(context, places, models, given)
    _write_files(found, given)
    _show(found, given)
    context.exit(1 if _fails(found, given["fail_on"]) else 0)


def _compare(context: click.Context, places: Sequence[str], models: Sequence[str], given: dict[str, Any]) -> "Diff":
    """The diff; broken files are named on stderr. Raises UsageError when there is nothing to compare."""
    from harness.comparing import Asked, compare_all
    from harness.settings import load
    from harness.wiring import canonicalizer_of

    settings = load({}, os.environ, Path.cwd())
    asked = Asked(
        partial(canonicalizer_of, settings),
        prices=read_prices(given["prices"]) if given["prices"] else None,
        dialogues=given["html"] is not None,
        models=(models[0], models[-1]) if models else None,
    )
    # A bucket is in no repository and no directory: where recordings are kept in one, places are named.
    usual = settings.recordings if isinstance(settings.recordings, Path) else Path("recordings")
    old, new = _open(places, context.meta[_PATHS], asked, usual)
    if not old.files and not new.files:
        raise click.UsageError(f"No recordings in {old.where} or {new.where}.")
    with _progress() as progress:
        found = compare_all(old, new, asked, progress)
    for line in found.unreadable:
        click.echo(f"Could not be read: {line}", err=True)
    if not (found.pairs or found.added or found.removed):
        reason = "mend the files named above" if found.unreadable else f"no recording is of {' or '.join(models)}"
        raise click.UsageError(f"Nothing could be compared: {reason}.")
    if found.unreadable and not found.pairs:
        raise click.UsageError("Nothing could be compared: mend the files named above, or record them again.")
    return found


def _open(
    places: Sequence[str], paths: Sequence[str], asked: "Asked", usual: Path
) -> tuple["Recordings", "Recordings"]:
    from harness.stores.sources import Named, open_both, open_place

    here = Path.cwd()
    if len(places) > 2:
        raise click.UsageError("OLD and NEW are two places; paths of revisions stand behind --.")
    if asked.models and asked.models[0] != asked.models[1] and len(places) < 2 and not paths:
        place = places[0] if places else str(usual)
        if not places or (here / place).exists():
            return open_place(place, here), open_place(place, here)
    if not places:
        raise click.UsageError("Name OLD and NEW: two directories, two files, or revisions (main..HEAD).")
    return open_both(Named(places, paths, here, Path(os.path.relpath(usual, here))))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _write_files(found: "Diff", given: dict[str, Any]) -> None:
    from harness.report.writing import write

    if given["html"]:
        from harness.report.diff_html import render_html

        write(given["html"], render_html(found))
    if given["junit"]:
        from harness.report.diff_junit import render_junit

        level = given["fail_on"]
        write(given["junit"], render_junit(found, "usage" if level == "any" else None if level == "never" else level))


def _show(found: "Diff", given: dict[str, Any]) -> None:
    if given["as_json"]:
        from harness.report.diff_json import render_json

        click.echo(render_json(found), nl=False)
    elif given["as_markdown"]:
        from harness.report.diff_markdown import render_markdown

        click.echo(render_markdown(found), nl=False)
    else:
        from rich.console import Console

        from harness.report.diff_terminal import print_diff

        print_diff(found, Console(highlight=False))


def _fails(found: "Diff", level: str) -> bool:
    if level in ("any", "never"):
        return level == "any" and not found.is_equal
    from harness.recording.classes import CLASSES

    return found.reaches(next(cls for cls in CLASSES if cls == level))
