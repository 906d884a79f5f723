"""The exchange in memory: one request with its response."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A value as ``json.loads`` gives it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked.

    ``path`` is the path of the URL (``/v1/chat/completions``), ``body`` the decoded JSON, ``scope`` the test for which
    the exchange is recorded (a pytest node id, as a rule) or None when it is shared.
    """

    method: str
    path: str
    body: Json
    scope: str | None = None

    @property
    def model(self) -> str:
        """The model that the body names, or an empty string."""
        model = self.body.get("model") if isinstance(self.body, dict) else None
        return model if isinstance(model, str) else ""

    @property
    def wants_stream(self) -> bool:
        return isinstance(self.body, dict) and self.body.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with its usage chunk (``stream_options.include_usage``)."""
        options = self.body.get("stream_options") if isinstance(self.body, dict) else None
        return isinstance(options, dict) and options.get("include_usage") is True


@dataclass(frozen=True, slots=True)
class Response:
    """What the upstream answered.

    ``body`` is one JSON value; with ``is_streaming`` it is the list of a stream's chunks, or, for an API whose events
    have names (Anthropic's), the list of its lines of SSE text. A ``status`` of 400 or more carries an error body.
    """

    body: Json
    is_streaming: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its response.

    ``provider`` is the scheme and host that answered (``https://api.openai.com``); ``metadata`` goes into the file's
    ``provider_metadata``.
    """

    request: Request
    response: Response
    provider: str = "https://api.openai.com"
    metadata: dict[str, Json] | None = None
