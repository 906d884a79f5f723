"""What commands that read whole folders say of files that they could not use."""

from collections.abc import Iterable

import click


def tell_left_out(unreadable: Iterable[str], passed_over: int) -> None:
    """Name the files that could not be read, and say how many are of another kind, beside what a command prints."""
    for line in unreadable:
        click.echo(f"Could not be read: {line}", err=True)
    if passed_over:
        recordings = "1 recording" if passed_over == 1 else f"{passed_over} recordings"
        click.echo(f"Passed over: {recordings} of tools, not of an HTTP API.", err=True)
