"""The exchange in memory: one request with its response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A value as ``json.loads`` gives it."""

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"

MULTIPART = "__multipart__"
"""The one key of a body that stands for a form: the list of its parts (``harness.recording.bodies``)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked.

    ``path`` is the path of the URL as the client wrote it (``/v1/chat/completions``), ``query`` its query, sorted,
    empty as a rule. ``body`` is the decoded JSON; a body that is none is a JSON value that says what it is
    (``harness.recording.bodies``), and ``media_type`` what it was sent as. ``scope`` is the test for which the exchange
    is recorded (a pytest node id, as a rule) or None when it is shared.
    """

    method: str
    path: str
    body: Json
    scope: str | None = None
    query: str = ""
    media_type: str = JSON_TYPE

    @property
    def model(self) -> str:
        """The model that the body names, or an empty string."""
        model = self._said("model")
        return model if isinstance(model, str) else ""

    @property
    def wants_stream(self) -> bool:
        return self._said("stream") in (True, "true")

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with its usage chunk (``stream_options.include_usage``)."""
        options = self._said("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def _said(self, name: str) -> Json:
        """A key of the body, or a field of the form that it is."""
        if not isinstance(self.body, dict):
            return None
        parts = self.body.get(MULTIPART)
        if isinstance(parts, list):
            return next((part.get("value") for part in parts if part.get("name") == name), None)
        return self.body.get(name)


@dataclass(frozen=True, slots=True)
class Response:
    """What the upstream answered.

    ``body`` is one JSON value; with ``is_streaming`` it is the list of a stream's chunks, or, for an API whose events
    have names (Anthropic's) and for streams of no kind that we know, the list of its lines of SSE text. A ``status`` of
    400 or more carries an error body.

    ``media_type`` is None for what is plain (JSON, and SSE for a stream); a body of any other type is a JSON value that
    says what it is. ``headers`` are those on the allow-list, names in lower case. ``timings``, where they were asked
    for, has ``first_byte``, in seconds from the request, and ``chunks``, in seconds from what came before each. With
    ``is_broken`` the stream ended before it was complete.
    """

    body: Json
    is_streaming: bool = False
    status: int = 200
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, Json] | None = None
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its response.

    ``provider`` is the scheme and host that answered (``https://api.openai.com``); ``metadata`` goes into the file's
    ``provider_metadata``, ``ids`` (normalized id to the upstream's) into its ``id_normalization_mapping``. ``position``
    says which of its scope's requests this one was, counted from 1, where that is known: of what was recorded one after
    the other.
    """

    request: Request
    response: Response
    provider: str = "https://api.openai.com"
    metadata: dict[str, Json] | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    position: int | None = None
