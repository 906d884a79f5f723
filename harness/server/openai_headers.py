"""The headers that OpenAI's answers have beside the body. SDKs show one of them as the id of the request."""

import hashlib
from collections.abc import Mapping

from aiohttp import web

_VERSION = "2020-10-01"
"""What ``openai-version`` says."""


def request_id(seed: str | bytes) -> dict[str, str]:
    """The id of a request, from what tells its answer from others: the same answer has the same one in every run."""
    data = seed.encode() if isinstance(seed, str) else seed
    return {"x-request-id": f"req_{hashlib.sha256(data).hexdigest()[:32]}"}


def has_request_id(headers: Mapping[str, str]) -> bool:
    """Whether the request has an id already: OpenAI's or Anthropic's."""
    return "x-request-id" in headers or "request-id" in headers


def local_headers(seed: str | bytes) -> dict[str, str]:
    """The headers of an answer that no upstream gave. How long it took is not told: it would be another each time."""
    return {"openai-version": _VERSION, "openai-processing-ms": "0", **request_id(seed)}


async def complete(_: web.Request, response: web.StreamResponse) -> None:
    """Give a whole answer the headers that it lacks, before it is sent."""
    if has_request_id(response.headers):
        return
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        response.headers.update(local_headers(response.body))
