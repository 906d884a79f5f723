"""The command ``harness``: gathers the commands, each imported when it is called, and renders errors."""

import errno
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from harness import __version__
from harness.errors import HarnessError

_COMMANDS = {
    # name: (module, its click command)
    "serve": ("harness.cli.serve", "serve"),
    "run": ("harness.cli.run", "run"),
    "demo": ("harness.cli.demo", "demo"),
    "author": ("harness.cli.author", "author"),
    "diff": ("harness.cli.diff", "diff_command"),
    "refresh": ("harness.cli.refresh", "refresh"),
    "ls": ("harness.cli.ls", "ls"),
    "show": ("harness.cli.show", "show"),
    "stats": ("harness.cli.stats", "stats"),
    "explain": ("harness.cli.explain", "explain"),
    "verify": ("harness.cli.verify", "verify"),
    "rekey": ("harness.cli.rekey", "rekey"),
    "prune": ("harness.cli.prune", "prune"),
    "import": ("harness.cli.importing", "import_command"),
    "export": ("harness.cli.exporting", "export_command"),
    "completion": ("harness.cli.completion", "completion"),
}


class _Commands(click.Group):
    """Imports a command when it is asked for: starting one does not pay for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Not 1, which of many commands is an answer: shells say 128 and the signal's number.
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Record what a language model's API answered, once; answer from the recordings ever after.

    \b
    harness demo                          see it work, offline
    harness run -- npm test               replay recordings/ to a command
    harness serve                         replay recordings/ to any client
    harness serve --mode record-if-missing --upstream URL
    """


def main() -> None:
    """The console script. A user's mistake ends with a sentence, a hint and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Recordings hold characters that a terminal, or a pipe in the locale C, may not have.
            stream.reconfigure(errors="replace")
    try:
        cli()
    except HarnessError as error:
        click.echo(f"harness: {error.message}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # What stores write has errors of its own: this was the output.
        click.echo(f"harness: the output could not be written: {error.strerror}\n  Make room.", err=True)
        # Python writes what is left of it at its end, and would complain again, with an exit code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(2)
