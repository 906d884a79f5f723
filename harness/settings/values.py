"""One value as it was written, made into what it means. Each raises SettingsError and names the source."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from harness.errors import SettingsError
from harness.settings.model import DEFAULT_UPSTREAM, NO_KEY, Bucket, Mode, Place
from harness.settings.sources import Found

_NO_KEYS = ("", NO_KEY, "none")
_PLACEHOLDER = "…"
"""What stands for a key in the commands that we show."""

_APPROVALS: Sequence[Literal["always", "never"]] = ("always", "never")
_WHO_ANSWERS: Sequence[Literal["local", "upstream"]] = ("local", "upstream")

_Word = TypeVar("_Word", bound=str)


def parse_mode(value: Any, source: str = "mode") -> Mode:
    """One of the four modes, in capitals or not. Raises SettingsError for anything else."""
    try:
        return Mode(str(value).strip().lower())
    except ValueError:
        raise SettingsError(f"{source}: {value!r} is not a mode.", hint=f"Use one of: {', '.join(Mode)}.") from None


def mcp_mode(found: Found) -> Mode | None:
    """A mode; None for an empty text: the mode of the model."""
    return parse_mode(found.value, found.source) if found.value != "" else None


def as_text(found: Found) -> str:
    if not isinstance(found.value, str | Path):
        raise SettingsError(f"{found.source}: {found.value!r} is not text.", hint="Write it in quotes.")
    if not str(found.value).strip():
        raise SettingsError(f"{found.source} is empty.", hint="Name a place, or leave it out.")
    return str(found.value)


def places(found: Found) -> tuple[Place, ...]:
    """One place or several: a list, or, in an environment variable, separated like those of ``PATH``."""
    values = found.value if isinstance(found.value, list | tuple) else [found.value]
    if found.source.startswith("HARNESS_"):
        # The colon of a URL separates nothing.
        values = re.split(rf"{re.escape(os.pathsep)}(?!//)", str(found.value))
    if not values:
        raise SettingsError(f"{found.source} is empty.", hint="Name a place, or leave it out.")
    return tuple(place(found._replace(value=value)) for value in values)


def place(found: Found) -> Place:
    text = as_text(found)
    return _bucket(found.source, text) if "://" in text else found.base / text


def _bucket(source: str, text: str) -> Bucket:
    parts = urlsplit(text)
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError(
            # Not shown: it may hold a password.
            f"{source}: what it says is neither a directory nor a place in an object store.",
            hint="Write it like s3://bucket/prefix; keys and addresses of the store go into AWS_… variables.",
        )
    return Bucket(text.rstrip("/"))


def folder(found: Found) -> Path | None:
    """A directory, or None for an empty text."""
    return found.base / str(found.value) if found.value else None


def state(found: Found) -> str | None:
    """None for memory, a URL as it is, or a path from the root."""
    text = as_text(found)
    if text == ":memory:":
        return None
    return text if "://" in text else str(found.base / text)


def upstream(found: Found) -> str:
    source, text = found.source, str(found.value).strip()
    hint = f"Write it like {DEFAULT_UPSTREAM}, the /v1 included."
    parts = web_address(text)
    if parts is None:
        raise SettingsError(f"{source}: {found.value!r} is not a base URL.", hint=hint)
    if "@" in parts.netloc:
        # Not shown: it is most likely a password.
        raise SettingsError(f"{source}: the URL holds a name or a password.", hint="Put the key into OPENAI_API_KEY.")
    if parts.query or parts.fragment:
        raise SettingsError(f"{source}: a base URL ends with its path; {text!r} does not.", hint=hint)
    return text.rstrip("/")


def web_address(text: str) -> SplitResult | None:
    """A web address in parts; None for what is none."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_address and not any(map(str.isspace, text)) else None


def truth(found: Found) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = str(found.value).strip().lower()
    if word not in words:
        raise SettingsError(f"{found.source}: {found.value!r} is neither true nor false.", hint="Use true or false.")
    return words[word]


def mcp_approval(found: Found) -> Literal["always", "never"]:
    return _one_of(found, "is no approval", _APPROVALS)


def responses(found: Found) -> Literal["local", "upstream"]:
    return _one_of(found, "is not who answers", _WHO_ANSWERS)


def _one_of(found: Found, otherwise: str, words: Sequence[_Word]) -> _Word:
    """One of a few words, in capitals or not; ``otherwise`` says what any other is."""
    said = str(found.value).strip().lower()
    for word in words:
        if word == said:
            return word
    raise SettingsError(f"{found.source}: {found.value!r} {otherwise}.", hint=f"Use one of: {', '.join(words)}.")


def speed(found: Found) -> float | None:
    """How many times as fast as recorded; None for as fast as can be."""
    if found.value == "":
        return None
    try:
        number = float(found.value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < math.inf:
        hint = "Use 1 for the speed of the recording, 10 for ten times that."
        raise SettingsError(f"{found.source}: {found.value!r} is no speed.", hint=hint)
    return number


def api_key(environ: Mapping[str, str], variable: str = "OPENAI_API_KEY") -> str | None:
    """A variable's key; None where it has none. Raises SettingsError for the placeholder of a command that we show."""
    key = environ.get(variable, "").strip()
    if key == _PLACEHOLDER:
        hint = f"Write the key in its place; where the environment has it already, leave out {variable}={_PLACEHOLDER}."
        raise SettingsError(f"{variable}: {_PLACEHOLDER} stands for your key.", hint=hint)
    return None if key.lower() in _NO_KEYS else key
