"""Taking secrets out of what is saved.

Patterns only, and tight ones: redacting also happens before the key is computed, on both sides, so it must be a
function of the text alone and must leave ordinary text untouched.
"""

import re
from collections.abc import Iterable

from harness.recording.model import Json

PLACEHOLDER = "[redacted]"

_SHORTEST_KNOWN = 8

_SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{20,}"  # OpenAI's, Anthropic's and their imitators' keys
    r"|(?<=\bBearer )[A-Za-z0-9._~+/-]{20,}=*"
)


def redact(value: Json, known: Iterable[str] = ()) -> Json:
    """``value`` with every secret in its strings replaced by ``[redacted]``.

    ``known`` are secrets that are at hand (the upstream's key), whatever they look like. A value without secrets comes
    back as it is, not copied.
    """
    # The longest first: one that is part of another would leave the other's rest.
    known = sorted((secret for secret in known if len(secret) >= _SHORTEST_KNOWN), key=len, reverse=True)
    return _redact(value, known)


def _redact(value: Json, known: list[str]) -> Json:
    if isinstance(value, str):
        return _redact_text(value, known)
    if isinstance(value, list):
        items = [_redact(item, known) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        pairs = {_redact_text(name, known): _redact(item, known) for name, item in value.items()}
        same = all(new is old for new, old in zip(pairs.values(), value.values(), strict=False))
        return value if same and list(pairs) == list(value) else pairs
    return value


def _redact_text(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, PLACEHOLDER)
    return _SECRETS.sub(PLACEHOLDER, text)
