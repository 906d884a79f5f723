"""What OGX's recordings were named by: the digest of their request, by the rule of each generation.

The rules are those of OGX's recorder (``normalize_inference_request`` and its like) in its releases since it was
llama-stack. When it got its new name, its recordings were rewritten and kept their file names: what stood there before
is tried as well, so that a name is proven by its digest or not at all.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.recording.format import Document
from harness.recording.key import digest
from harness.recording.model import Json

_LONG_DECIMAL = re.compile(r"\d+\.\d{4,}")
_UUID = "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"
_SCORES = (
    (re.compile(r"score:\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"), "score: __NORMALIZED__"),
    (re.compile(r",?\s*attributes:\s*\{[^}]*\}"), ""),
)
"""What a file search tells a model beside the text that it found."""
_SEARCHES = (
    *_SCORES,
    (re.compile(rf"document_id:\s*{_UUID}"), "document_id: __NORMALIZED__"),
    (re.compile(rf"<\|{_UUID}\|>"), "<|__NORMALIZED__|>"),
)
_FOUND = "document_id: file-"
_OF_CALLS = 8
"""How many digits of a name are in the ids of calls."""
_Patterns = tuple[tuple[re.Pattern[str], str], ...]

_SHARED = ("/models", "/info")
"""What was asked for all tests: recordings of it may be named for none, whichever asked first."""

_OF_TESTS = (
    ("::test_output_guardrails_", "::test_output_safety_guardrails_"),
    ("::test_input_guardrails[", "::test_input_safety_guardrails["),
    ("[ogx_client-", "[llama_stack_client-"),
)
"""What was rewritten in the names of tests, and what stood there before."""
_OF_TEXTS = (
    (("ogx_and_models", "llama_stack_and_models"),),
    (("ogx_and_models", "llama_stack_and_models"), ("OGX", "Llama Stack")),
    (("OGX", "LlamaStack"), ("ogx", "llama-stack")),
    (("The OGX Contributors", "Meta Llama"),),
)
"""The same of texts that a model was sent; these are the ways in which a text was rewritten."""


def digests(document: Document) -> Iterator[str]:
    """By which digests a recording may be named, the commonest rule first."""
    request = document["request"]
    # Exchanges of tools, and those over plain HTTP clients: what the file has as its request, for a test or for none.
    yield digest(request)
    yield digest({name: value for name, value in request.items() if name != "test_id"})
    for hashed in _hashed(document):
        text = json.dumps(hashed, sort_keys=True)
        for one in (text, *_as_before(text)):
            yield hashlib.sha256(one.encode()).hexdigest()


def untested_digests(document: Document) -> Iterator[str]:
    """The digests of the request by itself, as for a while they were in the ids of answers."""
    for hashed in _hashed(document):
        if "test_id" not in hashed:
            yield digest(hashed)


def is_rewritten(name: str, document: Document) -> bool:
    """Whether a request may have been rewritten after it named its file ``name``, in a generation that did so.

    Ids of calls were made of the file's name; what a file search had found got other ids. Later files tell their
    generation by their mapping of ids.
    """
    if "id_normalization_mapping" in document:
        return False
    body = document["request"].get("body")
    messages = body.get("messages") if isinstance(body, dict) else None
    quoted = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    of_tools = json.dumps([one for one in quoted if one.get("role") == "tool"])
    return f'"toolcall-{name[:_OF_CALLS]}-' in of_tools or _FOUND in of_tools


def _hashed(document: Document) -> Iterator[dict[str, Json]]:
    """What was hashed of an exchange over HTTP: its request, with its test, with none, or without that key."""
    request = document["request"]
    url, body = request.get("url"), request.get("body", request.get("payload"))
    if not isinstance(url, str):
        return
    try:
        path = urlsplit(url).path
    except ValueError:
        return
    bodies = list(_bodies(body))
    tests: list[dict[str, Json]] = [{"test_id": document.get("test_id")}, {}]
    if path.endswith(_SHARED):
        tests.append({"test_id": None})
    for test in tests:
        for one in bodies:
            yield {"method": str(request.get("method", "")).upper(), "endpoint": path, "body": one, **test}


def _bodies(body: Json) -> Iterator[Json]:
    """A body as each rule hashed it, each form once. One that is not there was hashed as an empty object."""
    body = {} if body is None else body
    seen: list[Json] = []
    for one in (body, _stable(body), _stable(body, _SEARCHES), _stable(body, _SCORES)):
        for form in (one, _without_project(one), _without_options(one)):
            if form not in seen:
                seen.append(form)
                yield form


def _without_project(body: Json) -> Json:
    """A body without the project that an account of IBM's belongs to."""
    if not isinstance(body, dict):
        return body
    extra = {name: body[name] for name in ("extra_body", "extra_query") if isinstance(body.get(name), dict)}
    return {**body, **{name: _without(value, "project_id") for name, value in extra.items()}}


def _without_options(body: Json) -> Json:
    """A body without what Bedrock's recordings were not named for."""
    return _without(body, "stream_options") if isinstance(body, dict) else body


def _without(value: dict[str, Json], gone: str) -> dict[str, Json]:
    return {name: item for name, item in value.items() if name != gone}


def _stable(value: Json, patterns: _Patterns = ()) -> Json:
    """A value with what differs from run to run set aside: long decimals have five digits, in texts as well."""
    if isinstance(value, dict):
        return {name: _stable(item, patterns) for name, item in value.items()}
    if isinstance(value, list):
        return [_stable(item, patterns) for item in value]
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, str):
        for pattern, placeholder in patterns:
            value = pattern.sub(placeholder, value)
        return _LONG_DECIMAL.sub(lambda found: f"{float(found[0]):.5f}", value)
    return value


def _as_before(text: str) -> Iterator[str]:
    """A text as it was before it was rewritten, in each way in which it may have been."""
    tested = text
    for new, old in _OF_TESTS:
        tested = tested.replace(new, old)
    if tested != text:
        yield tested
    for pairs in _OF_TEXTS:
        before = tested
        for new, old in pairs:
            before = before.replace(new, old)
        if before != tested:
            yield before
