"""The real provider behind a base URL. The only user of aiohttp's client."""

import json
import re
from collections.abc import AsyncIterator, Collection, Sequence

import aiohttp
from yarl import URL

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Answer, Call
from harness.errors import DO_NOT_RETRY, UpstreamError
from harness.recording.bodies import base_type, is_multipart
from harness.recording.canonical import bare_model, endpoint_of
from harness.recording.headers import served
from harness.recording.model import JSON_TYPE, STREAM_TYPE
from harness.recording.transcript import is_stream

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=600)
_PLACEHOLDER_KEYS = ("", "none", "null", "dummy", "harness")


class UpstreamBackend:
    """Sends requests to ``base_url`` (the ``/v1`` included) and hands back what it answers, byte for byte.

    The key is the request's own, else ``api_key``; the placeholders that clients are given where no key is needed
    (``none``, ``harness``) count as none. ``names`` are the prefixes that a model's name loses on the way.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, names: Sequence[str] = (), journal: Journal | None = None
    ) -> None:
        self._base_url, self._api_key, self._names = base_url, api_key, names
        self._journal = journal or Journal()
        self._session: aiohttp.ClientSession | None = None

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
        """The upstream's answer: a stream where it sends one, whatever its status. Raises UpstreamError."""
        data = self._body(call) if call.raw or call.method not in ("GET", "HEAD", "DELETE") else None
        try:
            response = await self._open().request(call.method, self._url(call), data=data, headers=self._headers(call))
            headers, media_type = served(response.headers), response.headers.get("Content-Type", "")
            if is_stream(media_type):
                return Answer(response.status, media_type, stream=self._pieces(response), headers=headers)
            async with response:
                return Answer(response.status, media_type, await response.read(), headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _url(self, call: Call) -> URL:
        # The path and the query stand as the client wrote them: what is percent-encoded stays so.
        query = f"?{call.query}" if call.query else ""
        return URL(self._base_url + endpoint_of(call.path).removeprefix("/v1") + query, encoded=True)

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for piece in response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamError(
                f"The upstream {self._base_url} broke off in mid-stream: {_words(error)}",
                hint="Ask again; nothing was recorded.",
            ) from error
        finally:
            response.close()

    def _unreachable(self, error: Exception) -> UpstreamError:
        return UpstreamError(
            f"The upstream {self._base_url} could not be asked: {_words(error)}",
            hint="Is it running, and is the address right? Set it with --upstream or HARNESS_UPSTREAM.",
            headers=DO_NOT_RETRY,
        )

    def _body(self, call: Call) -> bytes:
        if is_multipart(call.content_type or ""):
            return call.raw
        model = call.request.model
        bare = bare_model(model, self._names)
        return call.raw if bare == model else json.dumps({**call.request.body, "model": bare}).encode()

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"content-type": call.content_type or JSON_TYPE} | dict(call.headers)
        if self._sent_key(call) is None:
            headers.pop("authorization", None)
            if self._api_key:
                headers["authorization"] = f"Bearer {self._api_key}"
        return headers

    def secrets(self, call: Call) -> list[str]:
        """What must never be written down: the request's keys and the harness's own."""
        sent = [self._sent_key(call), call.headers.get("api-key"), call.headers.get("x-api-key"), self._api_key]
        return [secret for secret in sent if secret]

    def _sent_key(self, call: Call) -> str | None:
        sent = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return None if sent.lower() in _PLACEHOLDER_KEYS else sent

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Proxies and the like come from the environment, as users of HTTP clients expect.
            # A connection for each request: some servers (llama.cpp's) close the ones they keep without a word, and a
            # request that dies so can be told neither from one that was refused nor from one that was answered.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, trust_env=True)
        return self._session

    def provider(self, _: Call) -> str:
        return self._base_url

    def forget(self, scope: str | None) -> None:
        """Nothing is counted."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _whole_pieces(pieces: AsyncIterator[bytes], media_type: str) -> AsyncIterator[bytes]:
    """The same bytes, cut where events or lines end: after a break, an error can be told in a piece of its own."""
    boundary = rb"\n\n|\r\n\r\n" if base_type(media_type) == STREAM_TYPE else rb"\n"
    rest = b""
    async for piece in pieces:
        rest += piece
        *_, end = [0, *(found.end() for found in re.finditer(boundary, rest))]
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
