"""By which rule a file is named: ours, or one that OGX's recordings were named by in their time."""

import re
from enum import Enum

from harness.recording.format import Document
from harness.recording.generations import digests, is_rewritten, untested_digests
from harness.recording.ids import completion_id
from harness.recording.model import Json

_LISTING = re.compile(r"models-([0-9a-f]{12,64})-[0-9a-f]{8}")
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
    ANSWER = "its answer alone, if its request was rewritten since"
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
    if (len(name) == _SHORT or _DIGEST.fullmatch(name)) and any(one.startswith(name) for one in digests(document)):
        return Naming.OLDER
    if _is_of_untold_test(base, document):
        return Naming.UNTOLD
    is_answers = completion_ids(document) == {completion_id(name)}
    return Naming.ANSWER if is_answers and is_rewritten(name, document) else Naming.NONE


def _is_of_untold_test(base: str, document: Document) -> bool:
    """Whether a file may be named for a test that it does not tell, as OGX's were for a while.

    The ids of their completions were normalized, by the older rule: that shows whether the request is the one that was
    asked. Nothing in such a file shows whether its name is: whatever looks like a digest passes.
    """
    is_digest = _DIGEST.fullmatch(base) and not _REPEATED.search(base) and len(set(base)) >= _FEWEST_DIGITS
    if not is_digest or not {"test_id", "id_normalization_mapping"}.isdisjoint(document):
        return False
    return completion_ids(document) <= {completion_id(one) for one in untested_digests(document)}


def completion_ids(document: Document) -> set[str]:
    """The ids of the completion, or of its chunks."""
    body = document["response"].get("body")
    return {_id_of(item) for item in (body if isinstance(body, list) else [body])} - {""}


def _id_of(item: Json) -> str:
    """The id of a completion or a chunk; empty where there is none."""
    data = item.get("__data__") if isinstance(item, dict) else None
    id = data.get("id") if isinstance(data, dict) else None
    return id if isinstance(id, str) else ""
