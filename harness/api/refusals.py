"""An upstream's errors in OpenAI's words: those that it answers with, and those in the middle of its stream."""

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError, InvalidRequest, UpstreamError

TOO_LONG = "context_length_exceeded"
"""The code of a request that does not fit into the model's context."""

NO_MODEL = "model_not_found"
"""The code of a model that is not there, or not for this client."""

_TOO_LONG_CODES = (TOO_LONG, "exceed_context_size_error")
_TOO_LONG_STATUSES = (400, 413, 422)
_TOO_LONG_WORDS = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|(prompt|input|messages?)( is| are)? too long"
    r"|too many (input |prompt )?tokens",
    re.IGNORECASE,
)
_NO_MODEL_WORDS = re.compile(r"\bmodel\b.*(not found|not exist|no access|unknown)", re.IGNORECASE | re.DOTALL)

_FAILURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    # Ours: there is nothing wrong with what was asked.
    ("server_error", re.compile(r"^(recording_not_found|conversation_locked)$")),
    ("invalid_base64_image", re.compile(r"^invalid.?base64$", re.IGNORECASE)),
    ("rate_limit_exceeded", re.compile(r"429|rate.?limit|too.?many.?requests|quota|throttl", re.IGNORECASE)),
    ("invalid_prompt", re.compile(r"context|invalid.?request|content.?(policy|filter)|^40[0-9]$", re.IGNORECASE)),
)
"""Codes of OpenAI's ``ResponseErrorCode``, and what upstreams write in their place."""


def refusal(status: int, body: bytes, headers: Mapping[str, str]) -> HarnessError:
    """An upstream's error answer as ours: its status, its message, its type, its code, its headers.

    A model that is not there is a 404 of chat completions, and a 400 of responses. That a request is too long is said
    in OpenAI's way, however the upstream says it.
    """
    fields = _fields(body)
    text = body.decode(errors="replace")[:300]
    message = str(fields.get("message") or f"The upstream answered {status}: {text}")
    code = _code(status, fields, message)
    kind = InvalidRequest if status < 500 else UpstreamError
    # A model that one may not use is a 403 here and there.
    is_missing = status == 404 and code == NO_MODEL
    return kind(
        message,
        param=_text(fields.get("param")) or ("model" if code == NO_MODEL else None),
        code=code,
        type=_text(fields.get("type")),
        http_status=400 if is_missing or code == TOO_LONG else status,
        headers=headers,
    )


def broken_off(error: Any) -> UpstreamError:
    """The error with which an upstream ends a stream that failed."""
    fields = error if isinstance(error, dict) else {"message": str(error)}
    code = fields.get("code")
    return UpstreamError(
        str(fields.get("message") or error),
        code=_text(code),
        type=_text(fields.get("type")),
        # Many upstreams write the status that they would have answered with as the code.
        http_status=code if isinstance(code, int) and 400 <= code < 600 else None,
        headers={},
    )


def failure_code(error: HarnessError, known: tuple[str, ...]) -> str:
    """The code of OpenAI's list (``known``) that says best why a response failed."""
    if error.code in known:
        return str(error.code)
    said = [word for word in (error.code, error.type, "429" if error.http_status == 429 else None) if word]
    found = (code for code, pattern in _FAILURES if any(map(pattern.search, said)))
    return next(found, "server_error")


def _fields(body: bytes) -> dict[str, Any]:
    """What stands inside ``error``; some upstreams write it without that shell, or as a text."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    error = value.get("error", value)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _code(status: int, fields: Mapping[str, Any], message: str) -> str | None:
    said = _text(fields.get("code"))
    if status in _TOO_LONG_STATUSES:
        known = said in _TOO_LONG_CODES or fields.get("type") in _TOO_LONG_CODES
        if known or _TOO_LONG_WORDS.search(message):
            return TOO_LONG
    if status == 404 and _NO_MODEL_WORDS.search(message):
        return NO_MODEL
    return said


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
