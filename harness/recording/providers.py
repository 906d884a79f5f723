"""Whose traffic an HTTP request is: a model provider's, or anybody else's."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from harness.recording.canonical import JSON_ENDPOINTS, endpoint_of
from harness.recording.model import Json

_HOSTS = re.compile(
    r"""
    api\.(openai|anthropic|mistral|groq|together|deepseek|cohere|fireworks|perplexity|cerebras|x)\.(com|ai|xyz|co)
    | (\w+\.)?api\.openai\.com | (api\.)?openrouter\.ai | generativelanguage\.googleapis\.com
    | [\w-]+-aiplatform\.googleapis\.com | aiplatform\.googleapis\.com | bedrock-runtime\.[\w-]+\.amazonaws\.com
    | [\w-]+\.(openai|services\.ai|cognitiveservices)\.azure\.com | api-inference\.huggingface\.co
    | router\.huggingface\.co | integrate\.api\.nvidia\.com | api\.moonshot\.(ai|cn) | dashscope[\w-]*\.aliyuncs\.com
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Hosts that serve models and little else."""

_ASKS = ("messages", "input", "prompt", "contents")
_BARE = re.compile(
    r"/(chat/completions|completions|embeddings|responses|conversations|messages|models|moderations|images|audio|files"
    r"|batches|vector_stores)(/.*)?$"
)
_OBJECTS = {
    "chat.completion": "/v1/chat/completions",
    "chat.completion.chunk": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "response": "/v1/responses",
    "embedding": "/v1/embeddings",
    "model": "/v1/models",
}
_FIELDS = {
    "messages": "/v1/chat/completions",
    "prompt": "/v1/completions",
    "encoding_format": "/v1/embeddings",
    "dimensions": "/v1/embeddings",
    "input": "/v1/responses",
}
"""The endpoint that a field of a request says; the first that is there counts."""


def is_provider(host: str) -> bool:
    """Whether a host serves models and little else."""
    return _HOSTS.fullmatch(host) is not None


def is_model_traffic(url: str, body: Json, hosts: Collection[str] = ()) -> bool:
    """Whether a request is one to a model provider.

    That is: to a known host or one of ``hosts`` (in lower case), or one that names a model and asks it something,
    wherever it goes: a server of one's own, or a URL that a cassette has hidden.
    """
    host = (urlsplit(url).hostname or "").lower() if is_url(url) else ""
    if host in hosts or is_provider(host):
        return True
    return isinstance(body, dict) and isinstance(body.get("model"), str) and any(name in body for name in _ASKS)


def is_url(url: str) -> bool:
    """Whether a text is the URL of a request: some cassettes have something else in its place."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def recorded_path(path: str) -> str:
    """The path that a recording has for a provider's: the same, with a ``/v1`` where the provider has none.

    ``https://api.deepseek.com/chat/completions`` is asked for as ``/v1/chat/completions`` through the harness.
    """
    if endpoint_of(path) in JSON_ENDPOINTS or endpoint_of(path).startswith("/v1/"):
        return path
    bare = _BARE.search(path)
    return f"/v1{bare[0]}" if bare else path


def inferred_path(body: Json, answer: Json) -> str | None:
    """The path that a request must have had, by what was asked and what was answered; None where that does not say.

    ``answer`` is the JSON of an answer, or of the first event of a stream.
    """
    said = answer if isinstance(answer, dict) else {}
    listed = said.get("data")
    if said.get("object") == "list" and isinstance(listed, list) and listed and isinstance(listed[0], dict):
        said = listed[0]
    kind = said.get("type")
    if kind in ("message", "message_start"):
        return "/v1/messages"
    if isinstance(kind, str) and kind.startswith("response."):
        return "/v1/responses"
    found = _OBJECTS.get(str(said.get("object")))
    asked = body if isinstance(body, dict) else {}
    return found or next((path for field, path in _FIELDS.items() if field in asked), None)
