"""``[tool.harness.setups]``: several providers for one suite, each with its models, chosen by name."""

import string
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.settings.sources import Found, checked_table, project_table
from harness.settings.tables import as_list, as_word
from harness.settings.values import upstream as as_upstream

_KEYS = ("models", "upstream", "env")


@dataclass(frozen=True, slots=True)
class Setup:
    """The models to run a suite with, where they are, and the variables that this takes (which may hold keys)."""

    models: Sequence[str] = ()
    upstream: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    unfilled: Sequence[str] = ()
    """Variables whose values need others that are not set."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each variable of ``env``, those that its value is taken from."""


def setup(name: str, directory: Path, environ: Mapping[str, str]) -> Setup:
    """The setup of that name for a project in ``directory``.

    In the values of its ``env``, ``$NAME`` stands for a variable of ``environ``, so that no key stands in a file; a
    value that needs one that is not set is left out, and its variable ``unfilled``. Raises SettingsError.
    """
    file, table = project_table(directory)
    setups = table.get("setups", {})
    if not isinstance(setups, dict) or name not in setups:
        known = ", ".join(setups) if isinstance(setups, dict) and setups else "none"
        hint = f'Write [tool.harness.setups], {name} = {{models = ["…"], upstream = "…"}}; there: {known}.'
        raise SettingsError(f"No setup {name!r} in {file}.", hint=hint)
    where = f"[tool.harness.setups.{name}]"
    value = checked_table(setups[name], _KEYS, where)
    try:
        return Setup(_models(value), _upstream(value, where, file.parent), *_env(value, where, environ))
    except TypeError as error:
        hint = 'Write models = ["…"], upstream = "…" and env = {NAME = "value"}.'
        raise SettingsError(f"{where} is not what it should be.", hint=hint) from error


def _models(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(as_word(model) for model in as_list(value.get("models", [])))


def _upstream(value: Mapping[str, Any], where: str, base: Path) -> str | None:
    return as_upstream(Found(value["upstream"], f"{where} upstream", base)) if "upstream" in value else None


def _env(
    value: Mapping[str, Any], where: str, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The variables, the names of those that could not be filled, and what each is taken from."""
    env = value.get("env", {})
    if not isinstance(env, dict):
        raise TypeError(env)
    templates = {name: string.Template(as_word(text)) for name, text in env.items()}
    filled = {}
    for name, template in templates.items():
        if not template.is_valid():
            hint = "Write $NAME for a variable, $$ for a dollar."
            raise SettingsError(f"{where} env: the value of {name} has a $ that names no variable.", hint=hint)
        with suppress(KeyError):
            filled[name] = template.substitute(environ)
    sources = {name: tuple(template.get_identifiers()) for name, template in templates.items()}
    return filled, tuple(name for name in env if name not in filled), sources
