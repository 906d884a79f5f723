"""The reports of a diff, for every command that ends with one: flags, files, what is printed, exit codes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.prices import with_prices

if TYPE_CHECKING:
    from harness.recording.diff import Diff

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS = ("error", "structure", "text", "usage", "any", "never")
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


def with_reports(*, fail_on: str) -> Callable[[F], F]:
    """Give a command the flags of a diff's reports; ``fail_on`` is the level that holds when none is given."""
    options = (
        with_prices,
        click.option("--fail-on", type=click.Choice(_LEVELS), default=fail_on, show_default=True,
                     help="Exit with 1 from this class on; any: also when recordings came or went."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report."),
        click.option("--markdown", "as_markdown", is_flag=True, help="Print a comment for a pull request instead."),
        click.option("--html", type=_FILE, metavar="FILE",
                     help="Also write one page to look at and filter; needs no network."),
        click.option("--junit", type=_FILE, metavar="FILE", help="Also write a JUnit report, for CI."),
    )  # fmt: skip

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def check_reports(given: dict[str, Any]) -> None:
    """Raises UsageError for flags that exclude each other."""
    if given["as_json"] and given["as_markdown"]:
        raise click.UsageError("--json and --markdown are two forms of one report: choose one.")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
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


def write_files(found: "Diff", given: dict[str, Any]) -> None:
    """Write the reports that go into files, as far as they were asked for."""
    from harness.report.writing import write

    if given["html"]:
        from harness.report.diff_html import render_html

        write(given["html"], render_html(found))
    if given["junit"]:
        from harness.report.diff_junit import render_junit

        level = given["fail_on"]
        write(given["junit"], render_junit(found, "usage" if level == "any" else None if level == "never" else level))


def show(found: "Diff", given: dict[str, Any], beside: Mapping[str, Any] | None = None) -> None:
    """Print the report in the form that was asked for; ``beside`` goes into the one for programs."""
    if given["as_json"]:
        from harness.report.diff_json import render_json

        click.echo(render_json(found, beside), nl=False)
    elif given["as_markdown"]:
        from harness.report.diff_markdown import render_markdown

        click.echo(render_markdown(found), nl=False)
    else:
        from rich.console import Console

        from harness.report.diff_terminal import print_diff

        print_diff(found, Console(highlight=False))


def fails(found: "Diff", level: str) -> bool:
    """Whether anything is at the level of ``--fail-on`` or worse."""
    if level in ("any", "never"):
        return level == "any" and not found.is_equal
    from harness.recording.classes import CLASSES

    return found.reaches(next(cls for cls in CLASSES if cls == level))
