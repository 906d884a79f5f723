"""Answering from recordings. Never opens a connection."""

import hashlib
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from harness.backends.apart import apart
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.pacing import Pace
from harness.backends.protocol import Answer, Call
from harness.errors import BrokenOff, HarnessError, RecordingError
from harness.recording.answer import Rendered, encode, render
from harness.recording.bodies import is_multipart
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.key import key, key_of_clean
from harness.recording.key_variables import KeyVariables
from harness.recording.lookup import Reach, nth, select
from harness.recording.model import JSON_TYPE, Json, Request
from harness.recording.near_miss import OF_OPENAI, miss_error
from harness.recording.placeholders import put_back
from harness.recording.redact import BUILT_IN, Redactor, secrets_of
from harness.stores.protocol import RecordingStore

_MOST_BYTES = 64 * 1024 * 1024
"""How much is kept of requests that were answered and of their answers."""

_OVERHEAD = 1000
"""Bytes, about, of what is known of a request beside its body and its answers."""

_SOON = 0.005
"""Seconds. Whoever wants an answer at once waits no longer for another's: that one may be reading a whole directory."""

_WITHOUT_BODY = (204, 304)
"""RFC 9110, section 6.4.1: what is written of these is HTTP's matter, whatever is recorded."""


@dataclass(slots=True)
class _Known:
    """A raw request that was answered before: what it is counted by, its sequence, the answers prepared so far.

    The n-th request of one ``key`` in one ``scope`` has the n-th answer.
    ``otherwise`` is the request where its recordings were found by meaning: they may hold it in other words.
    """

    scope: str | None
    key: str
    names: list[str]
    stamp: object
    path: str
    model: str
    otherwise: Request | None = None
    prepared: dict[str, Rendered] = field(default_factory=dict)
    size: int = _OVERHEAD


