"""The tables that only the project's file can hold."""

from typing import Any

from harness.errors import SettingsError
from harness.settings.model import Match
from harness.settings.sources import checked_table


def upstream_parameters(value: Any) -> tuple[str, ...]:
    try:
        return tuple(as_word(name) for name in as_list(value))
    except TypeError as error:
        raise SettingsError(
            "[tool.harness] upstream_parameters is not a list of names.",
            hint='Write upstream_parameters = ["repetition_penalty"].',
        ) from error


def match(value: Any) -> Match:
    table = checked_table(value, ("ignore", "replace"), "[tool.harness.match]")
    try:
        ignore = tuple(as_word(path) for path in as_list(table.get("ignore", [])))
        rules = as_list(table.get("replace", []))
        replace = tuple((as_word(rule["pattern"]), as_word(rule["placeholder"])) for rule in rules)
    except (KeyError, TypeError) as error:
        raise SettingsError(
            "[tool.harness.match] is not what it should be.",
            hint='Write ignore = ["path"] and replace = [{pattern = "…", placeholder = "…"}].',
        ) from error
    return Match(ignore, replace)


def as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def as_word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
