"""The command that runs tests again and records what they missed."""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from harness.pytest_plugin import options

_WITH_VALUE = (
    *("-c", "--config-file", "-m", "-o", "--override-ini", "-p", "--rootdir", "--import-mode", "--doctest-glob"),
    *(f"--harness-{name}" for name in ("recordings", "upstream", "responses", "state", "models", "setup")),
)
_ALONE = (
    "--doctest-modules",
    *(f"--harness-{name}" for name in ("strict", "record-errors", "timings", "vcr", "no-keep-equal", "on-import")),
)
"""What a run was given without which another one would not find the same tests, or record elsewhere."""


def record_command(config: pytest.Config, tests: Iterable[str], flags: Iterable[str], variables: Iterable[str]) -> str:
    """What to type where this run was begun; without tests, all of the suite runs again.

    ``flags`` are those by which the tests record, an empty one where it is the harness's mode; ``variables`` those that
    their keys come from. A setup takes its own from others.
    """
    from harness.recording.near_miss import record_tests_command

    sources = options.setup(config).sources

    named = [_from_here(config, test) for test in tests]
    return record_tests_command(
        named,
        _program(config),
        carried(config.invocation_params.args),
        flags=flags,
        variables=(source for variable in variables for source in sources.get(variable, (variable,))),
    )


def _from_here(config: pytest.Config, test: str) -> str:
    """A node id, which begins at the root of the suite, as seen from where the run was begun."""
    file, found, rest = test.partition("::")
    path = Path(os.path.relpath(config.rootpath / file, config.invocation_params.dir))
    return path.as_posix() + found + rest


def _program(config: pytest.Config) -> str:
    """``pytest``, or ``python -m pytest``, which finds other modules."""
    argv = getattr(config, "workerinput", {}).get("mainargv") or sys.argv
    return "python -m pytest" if Path(argv[0]).name == "__main__.py" else "pytest"


def carried(args: Iterable[str]) -> str:
    """Those of a run's arguments that belong to what it ran, as a shell takes them."""
    return " ".join(_carried(iter(args)))


def _carried(args: Iterator[str]) -> Iterator[str]:
    for arg in args:
        name, is_given, value = arg.partition("=")
        if arg == "--":
            return
        if arg in _ALONE:
            yield arg
        elif arg in _WITH_VALUE:
            value = next(args, "")
            if not value.startswith("no:"):
                yield f"{arg} {shlex.quote(value)}"
        elif name.startswith("--") and name in _WITH_VALUE and is_given:
            yield f"{name}={shlex.quote(value)}"
        elif arg[:2] in _WITH_VALUE and not arg.startswith("--"):
            yield shlex.quote(arg)