class ReplayBackend:
    """Answers from a store: by key, then (unless ``strict``) by fingerprint. A miss is an error.

    Answers are prepared once and kept, bounded, under the digest of the raw request; a request seen before costs that
    digest and a look at the files' times. With a ``pace``, answers take the time that they took. ``reach`` says in
    which scopes a fingerprint counts; ``variables`` are those that upstreams' keys come from.

    ``at_hand``, ``forget`` and an answer's ``again`` may be called in any thread.
    """

    def __init__(
        self,
        store: RecordingStore,
        canonicalizer: Canonicalizer,
        journal: Journal,
        redactor: Redactor = BUILT_IN,
        *,
        strict: bool = False,
        reach: Reach = Reach.EVERYWHERE,
        pace: Pace | None = None,
        variables: KeyVariables = OF_OPENAI,
    ) -> None:
        self._store, self._canonicalizer, self._journal, self._redactor = store, canonicalizer, journal, redactor
        self._strict, self._reach, self._pace, self._variables = strict, reach, pace, variables
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._known_bytes = 0
        self._counts: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        """Of each scope, how often each key was answered."""
        self._one_at_a_time = threading.Lock()

    async def send(self, call: Call) -> Answer:
        answer = await self.find(call)
        if answer is None:
            written = await apart(call, self._written)
            miss = miss_error(written, self._store, self._canonicalizer, self._variables)
            self._journal.write(Line(Outcome.MISSED, call.scope, written.path, written.model, error=miss))
            raise miss
        answer.again = partial(self._again, await apart(call, _digest), call)
        return answer

    async def find(self, call: Call) -> Answer | None:
        """The recorded answer to a call; None when no recording answers it."""
        digest = await apart(call, _digest)
        with self._one_at_a_time:
            known = self._recall(digest)
            if known is not None:
                return self._answer(known, call)
        request, name = await apart(call, self._asked)
        with self._one_at_a_time:
            known = self._by_key(request, name) or self._by_meaning(request, name)
            if known is None:
                return None
            self._remember(digest, known, call)
            return self._answer(known, call)

    def _recall(self, digest: bytes) -> _Known | None:
        """What is known of a request, as long as it holds."""
        known = self._known.get(digest)
        if known is None or known.stamp != self._store.stamp(known.names):
            return None
        self._known.move_to_end(digest)
        return known

    def at_hand(self, call: Call) -> Answer | None:
        """What ``send`` would answer, where the call was answered before or a file is named for it; else None.

        Of an answer that takes its time, or cannot be read, ``send`` knows what to make.
        """
        return self._at_hand(call, _digest(call), self._by_key)

    def _again(self, digest: bytes, call: Call) -> Answer | None:
        """The answer to a call that was answered before; None when what is known of it holds no longer."""
        return self._at_hand(call, digest, lambda *_: None)

    def _at_hand(self, call: Call, digest: bytes, look: Callable[[Request, str], _Known | None]) -> Answer | None:
        if not self._one_at_a_time.acquire(timeout=_SOON):
            return None
        try:
            known = self._recall(digest)
            if known is None:
                known = look(*self._asked(call))
                if known is None:
                    return None
                self._remember(digest, known, call)
            return self._answer_at_hand(known, call, digest)
        except HarnessError:
            return None
        finally:
            self._one_at_a_time.release()

    def _answer_at_hand(self, known: _Known, call: Call, digest: bytes) -> Answer | None:
        name = nth(known.names, self._counts[known.scope][known.key] + 1)
        rendered = known.prepared.get(name)
        if rendered is None and known.otherwise is None:
            rendered = self._prepare(known, name, call.request)
        if rendered is None or self._takes_time(rendered) or rendered.status in _WITHOUT_BODY:
            return None
        answer = self._answer(known, call)
        answer.again = partial(self._again, digest, call)
        return answer

    def _answer(self, known: _Known, call: Call) -> Answer:
        counts = self._counts[known.scope]
        counts[known.key] += 1
        name = nth(known.names, counts[known.key])
        rendered = known.prepared.get(name) or self._prepare(known, name, call.request)
        self._journal.write(Line(Outcome.REPLAYED, call.scope, known.path, known.model, recording=name))
        answer = Answer(rendered.status, rendered.media_type, recording=name, headers=rendered.headers)
        if self._takes_time(rendered):
            answer.stream = self._pieces(rendered)
        else:
            answer.body = rendered.body
        return answer

    def _takes_time(self, rendered: Rendered) -> bool:
        """Whether an answer is more than its bytes: it is paced, or ends before it is complete."""
        return rendered.is_broken or (self._pace is not None and rendered.timings is not None)

    async def _pieces(self, rendered: Rendered) -> AsyncIterator[bytes]:
        if self._pace is None:
            yield rendered.body
        else:
            async for piece in self._pace.pieces(rendered):
                yield piece
        if rendered.is_broken:
            raise BrokenOff("The stream broke off here when it was recorded.", hint="Record it again for a whole one.")

    def forget(self, scope: str | None) -> None:
        scope = self._redactor.redact(scope)
        with self._one_at_a_time:
            self._counts.pop(scope, None)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    def _written(self, call: Call) -> Request:
        """The request as a recording of it would have it."""
        return self._redactor.request(call.request, secrets_of(call.headers))

    def _asked(self, call: Call) -> tuple[Request, str]:
        """The same, and its key."""
        request = self._written(call)
        return request, key_of_clean(request)

    def _by_key(self, request: Request, name: str) -> _Known | None:
        names = self._store.find(name)
        return self._known_as(name, names, request) if names else None

    def _by_meaning(self, request: Request, name: str) -> _Known | None:
        if self._strict:
            return None
        entries = self._store.sharing(self._canonicalizer.fingerprint(request))
        if self._reach is Reach.EARLIER_RUNS:
            entries = [one for one in entries if one.scope == request.scope or self._store.is_older(one.name)]
        names = [entry.name for entry in select(request, entries, self._reach)]
        return self._known_as(name, names, request, otherwise=request) if names else None

    def _known_as(self, key: str, names: list[str], request: Request, otherwise: Request | None = None) -> _Known:
        stamp = self._store.stamp(names)
        return _Known(request.scope, key, names, stamp, request.path, request.model, otherwise)

    def _prepare(self, known: _Known, name: str, request: Request) -> Rendered:
        exchange = self._store.load(name)
        response = exchange.response
        if known.otherwise is not None:
            response = put_back(response, self._canonicalizer.placeholders(exchange.request, known.otherwise))
        rendered = render(response, request)
        known.prepared[name] = rendered
        known.size += len(rendered.body)
        self._grow(len(rendered.body))
        return rendered

    def _remember(self, digest: bytes, known: _Known, call: Call) -> None:
        known.size += len(call.raw) if known.otherwise is not None else 0
        old = self._known.pop(digest, None)
        self._known[digest] = known
        self._grow(known.size - (old.size if old else 0))

    def _grow(self, size: int) -> None:
        """Note that so much more is kept; what was asked longest ago is forgotten when it is too much."""
        self._known_bytes += size
        while self._known_bytes > _MOST_BYTES and len(self._known) > 1:
            self._known_bytes -= self._known.popitem(last=False)[1].size

    async def models(self, call: Call) -> Answer:
        """Every model that a recorded listing names; where none was recorded, those that recordings answer for."""
        entries = self._store.entries()
        listings = [
            listing
            for entry in entries
            if endpoint_of(entry.path) == "/v1/models" and (listing := self._listing(entry.name))
        ]
        if len(listings) == 1:
            return Answer(200, JSON_TYPE, encode(listings[0]))
        models = {str(model.get("id")): model for listing in reversed(listings) for model in _models_of(listing)}
        if not listings:
            names = {entry.model for entry in entries} - {""}
            models = {name: {"id": name, "object": "model", "created": 0, "owned_by": "harness"} for name in names}
        data = [models[name] for name in sorted(models)]
        return Answer(200, JSON_TYPE, encode({"object": "list", "data": data}))

    def _listing(self, name: str) -> Json:
        """A recorded listing; None for what is none."""
        try:
            body = self._store.load(name).response.body
        except RecordingError:
            return None
        return body if isinstance(body, dict) and isinstance(body.get("data"), list) else None

    @property
    def has_listing(self) -> bool:
        """Whether a model listing was recorded."""
        return any(endpoint_of(entry.path) == "/v1/models" for entry in self._store.entries())

    async def close(self) -> None:
        """Nothing is held open."""


def _models_of(listing: dict[str, Json]) -> list[dict[str, Json]]:
    return [model for model in listing["data"] if isinstance(model, dict)]


def _digest(call: Call) -> bytes:
    """What prepared answers are kept under: the raw request, but of a form, whose boundary is random, the key."""
    if is_multipart(call.content_type or ""):
        return hashlib.blake2b(key(call.request).encode(), digest_size=16).digest()
    head = f"{call.method} {call.path}?{call.query}\n{call.content_type}\n{call.scope}\n"
    return hashlib.blake2b(head.encode() + call.raw, digest_size=16).digest()
