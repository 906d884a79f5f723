"""The real provider behind a base URL. The only user of aiohttp's client."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Answer, Call
from harness.errors import DO_NOT_RETRY, UpstreamError
from harness.recording.answer import STREAM_TYPE
from harness.recording.canonical import bare_model, endpoint_of

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=600)
_PASSED_BACK = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id", "openai-processing-ms")
_PASSED_BACK_PREFIX = "x-ratelimit-"
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
            answer.stream = _whole_events(answer.stream)
        outcome = Outcome.LIVE if answer.status < 400 else Outcome.FAILED
        self._journal.write(Line(outcome, call.scope, call.path, call.request.model))
        return answer

    async def models(self, call: Call) -> Answer:
        return await self.send(call)

    async def ask(self, call: Call) -> Answer:
        """The upstream's answer: a stream where it sends one, whatever its status. Raises UpstreamError."""
        url = self._base_url + endpoint_of(call.path).removeprefix("/v1")
        data = self._body(call) if call.method != "GET" else None
        try:
            response = await self._open().request(call.method, url, data=data, headers=self._headers(call))
            headers = _passed_back(response.headers)
            if response.content_type == STREAM_TYPE:
                return Answer(response.status, STREAM_TYPE, stream=self._pieces(response), headers=headers)
            async with response:
                return Answer(response.status, response.content_type, await response.read(), headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

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
        model = call.request.model
        bare = bare_model(model, self._names)
        return call.raw if bare == model else json.dumps({**call.request.body, "model": bare}).encode()

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"content-type": "application/json"} | dict(call.headers)
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

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _whole_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, cut where events end: after a break, an error can be told in an event of its own."""
    rest = b""
    async for piece in pieces:
        rest += piece
        *_, end = [0, *(found.end() for found in re.finditer(rb"\n\n|\r\n\r\n", rest))]
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    lower = {name.lower(): value for name, value in headers.items()}
    return {
        name: value for name, value in lower.items() if name in _PASSED_BACK or name.startswith(_PASSED_BACK_PREFIX)
    }


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
