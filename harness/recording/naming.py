"""By which rule a file is named: ours, or one that OGX's recordings were named by in their time."""

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from urllib.parse import urlsplit

from harness.recording.format import Document
from harness.recording.ids import completion_id
from harness.recording.key import digest
from harness.recording.model import Json

_LISTING = re.compile(r"models-([0-9a-f]{12,64})-[0-9a-f]{8}")
_LONG_DECIMAL = re.compile(r"\d+\.\d{4,}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REPEATED = re.compile(r"(.)\1{8}")
_FEWEST_DIGITS = 9
"""A digest has nearly all of the sixteen digits, and none nine times in a row; one in a billion is otherwise."""
_SHORT = 12


class Naming(Enum):
    """What a file's name follows from."""

    KEY = "the key"
    OLDER = "an older rule"
    UNTOLD = "an older rule, if for a test that it does not tell"
    NONE = "no rule"


def is_listing_name(base: str) -> bool:
    """Whether a name is one of OGX's for a model listing: ``models-``, the request's digest, the answer's digest.

    Several listings may share their request.
    """
    return _LISTING.fullmatch(base) is not None


def naming(base: str, document: Document, key: str = "") -> Naming:
    """The rule that names ``document`` ``base`` (a file's stem without the number of a sequence).

    ``key`` is that of what the document holds, empty when that is no exchange over HTTP.
    """
    if key and base == key:
        return Naming.KEY
    listing = _LISTING.fullmatch(base)
    name = listing[1] if listing else base
    older = [digest(value) for value in _older(document)]
    if name in older or (len(name) == _SHORT and any(one.startswith(name) for one in older)):
        return Naming.OLDER
    return Naming.UNTOLD if _is_of_untold_test(base, document, older) else Naming.NONE


def _is_of_untold_test(base: str, document: Document, older: Sequence[str]) -> bool:
    """Whether a file may be named for a test that it does not tell, as OGX's were for a while.

    The ids of their completions were normalized, by the older rule: that shows whether the request is the one that was
    asked. Nothing in such a file shows whether its name is: whatever looks like a digest passes.
    """
    is_digest = _DIGEST.fullmatch(base) and not _REPEATED.search(base) and len(set(base)) >= _FEWEST_DIGITS
    if "test_id" in document or not is_digest:
        return False
    body = document["response"].get("body")
    said = {_id_of(item) for item in (body if isinstance(body, list) else [body])} - {""}
    return said <= {completion_id(one) for one in older}


def _id_of(item: Json) -> str:
    """The id of a completion or a chunk; empty where there is none."""
    data = item.get("__data__") if isinstance(item, dict) else None
    id = data.get("id") if isinstance(data, dict) else None
    return id if isinstance(id, str) else ""


def _older(document: Document) -> Iterator[Json]:
    """What OGX's recordings were hashed by, the newest rule first; each also with long decimals rounded."""
    request = document["request"]
    # Exchanges of tools, and those over plain HTTP clients: what the file has as its request, for a test or for none.
    yield request
    yield {name: value for name, value in request.items() if name != "test_id"}
    url, body = request.get("url"), request.get("body", request.get("payload"))
    if not isinstance(url, str):
        return
    try:
        path = urlsplit(url).path
    except ValueError:
        return
    plain = {"method": str(request.get("method", "")).upper(), "endpoint": path, "body": body}
    for hashed in (plain, {**plain, "body": _rounded(body)}):
        yield {**hashed, "test_id": document.get("test_id")}
        yield hashed


def _rounded(value: Json) -> Json:
    """Long decimals as OGX's hashes have them, in numbers and in texts: five digits."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, str):
        return _LONG_DECIMAL.sub(lambda found: f"{float(found[0]):.5f}", value)
    return value
