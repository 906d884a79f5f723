"""``[tool.harness.upstreams]``: providers with names, and what is known of some of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.settings import values
from harness.settings.model import DEFAULT_UPSTREAM, NamedUpstream
from harness.settings.sources import Found, checked_table

_FIELDS = ("base_url", "key_env", "auth", "api_version", "query", "headers")
_AUTH = ("bearer", "api-key", "x-api-key", "none")
_NOT_NAMES = ("v1", "scope", "health")

_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "openai": {"base_url": DEFAULT_UPSTREAM, "key_env": "OPENAI_API_KEY"},
    "azure": {"key_env": "AZURE_OPENAI_API_KEY", "auth": "api-key"},
    "anthropic": {
        "base_url": "https://api.anthropic.com/v1",
        "key_env": "ANTHROPIC_API_KEY",
        "auth": "x-api-key",
        "headers": {"anthropic-version": "2023-06-01"},
    },
    "ollama": {"base_url": "http://localhost:11434/v1", "auth": "none"},
}
"""What a table of this name need not say."""


def named_upstreams(value: Any, environ: Mapping[str, str]) -> dict[str, NamedUpstream]:
    """Every upstream that the project names, its key from the variable that it names. Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError("[tool.harness.upstreams] is not a table.", hint="Write [tool.harness.upstreams.NAME].")
    return {name: _upstream(name, table, environ) for name, table in value.items()}


def _upstream(name: str, value: Any, environ: Mapping[str, str]) -> NamedUpstream:
    where = f"[tool.harness.upstreams.{name}]"
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name in _NOT_NAMES:
        raise SettingsError(f"{where}: {name!r} cannot be a name.", hint="Use letters, digits, '-' and '_'.")
    table = {**_KNOWN.get(name, {}), **checked_table(value, _FIELDS, where)}
    if "base_url" not in table:
        raise SettingsError(f"{where} has no base_url.", hint='Write base_url = "https://…/v1".')
    auth = table.get("auth", "bearer")
    if auth not in _AUTH:
        raise SettingsError(f"{where}: auth {auth!r} is not known.", hint=f"Use one of: {', '.join(_AUTH)}.")
    base_url = values.upstream(Found(table["base_url"], f"{where} base_url", Path()))
    query = _texts(table.get("query", {}), f"{where} query")
    if "api_version" in table:
        # Azure's way: the model is a deployment, the version of the API stands in the query.
        query["api-version"] = str(table["api_version"])
        base_url += "" if "/openai" in base_url else "/openai/deployments/{model}"
    elif name == "azure" and "/openai" not in base_url:
        base_url += "/openai/v1"
    key_env = str(table["key_env"]) if "key_env" in table else None
    key = values.api_key(environ, key_env) if key_env else None
    return NamedUpstream(base_url, key, auth, query, _texts(table.get("headers", {}), f"{where} headers"), key_env)


def _texts(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise SettingsError(f"{where} is not a table of texts.", hint='Write { NAME = "VALUE" }.')
    return {name.lower() if where.endswith("headers") else name: item for name, item in value.items()}
