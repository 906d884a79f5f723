"""Which of what vcrpy has at hand answers a request.

A model's recordings by what the request means, the body included; what is in a cassette by the project's own matchers;
and recordings by their place: those that the project's matchers do not tell apart.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from vcr import matchers
from vcr.request import Request as VcrRequest

from harness.errors import RecordingError
from harness.recording.canonical import Canonicalizer
from harness.recording.format import file_url
from harness.recording.http_exchange import HttpExchange, asked, body_of, credentials, was_in_cassette
from harness.recording.key import key
from harness.recording.model import Exchange, Request
from harness.recording.providers import is_model_traffic, is_url
from harness.recording.redact import Redactor
from harness.vcr_bridge.cassettes import bytes_of

OwnMatcher: TypeAlias = Callable[[Any, Any], Any]
"""One of vcrpy's or of the project's: false, or an AssertionError, for requests that it tells apart."""

OF_CASSETTE = "_harness_is_of_cassette"
"""The attribute of a request that was loaded from a cassette."""

_PATH = frozenset({matchers.method, matchers.path, matchers.port})
_HOST = frozenset({matchers.scheme, matchers.host, matchers.uri})
_QUERY = frozenset({matchers.query, matchers.uri})
"""vcrpy's matchers of URLs. A recording has the URL that its file shows: what they look at is compared in its terms."""


class RecordedRequest(VcrRequest):  # type: ignore[misc] # vcr has no types
    """The request of a recording, as vcrpy wants it; ``meaning`` is what requests that it answers have in common.

    ``position`` is that of the recording, and ``was_in_cassette`` says that it was taken over from one. A project's own
    hooks see the request, and may change its body as they change that of what is asked.
    """

    def __init__(self, name: str, exchange: Exchange, http: HttpExchange, meaning: str) -> None:
        super().__init__(http.method, http.url, http.request_body, dict(http.request_headers))
        self.name, self.recorded, self.meaning = name, exchange.request, meaning
        self.position, self.unchanged = exchange.position, http
        self.was_in_cassette = was_in_cassette(exchange)


class Matcher:
    """Compares requests of one test, whose scope is ``test``; ``strict`` takes the very same ones alone.

    ``hosts`` are providers beside those that are known.
    """

    def __init__(
        self, canonicalizer: Canonicalizer, redactor: Redactor, test: str, *, strict: bool, hosts: Collection[str]
    ) -> None:
        self._canonicalizer, self._redactor, self._test = canonicalizer, redactor, test
        self._strict, self._hosts = strict, hosts
        self._read = lru_cache(maxsize=256)(self._read_anew)

        def harness(present: VcrRequest, stored: VcrRequest) -> bool:
            return not self._is_models(stored) or self.means_the_same(present, stored)

        self.matches = harness
        """Has the name by which vcrpy tells of it."""

    def for_cassettes(self, matcher: OwnMatcher) -> OwnMatcher:
        """A matcher of vcrpy's or the project's own, for the rest alone."""

        def compare(present: VcrRequest, stored: VcrRequest) -> Any:
            return True if self._is_models(stored) else matcher(present, stored)

        compare.__name__ = getattr(matcher, "__name__", "matcher")
        return compare

    def is_models(self, http: HttpExchange) -> bool:
        """Whether an exchange is one with a model."""
        return is_model_traffic(http.url, body_of(http), self._hosts)

    def asked(self, present: VcrRequest) -> Request | None:
        """What a model is asked, without secrets; None for what is no model's, or cannot be read."""
        http = _http(present)
        try:
            return self._read(*_parts(http))[0] if self.is_models(http) else None
        except RecordingError:
            return None

    def _is_models(self, stored: VcrRequest) -> bool:
        """Whether what is stored is a recording, or becomes one at the end."""
        if isinstance(stored, RecordedRequest):
            return True
        return not hasattr(stored, OF_CASSETTE) and self.is_models(_http(stored))

    def meaning(self, request: Request) -> str:
        """What requests that a recording of ``request`` answers have in common."""
        if self._strict:
            return key(replace(request, scope=self._test), self._redactor)
        # vcrpy makes no stream of a whole.
        return f"{self._canonicalizer.fingerprint(request)} {request.wants_stream}"

    def means_the_same(self, present: VcrRequest, stored: VcrRequest) -> bool:
        """Whether what is stored answers a request by what that means."""
        try:
            return self._read(*_parts(_http(present)))[1] == self._expected(stored)
        except RecordingError:
            return False

    def is_in_its_place(self, present: VcrRequest, stored: RecordedRequest, own: Iterable[OwnMatcher]) -> bool:
        """Whether a recording may answer a request that it was not recorded for, as vcrpy alone would have it.

        That is where the project's ``own`` matchers do not tell the two apart: none of them looks at the body, say.
        Method and path are equal whatever they look at. With ``strict`` nothing is.
        """
        if self._strict:
            return False
        own = frozenset(own)
        try:
            return self._is_at_the_same_url(present, stored, own) and all(
                _accepts(matcher, present, stored) for matcher in own - _PATH - _HOST - _QUERY
            )
        except RecordingError:
            return False

    def _is_at_the_same_url(self, present: VcrRequest, stored: RecordedRequest, own: Collection[OwnMatcher]) -> bool:
        request, recorded = self._read(*_parts(_http(present)))[0], stored.recorded
        if not is_url(str(present.uri)):
            return request.method == recorded.method
        is_there = _HOST.isdisjoint(own) or _host(present.uri) == _host(stored.unchanged.url)
        is_same_query = _QUERY.isdisjoint(own) or request.query == recorded.query
        return (request.method, request.path) == (recorded.method, recorded.path) and is_there and is_same_query

    def _expected(self, stored: VcrRequest) -> str:
        if not isinstance(stored, RecordedRequest):
            return self._read(*_parts(_http(stored)))[1]
        changed = bytes_of(stored.body)
        if changed == stored.unchanged.request_body:
            return stored.meaning
        return self._read(*_parts(replace(stored.unchanged, request_body=changed)))[1]

    def _read_anew(
        self, method: str, url: str, body: bytes, headers: tuple[tuple[str, str], ...]
    ) -> tuple[Request, str]:
        http = HttpExchange(method, url, dict(headers), body)
        request = self._redactor.request(asked(http, self._test), credentials(http))
        return request, self.meaning(request)


def _host(url: str) -> str:
    """Who is asked, as a file says it."""
    parts = urlsplit(url)
    return file_url(f"{parts.scheme}://{parts.hostname}", "")


def _accepts(matcher: OwnMatcher, present: VcrRequest, stored: VcrRequest) -> bool:
    """What a matcher says, which may miss what no recording has: headers."""
    try:
        said = matcher(present, stored)
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
        return False
    return said is None or bool(said)


def _http(request: VcrRequest) -> HttpExchange:
    headers = {str(name).lower(): str(value) for name, value in request.headers.items()}
    return HttpExchange(str(request.method), str(request.uri), headers, bytes_of(request.body))


def _parts(http: HttpExchange) -> tuple[str, str, bytes, tuple[tuple[str, str], ...]]:
    return http.method, http.url, http.request_body, tuple(sorted(http.request_headers.items()))
