"""The real providers behind their base URLs. The only user of aiohttp's client."""

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Collection
from functools import partial

import aiohttp
from yarl import URL

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.proofs import Proofs, Verdict
from harness.backends.protocol import Answer, Call
from harness.backends.providers import KEY_WANTED, Providers, Route
from harness.errors import DO_NOT_RETRY, UpstreamError
from harness.recording.bodies import base_type, is_stream
from harness.recording.headers import served
from harness.recording.model import STREAM_TYPE

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=600)
_PROOF_SECONDS = 5.0
_LACKS_SCOPE = re.compile(r"missing scopes|insufficient permissions", re.IGNORECASE)
"""What OpenAI says, with a 401 or a 403, of a restricted key that may ask models and not list them: a good one."""
"""How long an upstream may take to say what it thinks of a key."""


class UpstreamBackend:
    """Sends requests to whom they are meant for and hands back what is answered, byte for byte."""

    def __init__(self, providers: Providers, journal: Journal | None = None) -> None:
        self._providers = providers
        self._journal = journal or Journal()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """By whether a proxy of the environment may stand between."""
        self._proofs = Proofs()
        self._is_closed = False

    async def send(self, call: Call) -> Answer:
        try:
            answer = await self.ask(call)
        except UpstreamError as error:
            self._journal.write(Line(Outcome.FAILED, call.scope, call.path, call.request.model, error=error))
            raise
        if answer.stream is not None:
            answer.stream = _whole_pieces(answer.stream, answer.media_type)
        outcome = Outcome.LIVE if answer.status < 400 else Outcome.FAILED
        self._journal.write(Line(outcome, call.scope, call.path, call.request.model))
        return answer

    async def models(self, call: Call) -> Answer:
        return await self.send(call)

    async def ask(self, call: Call) -> Answer:
        """The upstream's answer: a stream where it sends one; an error as a whole. Raises UpstreamError."""
        route = self._providers.route(call)
        data = route.body if call.raw or call.method not in ("GET", "HEAD", "DELETE") else None
        try:
            response = await self._request(route, data)
            headers, media_type = served(response.headers), response.headers.get("Content-Type", "")
            if is_stream(media_type) and response.status < 400:
                return Answer(response.status, media_type, stream=_pieces(response, route), headers=headers)
            async with response:
                return Answer(response.status, media_type, await response.read(), headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(route, error) from error

    async def _request(self, route: Route, data: bytes | None) -> aiohttp.ClientResponse:
        url = URL(route.url, encoded=True)
        return await self._open(url).request(route.call.method, url, data=data, headers=route.headers)

    async def check_key(self, call: Call, patience: float | None = None) -> None:
        """Ask for the models, with the key that goes with ``call``. Raises UpstreamError when it is refused.

        Any other answer, or none, proves nothing against the key. One that a request brings and nobody configured is
        the request's own affair.
        """
        route = self._providers.checks(self._providers.route(call))
        if route.key is not None and route.key == route.provider.api_key:
            await self._verdict(route, patience)

    async def prove(self, call: Call) -> None:
        """The same where nobody but us asks: with a key or without one.

        Raises UpstreamError also when nobody is there who could be asked.
        """
        route = self._providers.checks(self._providers.route(call))
        verdict = await self._verdict(route)
        if verdict and verdict.failure and not isinstance(verdict.failure, TimeoutError):
            raise _unreachable(route, verdict.failure) from verdict.failure

    async def _verdict(self, route: Route, patience: float | None = None) -> Verdict | None:
        """Whether the key is taken; None when there is no answer yet. Raises UpstreamError for a refusal."""
        about = (route.provider.base_url, route.key)
        verdict = await self._proofs.verdict(about, partial(self._ask_of_key, route), patience)
        if verdict and verdict.refusal:
            raise _refused(route, *verdict.refusal)
        return verdict

    async def _ask_of_key(self, route: Route) -> Verdict:
        try:
            async with asyncio.timeout(_PROOF_SECONDS), await self._request(route, None) as response:
                if response.status not in (401, 403):
                    return Verdict()
                said = await response.text(errors="replace")
                return Verdict() if _LACKS_SCOPE.search(said) else Verdict((response.status, said))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Verdict(failure=error)

    def _open(self, url: URL) -> aiohttp.ClientSession:
        if self._is_closed:
            # A session that opened now would never be closed.
            raise UpstreamError("The server is ending: it asks nobody any more.", hint="Start it again.")
        # Proxies and the like come from the environment, as users of HTTP clients expect; what is on this machine
        # (Ollama, llama.cpp) no proxy can reach.
        trusts = not _is_here(url.host or "")
        if trusts not in self._sessions:
            # A connection for each request: some servers (llama.cpp's) close the ones they keep without a word, and a
            # request that dies so can be told neither from one that was refused nor from one that was answered.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._sessions[trusts] = aiohttp.ClientSession(
                connector=connector,
                timeout=_TIMEOUT,
                trust_env=trusts,
                # What an upstream told one client is none of another's affair.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[trusts]

    def secrets(self, call: Call) -> list[str]:
        return self._providers.secrets(call)

    def provider(self, call: Call) -> str:
        return self._providers.route(call).provider.base_url

    def forget(self, scope: str | None) -> None:
        """Nothing is counted."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    async def close(self, grace: float | None = None) -> None:
        self._is_closed = True
        await self._proofs.close()
        for session in self._sessions.values():
            await session.close()


async def _whole_pieces(pieces: AsyncIterator[bytes], media_type: str) -> AsyncIterator[bytes]:
    """The same bytes, cut where events or lines end: after a break, an error can be told in a piece of its own."""
    boundary = re.compile(rb"\n\n|\r\n\r\n" if base_type(media_type) == STREAM_TYPE else rb"\n")
    rest = bytearray()  # which grows without being copied: an event may be a picture
    async for piece in pieces:
        # A boundary may have begun in what was looked at before.
        looked_at = max(0, len(rest) - 3)
        rest += piece
        *_, end = [0, *(found.end() for found in boundary.finditer(rest, looked_at))]
        if end:
            yield bytes(rest[:end])
            del rest[:end]
    if rest:
        yield bytes(rest)


async def _pieces(response: aiohttp.ClientResponse, route: Route) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamError(
            f"The upstream {route.provider.base_url} broke off in mid-stream: {_words(error)}",
            hint="Ask again; nothing was recorded.",
        ) from error
    finally:
        response.close()


def _is_here(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _unreachable(route: Route, error: Exception) -> UpstreamError:
    hint = "Is it running, and is the address right? Set it with --upstream or HARNESS_UPSTREAM."
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        hint = "A proxy stands between: HTTPS_PROXY, HTTP_PROXY. NO_PROXY names hosts that are reached without it."
    return UpstreamError(
        f"The upstream {route.provider.base_url} could not be asked: {_words(error)}", hint=hint, headers=DO_NOT_RETRY
    )


def _refused(route: Route, status: int, text: str) -> UpstreamError:
    said = text.replace(route.key, "[redacted]") if route.key else text
    what = "the key" if route.key else "requests without a key"
    return UpstreamError(
        f"The upstream {route.provider.base_url} refuses {what}: {status} {said[:300]}",
        hint=f"Nothing was recorded. {KEY_WANTED}",
        http_status=status,
        code="invalid_api_key",
        type="invalid_request_error",
        headers=DO_NOT_RETRY,
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
