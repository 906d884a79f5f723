"""What every backend is: something that answers an inference request, whole or as a stream of bytes."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from harness.api.body import parse_object
from harness.recording.bodies import base_type, request_body
from harness.recording.model import JSON_TYPE, Request


class Session(Protocol):
    """What a backend holds open to a server."""

    def leave(self) -> None:
        """Let it end: nothing more is asked of it."""
        ...


@dataclass(eq=False, slots=True)
class Target:
    """A server that calls go to in place of the configured upstream.

    Calls that share a target share its session, which the backend opens on first need. Whoever made the target leaves
    it; a backend that asks nobody has nothing to open.
    """

    url: str
    session: Session | None = None

    def leave(self) -> None:
        if self.session is not None:
            self.session.leave()
            self.session = None


@dataclass(frozen=True)
class Call:
    """A request on its way to a backend.

    ``raw`` is the body as it came, byte for byte; ``headers`` are those that an upstream is to see, names in lower
    case. ``target`` is the server that is meant where it is not the configured upstream (an MCP server).
    ``query`` is the URL's, sorted. ``content_type`` is what the client says that the body is; None where the endpoint
    takes a JSON object, whatever the client says.
    """

    method: str
    path: str
    raw: bytes
    scope: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    target: Target | None = None
    query: str = ""
    content_type: str | None = None

    @cached_property
    def request(self) -> Request:
        """The request with its body decoded, on first need. Raises InvalidRequest when it is not what it should be."""
        if self.content_type is None:
            return Request(self.method, self.path, parse_object(self.raw), self.scope, self.query)
        body = request_body(self.raw, self.content_type)
        media_type = base_type(self.content_type) if self.raw else JSON_TYPE
        return Request(self.method, self.path, body, self.scope, self.query, media_type or JSON_TYPE)


@dataclass(slots=True)
class Answer:
    """A backend's answer: ``body`` when all of it is there, else ``stream``, byte pieces as they arrive.

    ``body`` may be a whole event stream too: ``media_type``, the value of Content-Type, says which. ``recording`` names
    the recording that answered. A stream's consumer that stops early calls ``aclose`` on it. ``again``, where there is
    one, answers the same request once more, as ``send`` would; None when it has to be sent.
    """

    status: int
    media_type: str
    body: bytes | None = None
    stream: AsyncIterator[bytes] | None = None
    recording: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    again: "Callable[[], Answer | None] | None" = None


class Sender(Protocol):
    """Raises HarnessError (RecordingNotFound, UpstreamError) instead of answering; a stream may raise UpstreamError."""

    async def send(self, call: Call) -> Answer: ...

    def forget(self, scope: str | None) -> None:
        """Begin the sequences of a scope anew, as for a test that is run again."""
        ...

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """The runs of these scopes (None: all) failed or were broken off: they replace no more than they recorded."""
        ...

    async def close(self, grace: float | None = None) -> None:
        """Finish what is being recorded, and let go of connections. What was not abandoned has ended well.

        What is not finished after ``grace`` seconds (by default as many as the backend finds right) is broken off.
        """
        ...


class Backend(Sender, Protocol):
    """What answers for models: it can list them, too."""

    async def models(self, call: Call) -> Answer:
        """Answer a model listing (``/v1/models``)."""
        ...


class AtHand(Protocol):
    """What answers some calls where they are asked, without an event loop. All of it may be called in any thread."""

    def at_hand(self, call: Call) -> Answer | None:
        """What ``send`` would answer, where one look is enough and nothing is waited for; None when it must be sent."""
        ...

    def forget(self, scope: str | None) -> None:
        """Begin the sequences of a scope anew."""
        ...


class Upstream(Protocol):
    """What recordings are made of: something real that answers."""

    async def ask(self, call: Call) -> Answer:
        """The answer, whatever its status. Raises UpstreamError."""
        ...

    async def check_key(self, call: Call, patience: float | None = None) -> None:
        """Raises UpstreamError when whoever answers this call refuses its key, as far as that can be told.

        Calls that come at once share a question, later ones its answer. None waits for it for more than ``patience``
        seconds after it was asked.
        """
        ...

    def secrets(self, call: Call) -> list[str]:
        """What of this call must never be written down."""
        ...

    def provider(self, call: Call) -> str:
        """Who answers, for a recording's ``url``: scheme and host."""
        ...

    async def close(self, grace: float | None = None) -> None:
        """Let go of connections, after ``grace`` seconds at the latest."""
        ...
