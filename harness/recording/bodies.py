"""Bodies of HTTP messages as JSON values, and back: what goes into a file and, of a request, into its key.

JSON is itself. Anything else is an object with one key that says what it is:

- ``{"__text__": "…"}``: text, in the charset that its media type names;
- ``{"__binary__": {"media_type", "base64"}}``: bytes of an answer; of a request, which is only ever compared,
  ``{"__binary__": {"media_type", "sha256", "size"}}``;
- ``{"__multipart__": [part, …]}``: a form, in its order, without its boundary, which is random. A field is
  ``{"name", "value"}``, a file ``{"name", "filename", "media_type", "sha256", "size"}``.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.policy import HTTP

from harness.errors import InvalidRequest, RecordingError
from harness.recording.model import JSON_TYPE, MULTIPART, STREAM_TYPE, Json

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/stream+json")
"""Streams of one JSON value on each line."""

TEXT, BINARY = "__text__", "__binary__"

_TEXTS = re.compile(r"text/.+|application/(.*\+)?(xml|yaml|jsonl|x-www-form-urlencoded|x-subrip)")


def base_type(content_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_stream(content_type: str) -> bool:
    """Whether bodies of this type are read piece by piece."""
    return base_type(content_type) in (STREAM_TYPE, *LINE_TYPES)


def is_json(content_type: str) -> bool:
    base = base_type(content_type)
    return base == JSON_TYPE or base.endswith("+json")


def is_multipart(content_type: str) -> bool:
    return base_type(content_type) == "multipart/form-data"


def request_body(raw: bytes, content_type: str) -> Json:
    """The body of a request; nothing is an empty object. Raises InvalidRequest for one that is not what it says."""
    if is_multipart(content_type):
        return {MULTIPART: _parts(raw, content_type)}
    if not raw.strip():
        return {}
    if is_json(content_type) or base_type(content_type) in ("", "application/x-www-form-urlencoded"):
        # What ``curl -d`` sends without saying so.
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            if is_json(content_type):
                message = f"We could not parse the JSON body of your request: {error}"
                raise InvalidRequest(message, code="invalid_json") from error
    text = _text(raw, content_type)
    return _digested(raw, content_type) if text is None else {TEXT: text}


def response_body(raw: bytes, content_type: str, *, must_be_json: bool = False) -> tuple[Json, str | None]:
    """The body of an answer and the media type to keep beside it, None for plain JSON.

    ``must_be_json`` is for endpoints that answer in JSON, whatever they call it. Raises ValueError for bytes that must
    be JSON, or say that they are, and are not.
    """
    if must_be_json or is_json(content_type) or (raw and not content_type):
        plain = must_be_json or base_type(content_type) in (JSON_TYPE, "")
        try:
            return json.loads(raw), None if plain else content_type
        except (ValueError, RecursionError) as error:
            if must_be_json or is_json(content_type):
                raise ValueError(*error.args) from error
    text = _text(raw, content_type) if raw else ""
    if text is not None:
        return {TEXT: text}, content_type
    return {BINARY: {"media_type": content_type, "base64": base64.b64encode(raw).decode()}}, content_type


def no_body(content_type: str) -> tuple[Json, str | None]:
    """The same of an answer that has none, whatever its type says of another (RFC 9110, section 9.3.2)."""
    return {TEXT: ""}, content_type


def content(body: Json, media_type: str) -> bytes | None:
    """The bytes that ``response_body`` made a value of; None for a value that is JSON itself.

    Raises RecordingError for base64 that is none.
    """
    if not isinstance(body, dict) or len(body) != 1:
        return None
    text, binary = body.get(TEXT), body.get(BINARY)
    if isinstance(text, str):
        return text.encode(_charset(media_type), "replace")
    if not isinstance(binary, dict):
        return None
    try:
        return base64.b64decode(binary["base64"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise RecordingError(f"a binary body without its base64: {error}", hint="Record it again.") from error


def sent_body(body: Json, media_type: str) -> tuple[bytes, str]:
    """A request's bytes and its Content-Type, of which ``request_body`` makes ``body`` again.

    Raises RecordingError for a body of which only a digest was kept: bytes, and files in a form.
    """
    if not isinstance(body, dict):
        return (b"" if body is None else json.dumps(body).encode()), media_type
    if isinstance(body.get(MULTIPART), list):
        return _form(body[MULTIPART])
    if BINARY in body:
        raise RecordingError("its body is bytes, of which a digest alone is kept", hint="Record it from its client.")
    text = body.get(TEXT)
    if isinstance(text, str) and len(body) == 1:
        return text.encode(_charset(media_type), "replace"), media_type
    return (json.dumps(body).encode() if body else b""), media_type


def _form(parts: list[Json]) -> tuple[bytes, str]:
    files = [part.get("filename") or part.get("name") for part in parts if not isinstance(part.get("value"), str)]
    if files:
        raise RecordingError(
            f"it is a form with a file ({files[0]}), whose content is not kept", hint="Record it from its client."
        )
    boundary = f"harness-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"
    fields = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{part.get("name", "")}"\r\n\r\n{part["value"]}\r\n'
        for part in parts
    )
    return f"{''.join(fields)}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _text(raw: bytes, content_type: str) -> str | None:
    """The text that bytes are, if their type says so and not a byte is lost; else None."""
    if not _TEXTS.fullmatch(base_type(content_type)):
        return None
    charset = _charset(content_type)
    try:
        text = raw.decode(charset)
        return text if text.encode(charset) == raw else None
    except UnicodeError:
        return None


def _charset(content_type: str) -> str:
    found = _headers(f"Content-Type: {content_type}".encode()).get_content_charset("utf-8")
    try:
        "".encode(found)
    except LookupError:
        return "utf-8"
    return found


def _digested(raw: bytes, content_type: str) -> Json:
    return {BINARY: {"media_type": base_type(content_type), **_digest(raw)}}


def _digest(raw: bytes) -> dict[str, Json]:
    return {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


def _parts(raw: bytes, content_type: str) -> list[Json]:
    return [_part(piece) for piece in _pieces(raw, _delimiter(content_type))[1:-1]]


def edited_form(raw: bytes, content_type: str, edit: Callable[[bytes, str | None], bytes]) -> bytes:
    """A form with the content of each part changed; ``edit`` gets it with the name of the file that it is, if any."""
    delimiter = _delimiter(content_type)
    first, *pieces, last = _pieces(raw, delimiter)
    changed = []
    for piece in pieces:
        headers, data = _cut(piece)
        changed.append(piece[: len(piece) - len(data)] + edit(data, headers.get_filename()))
    return delimiter.join([first, *changed, last])[2:]


def _delimiter(content_type: str) -> bytes:
    boundary = _headers(f"Content-Type: {content_type}".encode()).get_boundary()
    if not boundary:
        raise InvalidRequest("The form has no boundary in its Content-Type.", code="invalid_multipart")
    return b"\r\n--" + boundary.encode()


def _pieces(raw: bytes, delimiter: bytes) -> list[bytes]:
    """A form cut as RFC 2046 (5.1.1) says: a delimiter is a line break, two hyphens and the boundary.

    The first piece is what stands before the form, the last what stands behind it.
    """
    pieces = (b"\r\n" + raw).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise InvalidRequest("The form does not end with its boundary.", code="invalid_multipart")
    return pieces


def _cut(piece: bytes) -> tuple[Message | EmailMessage, bytes]:
    """The headers and the content of a part: behind the boundary stand spaces, the end of its line, headers, a gap."""
    _, _, rest = piece.partition(b"\r\n")
    head, _, data = (b"\r\n" + rest).partition(b"\r\n\r\n")
    return _headers(head.removeprefix(b"\r\n")), data


def _part(piece: bytes) -> Json:
    headers, data = _cut(piece)
    name = headers.get_param("name", "", "content-disposition")
    filename = headers.get_filename()
    said: dict[str, Json] = {"name": name if isinstance(name, str) else name[2]}
    if filename is None:
        text = _text(data, "text/plain")
        if text is not None:
            return said | {"value": text}
    named = {} if filename is None else {"filename": filename}
    return said | named | {"media_type": headers.get_content_type()} | _digest(data)


def _headers(head: bytes) -> Message | EmailMessage:
    # Names of files come as UTF-8; the parser reads headers as ASCII and keeps other bytes as surrogates.
    return BytesHeaderParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
