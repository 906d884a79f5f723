"""A cassette in use by a bridged test: what answers each request, and what is told of it."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from vcr.cassette import Cassette
from vcr.request import Request as VcrRequest

from harness.errors import RecordingNotFound
from harness.recording.canonical import Canonicalizer
from harness.recording.lookup import Entry
from harness.recording.model import Request
from harness.recording.near_miss import NearMiss, miss_error, near_miss
from harness.stores.protocol import RecordingStore
from harness.vcr_bridge.matching import Matcher, OwnMatcher, RecordedRequest

_ANSWERED = "What was recorded has answered already; with allow_playback_repeats it does so again."
_ANOTHERS = "It is of another cassette; a bridged test is answered from the one that it names."

Row = tuple[int, Any]
"""The number of an interaction in a cassette, and its response."""


class Listener(Protocol):
    """Hears what became of a test's requests to models."""

    def replayed(self, name: str, request: Request, by_place: NearMiss | None) -> None:
        """A recording answered, whose request is given; ``by_place`` says where what was asked differs from it."""
        ...

    def recorded(self, name: str, request: Request, *, is_new: bool) -> None:
        """A request was recorded; what was there before says the same where it is not new."""
        ...

    def missed(self, request: Request, error: RecordingNotFound) -> None:
        """Nothing answered, and the record mode lets nothing be recorded."""
        ...


class BridgedCassette(Cassette):  # type: ignore[misc] # vcr has no types
    """A cassette of vcrpy's that holds recordings as well.

    First answers what was taken over from a cassette, in its order, as far as ``own_matchers`` (the project's
    ``match_on``) do not tell the requests apart: a test goes on as it did with vcrpy, also where its cassette has old
    answers before those for what is asked today. Of the other recordings, those first that mean the same as the
    request; then what the cassette itself has, and then the next recording in the order in which they were made, by the
    same ``own_matchers``. As with vcrpy alone, each answers once unless ``allow_playback_repeats`` is set.
    """

    def __init__(
        self,
        *args: Any,
        matcher: Matcher,
        own_matchers: Iterable[OwnMatcher],
        store: RecordingStore,
        canonicalizer: Canonicalizer,
        listener: Listener,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._matcher, self._own_matchers = matcher, tuple(own_matchers)
        self._store, self._canonicalizer, self._listener = store, canonicalizer, listener

    def _responses(self, request: VcrRequest) -> Iterator[Row]:
        yield from self._by_place(request, was_in_cassette=True)
        yield from super()._responses(request)
        yield from self._by_place(request, was_in_cassette=False)

    def _by_place(self, request: VcrRequest, *, was_in_cassette: bool) -> Iterator[Row]:
        present = self.filter_request(request)
        for number, (stored, response) in enumerate(self.data):
            if (
                isinstance(stored, RecordedRequest)
                and stored.was_in_cassette == was_in_cassette
                and self._matcher.is_in_its_place(present, stored, self._own_matchers)
            ):
                yield number, response

    def play_response(self, request: VcrRequest) -> Any:
        found = (number for number, _ in self._responses(request) if self._is_free(number))
        stored = next((self.data[number][0] for number in found), None)
        response = super().play_response(request)
        if isinstance(stored, RecordedRequest):
            self._listener.replayed(stored.name, stored.recorded, self._difference(request, stored))
        return response

    def _is_free(self, number: int) -> bool:
        return bool(self.allow_playback_repeats) or self.play_counts[number] == 0

    def _difference(self, request: VcrRequest, stored: RecordedRequest) -> NearMiss | None:
        """Where a request differs from the recording that answered it by place; None where they mean the same."""
        present = self.filter_request(request)
        asked = None if self._matcher.means_the_same(present, stored) else self._matcher.asked(present)
        if asked is None:
            return None
        return near_miss(asked, [Entry(stored.name, stored.recorded, "")], self._canonicalizer)

    def find_requests_with_most_matches(self, request: VcrRequest) -> list[Any]:
        """What vcrpy tells of when it refuses a request, which is why it asks: here, once, a miss is known.

        Of a model's request that is the miss as the harness tells it, in place of requests that are alike.
        """
        present = self.filter_request(request)
        asked = None if present is None else self._matcher.asked(present)
        if asked is None:
            closest: list[Any] = super().find_requests_with_most_matches(request)
            return closest
        error = self._miss(present, asked)
        self._listener.missed(asked, error)
        return [(present, [], [(self._matcher.matches.__name__, error.message)])]

    def _miss(self, present: VcrRequest, asked: Request) -> RecordingNotFound:
        error = miss_error(asked, self._store, self._canonicalizer)
        recorded = [stored for stored, _ in self.data if isinstance(stored, RecordedRequest)]
        nearest: Any = error.details["nearest"]
        if any(self._matcher.means_the_same(present, stored) for stored in recorded):
            error.message += "\n" + _ANSWERED
        elif (
            nearest and not nearest["differences"] and nearest["recording"] not in {stored.name for stored in recorded}
        ):
            error.message += "\n" + _ANOTHERS
        return error
