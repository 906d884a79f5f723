"""What an upstream has of its own: keys of a request that OpenAI does not know, handed on as they are."""

from collections.abc import Set as AbstractSet
from typing import Any

from harness.api.errors import invalid_value

RESERVED = ("model", "messages", "stream", "stream_options", "n")
"""Keys of a chat completion that say what is asked and how it is answered: the harness's own."""


def gather(body: dict[str, Any], names: AbstractSet[str]) -> dict[str, Any]:
    """The body with the keys called ``names`` moved into its ``extra_body``."""
    named = {name: value for name, value in body.items() if name in names}
    given = body.get("extra_body")
    if not named or not isinstance(given, dict | None):
        return body
    rest = {name: value for name, value in body.items() if name not in names}
    return rest | {"extra_body": named | (given or {})}


def check_extra(extra: dict[str, Any]) -> None:
    """Raises InvalidRequest for a key that cannot be handed on, because the harness writes it itself."""
    for name in extra:
        if name in RESERVED:
            raise invalid_value(
                f"extra_body.{name}", f"Invalid 'extra_body.{name}': the harness writes '{name}' itself."
            )
