"""What handlers share: the parts that wiring has chosen, the scope of a request, its JSON body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from harness.api.body import parse_object
from harness.api.mcp import McpPolicy
from harness.backends.protocol import Answer, AtHand, Backend
from harness.errors import HarnessError, InvalidRequest
from harness.server.background import Runs
from harness.server.identity import Identity
from harness.stores.protocol import StateStore

SCOPE_HEADER = "X-Harness-Test-Id"
SCOPE_PREFIX = "/scope/{scope}"
"""What stands before ``/v1`` in a base URL that carries its scope."""


def _no_counter(_: str) -> Callable[[str], int]:
    raise HarnessError("This server counts no tokens.", code="tokens_unavailable", http_status=501)


@dataclass(slots=True)
class Unscoped:
    """Whose requests are that name no scope: nobody's, or, where tests run, the test's that runs now.

    So are those that name a scope which is ``past``: a client that was made in one test, and kept, is another's now.
    Where that ``changes``, what such a request is answered does not show in its bytes.
    """

    scope: str | None = None
    changes: bool = False
    past: set[str] = field(default_factory=set)

    def whose(self, named: str | None) -> str | None:
        """The scope of a request that names this one."""
        return self.scope if named is None or named in self.past else named

    def shows(self, named: str | None) -> bool:
        """Whether a request that names this scope is of it, as its bytes say."""
        return not self.changes or (named is not None and named not in self.past)

    def while_shown(self, named: str | None, again: Callable[[], Answer | None]) -> Callable[[], Answer | None]:
        """How such a request is answered again, for as long as it shows whose it is; None from then on."""
        return (lambda: again() if self.shows(named) else None) if self.changes else again


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server.

    ``upstream_names`` are the prefixes that a model's name may have, ``upstream_parameters`` the keys of a response's
    request that go to the upstream as they are; ``counter`` gives what counts a model's tokens in a text. Without
    ``local_responses`` the backend answers for responses, conversations and stored completions as for anything else.
    ``mcp`` is what holds of MCP servers where a request does not say. ``at_hand``, where there is
    one, is what of the backend answers in any thread. ``unscoped`` is the scope of requests that name none.
    """

    backend: Backend
    state: StateStore
    identity: Identity
    upstream_names: Sequence[str] = ()
    upstream_parameters: Sequence[str] = ()
    counter: Callable[[str], Callable[[str], int]] = _no_counter
    local_responses: bool = True
    mcp: McpPolicy = field(default_factory=McpPolicy)
    at_hand: AtHand | None = None
    unscoped: Unscoped = field(default_factory=Unscoped)


SERVICES = web.AppKey("services", Services)
RUNS = web.AppKey("runs", Runs)


def services(request: web.Request) -> Services:
    return request.app[SERVICES]


def runs(request: web.Request) -> Runs:
    return request.app[RUNS]


def scope_of(request: web.Request) -> str | None:
    """The scope that a request names, else that of those that name none."""
    return services(request).unscoped.whose(named_scope(request))


def named_scope(request: web.Request) -> str | None:
    """The scope that the base URL carries (``/scope/TOKEN/v1``, percent-encoded), else the header's, else None."""
    return whole_text(request.match_info.get("scope") or request.headers.get(SCOPE_HEADER))


def whole_text(scope: str | None) -> str | None:
    """A scope as it was sent; an empty one is none."""
    # Bytes of a header that are not UTF-8 arrive as lone surrogates, which nothing else can hold.
    return scope.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if scope else None


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; no body is an empty one. Raises InvalidRequest for anything else."""
    return parse_object(await body_of(request))


async def body_of(request: web.Request) -> bytes:
    """The body, unpacked. Raises InvalidRequest for one that is not packed as its headers say, or not all there."""
    try:
        return await request.read()
    except web.RequestPayloadError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[-1].strip()
        raise InvalidRequest(f"The body of your request could not be read: {reason}", code="invalid_body") from error
    except ConnectionResetError as error:
        raise InvalidRequest("The client left before all of its request was sent.", code="invalid_body") from error
