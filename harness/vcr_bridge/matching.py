"""The matcher: of what vcrpy has at hand, which interaction answers a request.

A model's answers by what the request means, the body included; what is in a cassette by the project's own matchers.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from typing import Any

from vcr.request import Request as VcrRequest

from harness.errors import RecordingError
from harness.recording.canonical import Canonicalizer
from harness.recording.http_exchange import HttpExchange, asked, body_of, credentials
from harness.recording.key import key
from harness.recording.lookup import Entry
from harness.recording.model import Request
from harness.recording.near_miss import near_miss
from harness.recording.providers import is_model_traffic
from harness.recording.redact import Redactor
from harness.vcr_bridge.cassettes import bytes_of

OF_CASSETTE = "_harness_is_of_cassette"
"""The attribute of a request that was loaded from a cassette."""

_RULES = "(what changes on every run is for a rule in [tool.harness.match]; match_on is for cassettes)"


class RecordedRequest(VcrRequest):  # type: ignore[misc] # vcr has no types
    """The request of a recording, as vcrpy wants it; ``meaning`` is what requests that it answers have in common.

    A project's own hooks see it, and may change its body as they change that of what is asked.
    """

    def __init__(self, name: str, recorded: Request, http: HttpExchange, meaning: str) -> None:
        super().__init__(http.method, http.url, http.request_body, dict(http.request_headers))
        self.name, self.recorded, self.meaning = name, recorded, meaning
        self.unchanged = http


class Matcher:
    """Compares requests of one test, whose scope is ``test``; ``strict`` takes the very same ones alone.

    ``hosts`` are providers beside those that are known.
    """

    def __init__(
        self, canonicalizer: Canonicalizer, redactor: Redactor, test: str, *, strict: bool, hosts: Collection[str]
    ) -> None:
        self._canonicalizer, self._redactor, self._test = canonicalizer, redactor, test
        self._strict, self._hosts = strict, hosts
        self._known: set[str] = set()
        self._read = lru_cache(maxsize=256)(self._read_anew)

        def harness(present: VcrRequest, stored: VcrRequest) -> None:
            if self._is_models(stored):
                self._compare(present, stored)

        self.matches = harness
        """Has the name by which vcrpy tells of it."""

    def for_cassettes(self, matcher: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A matcher of vcrpy's or the project's own, for the rest alone."""

        def compare(present: VcrRequest, stored: VcrRequest) -> Any:
            return True if self._is_models(stored) else matcher(present, stored)

        compare.__name__ = getattr(matcher, "__name__", "matcher")
        return compare

    def is_models(self, http: HttpExchange) -> bool:
        """Whether an exchange is one with a model."""
        return is_model_traffic(http.url, body_of(http), self._hosts)

    def _is_models(self, stored: VcrRequest) -> bool:
        """Whether what is stored is a recording, or becomes one at the end."""
        if isinstance(stored, RecordedRequest):
            return True
        return not hasattr(stored, OF_CASSETTE) and self.is_models(_http(stored))

    def learn(self, request: Request) -> str:
        """What requests that a recording answers have in common."""
        meaning = self._meaning(request)
        self._known.add(meaning)
        return meaning

    def _meaning(self, request: Request) -> str:
        if self._strict:
            return key(replace(request, scope=self._test), self._redactor)
        # vcrpy makes no stream of a whole.
        return f"{self._canonicalizer.fingerprint(request)} {request.wants_stream}"

    def _compare(self, present: VcrRequest, stored: VcrRequest) -> None:
        try:
            request, meaning = self._read(*_parts(_http(present)))
            expected = self._expected(stored)
        except RecordingError as error:
            raise AssertionError(error.message) from error
        if meaning != expected:
            # Where another recording answers, nobody reads why this one does not.
            is_read = isinstance(stored, RecordedRequest) and meaning not in self._known
            raise AssertionError(self._difference(stored, request) if is_read else "")

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
        return request, self._meaning(request)

    def _difference(self, recorded: RecordedRequest, request: Request) -> str:
        near = near_miss(request, [Entry(recorded.name, recorded.recorded, "")], self._canonicalizer)
        if near is None:
            return f"recording {recorded.name[:12]} is of {recorded.recorded.path}"
        if near.places:
            return "\n".join([f"recording {recorded.name[:12]} differs in", *near.lines(), _RULES])
        why = "it is not the very same request" if self._strict else "one is a stream, the other is not"
        return f"recording {recorded.name[:12]} means the same, but {why}"


def _http(request: VcrRequest) -> HttpExchange:
    headers = {str(name).lower(): str(value) for name, value in request.headers.items()}
    return HttpExchange(str(request.method), str(request.uri), headers, bytes_of(request.body))


def _parts(http: HttpExchange) -> tuple[str, str, bytes, tuple[tuple[str, str], ...]]:
    return http.method, http.url, http.request_body, tuple(sorted(http.request_headers.items()))
