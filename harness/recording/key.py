"""The key: the SHA-256 that names a recording's file."""

import hashlib
import json
import re
from typing import Any

from harness.recording.canonical import endpoint_of
from harness.recording.model import Request
from harness.recording.redact import BUILT_IN, Redactor

_SEQUENCE = re.compile(r"([0-9a-f]{64})-([1-9][0-9]*)")


def key(request: Request, redactor: Redactor = BUILT_IN) -> str:
    """The 64 hex digits that name the recording of ``request``.

    The rule is that of OGX's recordings: Python's default JSON separators and ASCII escapes over sorted keys, the path
    of the URL as ``endpoint``, and ``test_id`` there even when null, but left out for model listings. Secrets are
    redacted first, so that what is on disk hashes as what was sent. The query is hashed where there is one.
    """
    return key_of_clean(redactor.request(request))


def key_of_clean(request: Request) -> str:
    """The key of a request whose secrets are redacted already."""
    hashed: dict[str, Any] = {"method": request.method, "endpoint": request.path, "body": request.body}
    if request.query:
        hashed["query"] = request.query
    if endpoint_of(request.path) != "/v1/models":
        hashed["test_id"] = request.scope
    return digest(hashed)


def digest(value: Any) -> str:
    """SHA-256 over JSON as Python writes it by default, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def recording_name(key: str, number: int = 1) -> str:
    """The name (the file's stem) of the ``number``-th recording of ``key`` in a sequence, counted from 1."""
    return key if number == 1 else f"{key}-{number}"


def parse_stem(stem: str) -> tuple[str, int]:
    """A file's stem as ``(base, number)``; a name that is not one of a sequence is a base of its own.

    The stem may have folders before it (``chat/KEY-2``); they belong to the base.
    """
    folder, slash, name = stem.rpartition("/")
    match = _SEQUENCE.fullmatch(name)
    if match is None or match[2] == "1":
        return stem, 1
    return f"{folder}{slash}{match[1]}", int(match[2])
