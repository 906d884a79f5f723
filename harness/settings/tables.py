"""The tables that only the project's file can hold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import SettingsError
from harness.settings.model import Match, Redact
from harness.settings.sources import checked_table
from harness.settings.values import web_address


def upstream_parameters(value: Any) -> tuple[str, ...]:
    try:
        return tuple(as_word(name) for name in as_list(value))
    except TypeError as error:
        raise SettingsError(
            "[tool.harness] upstream_parameters is not a list of names.",
            hint='Write upstream_parameters = ["repetition_penalty"].',
        ) from error


def mcp_connectors(value: Any) -> dict[str, str]:
    """``[tool.harness.mcp_connectors]``: ids of connectors, and the URLs of the servers that stand in for them."""
    if not isinstance(value, dict) or not all(isinstance(url, str) and web_address(url) for url in value.values()):
        raise SettingsError(
            "[tool.harness] mcp_connectors is not a table of http URLs.",
            hint='Write mcp_connectors = {connector_gmail = "http://127.0.0.1:8000/mcp"}.',
        )
    return value


def match(value: Any) -> Match:
    """``[tool.harness.match]``; a name in it that begins with a slash is an endpoint, with a table of its own."""
    table = value if isinstance(value, dict) else {}
    endpoints = {
        name: _rules(inner, f'[tool.harness.match."{name}"]') for name, inner in table.items() if name.startswith("/")
    }
    rest = {name: item for name, item in table.items() if name not in endpoints} if isinstance(value, dict) else value
    return replace(_rules(rest, "[tool.harness.match]"), endpoints=endpoints)


def _rules(value: Any, name: str) -> Match:
    table = checked_table(value, ("ignore", "replace", "presets"), name)
    try:
        ignore = tuple(as_word(path) for path in as_list(table.get("ignore", [])))
        rules = as_list(table.get("replace", []))
        pairs = tuple((as_word(rule["pattern"]), as_word(rule["placeholder"])) for rule in rules)
        presets = tuple(as_word(preset) for preset in as_list(table.get("presets", [])))
        for rule in rules:
            checked_table(rule, ("pattern", "placeholder"), f"{name} replace")
    except (KeyError, TypeError) as error:
        raise SettingsError(
            f"{name} is not what it should be.",
            hint='Write ignore = ["path"], replace = [{pattern = "…", placeholder = "…"}] and presets = ["dates"].',
        ) from error
    return Match(ignore, pairs, presets)


def redact(value: Any, environ: Mapping[str, str]) -> Redact:
    """``[tool.harness.redact]``, with the values of the variables that it names."""
    table = checked_table(value, ("patterns", "fields", "env"), "[tool.harness.redact]")
    try:
        patterns, fields, names = (
            tuple(as_word(word) for word in as_list(table.get(name, []))) for name in ("patterns", "fields", "env")
        )
    except TypeError as error:
        raise SettingsError(
            "[tool.harness.redact] is not what it should be.",
            hint='Write patterns = ["ACME-[0-9]+"], fields = ["ssn"] and env = ["ACME_TOKEN"].',
        ) from error
    return Redact(patterns, fields, tuple(environ[name].strip() for name in names if environ.get(name, "").strip()))


def as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def as_word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
