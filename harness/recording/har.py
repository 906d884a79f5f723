"""HTTP archives (HAR 1.2), as browsers and mitmproxy write them: the exchanges in one.

The bodies of answers are without their content codings there; ``encoding`` says ``base64`` where they are no text.
What an archive says besides (comments, timings, caches, fields of a program's own) is passed over.
"""

import base64
import binascii
import codecs
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from harness.errors import RecordingError
from harness.recording.http_exchange import HttpExchange
from harness.recording.model import Json

_AGAIN = "Save it again as HAR, with its contents."
_FORM = "application/x-www-form-urlencoded"


def entries_of(data: bytes) -> list[Json]:
    """The entries of an archive. Raises RecordingError when it is none."""
    text = _text(data)
    try:
        archive = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordingError(_fault(text, error), hint=_AGAIN) from error
    except RecursionError as error:
        raise RecordingError("not an HTTP archive: nested too deeply", hint=_AGAIN) from error
    log = archive.get("log") if isinstance(archive, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise RecordingError('not an HTTP archive: no "log" with "entries"', hint=_AGAIN)
    return entries


def _text(data: bytes) -> str:
    """An archive is UTF-8; PowerShell saves UTF-16, with a byte order mark."""
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        said = f"not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
        raise RecordingError(
            said, hint="Save it again as HAR, or as UTF-8: archives have no other encoding."
        ) from error


def _fault(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "the file is empty"
    rest = text[error.pos :].strip()
    is_half = any(word.startswith(rest) for word in ("true", "false", "null"))
    # A string that does not end is told from where it began.
    is_cut_off = is_half or error.msg.startswith("Unterminated string")
    return f"cut off in line {text.rstrip().count(chr(10)) + 1}" if is_cut_off else f"not JSON: {error}"


def http_of_entry(entry: Json) -> HttpExchange:
    """One entry as it crossed the wire. Raises RecordingError for one that is none, or was never answered."""
    try:
        return _http(entry["request"], entry["response"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"not an entry of HAR 1.2: {error!r}", hint="Save it again as HAR.") from error


def _http(request: dict[str, Any], response: dict[str, Any]) -> HttpExchange:
    status = int(response["status"])
    if status < 100:
        raise RecordingError("it was never answered", hint="Ask again, and save the archive after the answer.")
    asked, said = _headers(request["headers"]), _headers(response["headers"])
    posted = request.get("postData") or {}
    content = response.get("content") or {}
    if posted.get("mimeType"):
        asked.setdefault("content-type", posted["mimeType"])
    if content.get("mimeType"):
        said.setdefault("content-type", content["mimeType"])
    body = _content(content, said)
    return HttpExchange(
        str(request["method"]), str(request["url"]), asked, b"".join(_posted(posted)), status, said, body
    )


def _headers(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Names in lower case, values as texts; HTTP/2's pseudo-headers and the codings are left out."""
    pairs = {str(row["name"]).lower(): str(row["value"]) for row in rows}
    return {name: value for name, value in pairs.items() if not name.startswith(":") and name != "content-encoding"}


def _posted(posted: dict[str, Any]) -> Iterator[bytes]:
    text, params = posted.get("text"), posted.get("params")
    if text:
        yield _bytes(text, posted)
    elif params and posted.get("mimeType", "").startswith(_FORM):
        yield urlencode([(row["name"], row.get("value", "")) for row in params]).encode()
    elif params:
        raise RecordingError("its form was saved without its text", hint="Save it with mitmproxy.")


def _content(content: dict[str, Any], headers: dict[str, str]) -> bytes:
    if "text" in content:
        return _bytes(content["text"], content)
    if content.get("size", 0) > 0 or "text/event-stream" in headers.get("content-type", ""):
        raise RecordingError("its answer was saved without its content", hint="Save it 'with content'.")
    return b""


def _bytes(text: str, holder: dict[str, Any]) -> bytes:
    if holder.get("encoding") != "base64":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RecordingError(f"its content is not base64, as it says: {error}", hint="Save it again.") from error
