"""What a recording would look like had we written it: keys in our order, in step with itself, without secrets."""

from urllib.parse import urlsplit

from harness.recording.canonical import endpoint_of
from harness.recording.format import Document
from harness.recording.model import Json, Request
from harness.recording.redact import Redactor

_DOCUMENT = ("test_id", "request", "response", "id_normalization_mapping", "position")
_REQUEST = ("test_id", "method", "url", "headers", "body", "endpoint", "model", "media_type", "provider_metadata")
_RAW_REQUEST = ("test_id", "url", "method", "payload", "endpoint", "headers")
"""The order of OGX's exchanges over plain HTTP clients."""
_RESPONSE = (
    *("status", "body", "is_streaming", "envelope", "is_exception", "exception_data", "exception_message"),
    *("media_type", "headers", "timings", "is_broken"),
)


def mended(document: Document, redactor: Redactor) -> Document:
    """A document as it should be written; itself when it is as it should be."""
    return without_secrets(in_step(in_order(document)), redactor)


def in_order(document: Document) -> Document:
    """A document with the keys of the format in their order, those that we do not know behind them.

    Itself when what we know is in order: what else there is may stand anywhere.
    """
    request = document["request"]
    parts = {
        "request": _ordered(request, _REQUEST if "body" in request else _RAW_REQUEST),
        "response": _ordered(document["response"], _RESPONSE),
    }
    if any(parts[name] is not document[name] for name in parts):
        document = {**document, **parts}
    return _ordered(document, _DOCUMENT)


def _ordered(value: dict[str, Json], order: tuple[str, ...]) -> dict[str, Json]:
    known = [name for name in order if name in value]
    if known == [name for name in value if name in order]:
        return value
    return {name: value[name] for name in (*known, *(name for name in value if name not in order))}


def in_step(document: Document) -> Document:
    """A document whose request says the endpoint of its url and the model of its body; itself when it does."""
    request, body = document["request"], document["request"].get("body")
    should = dict(request)
    if "endpoint" in request:
        should["endpoint"] = endpoint_of(urlsplit(request["url"]).path)
    if "model" in request and isinstance(body, dict):
        should["model"] = Request("", "", body).model
    return document if should == request else {**document, "request": should}


def without_secrets(document: Document, redactor: Redactor) -> Document:
    """A document without secrets, those included that its stream spells out across chunks; itself when it has none."""
    response = document["response"]
    if response.get("is_streaming") and isinstance(response.get("body"), list):
        body = redactor.stream(response["body"])
        if body is not response["body"]:
            document = {**document, "response": {**response, "body": body}}
    clean: Document = redactor.redact(_without_user(document))
    return clean


def _without_user(document: Document) -> Document:
    """A document whose URL names no user and no password, as we write it: with a placeholder it would be no URL."""
    request = document["request"]
    parts = urlsplit(request.get("url") or "")
    _, at, host = parts.netloc.rpartition("@")
    return document if not at else {**document, "request": {**request, "url": parts._replace(netloc=host).geturl()}}
