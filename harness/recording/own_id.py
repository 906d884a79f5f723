"""By which id an answer is known from a second one to the same request, however alike the two are.

A sequence may say the same twice. What a provider names at random it never names so again: a second answer that has the
name of the first is no answer, but a copy of the file.
"""

import re
from urllib.parse import urlsplit

from harness.recording.author import AUTHORED
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.format import Document
from harness.recording.ids import completion_id, is_brought_by
from harness.recording.model import Json
from harness.recording.naming import completion_ids

_ANSWERED_ANEW = (*CHUNKED, "/v1/messages", "/v1/responses")
"""Where each request makes an answer of its own; elsewhere asking twice may give one object twice."""

_RANDOM = re.compile(
    r"[A-Za-z]+[-_](?:(?=[A-Za-z0-9]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20,}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)
"""Too long for a counter or a word, and nothing that a test server says always."""


def own_id(document: Document, base: str) -> str:
    """The id that no second answer has, of a recording named ``base``; empty where there is none, or none for certain.

    That is the provider's own, or the normalized one: of completions it says which answer to its key it names.
    """
    request = document["request"]
    if str(request.get("method", "")).upper() != "POST" or request.get("provider_metadata") == AUTHORED:
        return ""
    endpoint = endpoint_of(urlsplit(str(request.get("url"))).path)
    if endpoint not in _ANSWERED_ANEW:
        return ""
    ids = document.get("id_normalization_mapping")
    given = ids.items() if isinstance(ids, dict) else ()
    brought = (upstream for name, upstream in given if is_brought_by(name, base) and _is_random(upstream))
    of_completion = (one for one in sorted(completion_ids(document)) if one == completion_id(base) or _is_random(one))
    return next(brought, "") or (next(of_completion, "") if endpoint in CHUNKED else "")


def _is_random(text: Json) -> bool:
    return isinstance(text, str) and _RANDOM.fullmatch(text) is not None
