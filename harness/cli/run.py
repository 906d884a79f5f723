"""``harness run``: a command with a server of its own, whatever language it is written in."""

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from harness.cli.options import settings_from, with_settings

if TYPE_CHECKING:
    from harness.report.run_log import RunLog
    from harness.settings import Settings
    from harness.wiring import Parts

_MISSED = 3
"""The exit code of a command that passed though recordings were missed."""

_FORWARDED = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


class _NotRun(click.ClickException):
    """A command that could not be begun: the exit code is the one that shells have for it."""

    exit_code = 126
    hint = "Is it a program, and may it be run (chmod +x)?"

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"harness: {self.message}\n  {self.hint}", file, err=True)


class _NotFound(_NotRun):
    exit_code = 127
    hint = "Is it installed, and in PATH? Write it behind --, as in: harness run -- npm test"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@with_settings
@click.option("--scope", metavar="NAME", help="The scope of what is asked (default: none, shared).")
@click.option("--report", "reports", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
              help="Write what was replayed, recorded and missed: .json, .md or .xml (JUnit).")  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context, /, scope: str | None, reports: tuple[Path, ...], command: tuple[str, ...], **flags: Any
) -> None:
    """Run COMMAND with a server for it alone. OPENAI_BASE_URL points there.

    The exit code is the command's, or 3 when it passed though recordings were missed. The summary goes to stderr.

    \b
    Example:
      harness run -- npm test
      OPENAI_API_KEY=… harness run --mode record-if-missing -- npm test
    """
    from harness.report import run_file, run_terminal

    for report in reports:
        run_file.check(report, "--report")
    if command[0].startswith("-"):
        raise click.NoSuchOption(command[0], ctx=context)
    settings = settings_from(flags)
    code, parts = asyncio.run(_run(settings, command, scope))
    log = _log(parts, _again(command, scope, "--mode", "record-if-missing", *_given(flags)))
    _keep(log, parts, code, _again(command, scope))
    click.echo("\n".join([f"-- {run_terminal.title(log)} --", *run_terminal.lines(log)]), err=True)
    for report in reports:
        run_file.write(log, report)
    context.exit(_MISSED if code == 0 and log.missed() else code)


async def _run(settings: "Settings", command: tuple[str, ...], scope: str | None) -> tuple[int, "Parts"]:
    """The command's exit code, and what its server was made of. Raises click's error when there is no such command."""
    from harness.running import client_environment, start

    runner, parts, root = await start(settings, "127.0.0.1", 0)
    try:
        environment = {**os.environ, **client_environment(settings, root, scope, os.environ)}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        with _forwarding(process):
            code = await process.wait()
        if code != 0:
            # It may not have asked for all it asks for: it replaces no more than it recorded.
            parts.services.backend.abandon()
    except OSError as error:
        kind = _NotFound if isinstance(error, FileNotFoundError) else _NotRun
        raise kind(f"{command[0]}: {error.strerror}") from error
    finally:
        await runner.cleanup()
    # Shells say so of a program that a signal has ended.
    return (code if code >= 0 else 128 - code), parts


@contextlib.contextmanager
def _forwarding(process: asyncio.subprocess.Process) -> Iterator[None]:
    """Hand the signals that arrive here on to the command, which decides what they mean."""
    loop = asyncio.get_running_loop()

    def forward(number: signal.Signals) -> None:
        # Ctrl-C in a terminal reaches the command by itself: it is in the same group of processes.
        if not (number is signal.SIGINT and _has_the_terminal()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    for number in _FORWARDED:
        loop.add_signal_handler(number, forward, number)
    try:
        yield
    finally:
        for number in _FORWARDED:
            loop.remove_signal_handler(number)


def _has_the_terminal() -> bool:
    """Whether this process is of the group that hears a terminal's keys."""
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _again(command: tuple[str, ...], scope: str | None, *flags: str) -> str:
    scoped = ["--scope", scope] if scope else []
    return shlex.join(["harness", "run", *flags, *scoped, "--", *command])


def _given(flags: dict[str, Any]) -> Iterator[str]:
    """The flags that say where and what is recorded."""
    for name in ("recordings", "upstream", "responses", "strict", "record_errors", "timings", "keep_equal"):
        flag, value = f"--{name.replace('_', '-')}", flags[name]
        match value:
            case None:
                continue
            case bool():
                yield flag if value else flag.replace("--", "--no-", 1)
            case _:
                for one in (value,) if isinstance(value, str) else value:
                    yield from (flag, one)


def _log(parts: "Parts", again: str) -> "RunLog":
    from harness.recording.key_variables import assignments
    from harness.report.run_log import RunLog, asked

    where = str(parts.settings.recordings)
    return RunLog(
        parts.settings.modes,
        lambda _, __, variables: " ".join([*assignments(variables), again]),
        asked=[asked(line, where) for line in parts.journal.lines],
    )


def _keep(log: "RunLog", parts: "Parts", code: int, again: str) -> None:
    """Note for ``harness prune`` what a command that passed has used; one that did not pass is nothing to go by."""
    from harness.pruning import states_of
    from harness.report import last_run
    from harness.report.coverage import Coverage

    place, here = parts.settings.recordings, Path.cwd()
    if code != 0 or log.missed():
        last_run.forget(again, here)
    elif log.asked and isinstance(place, Path):
        covered = Coverage(frozenset(one.scope for one in log.asked)).without(log.live())
        last_run.keep(last_run.last_run(again, covered, here, log.used(), {str(place): states_of(place)}), here)
