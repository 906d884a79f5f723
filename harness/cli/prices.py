"""The option ``--prices``: a table of what tokens cost, in TOML or JSON."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from harness.recording.prices import Prices

F = TypeVar("F", bound=Callable[..., Any])


def read_prices(path: Path) -> "Prices":
    """The prices of a file. Raises SettingsError for what is no table of prices."""
    from harness.errors import SettingsError
    from harness.recording.prices import parse_prices

    try:
        text = path.read_text("utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}", hint="Mend the file, or name another.") from error
    return parse_prices(table, str(path))


def with_prices(command: F) -> F:
    """Give a command ``--prices``, a path."""
    return click.option(
        "--prices",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help='What tokens cost, per million: TOML or JSON, ["gpt-4o"] input = 2.5, output = 10.',
    )(command)
