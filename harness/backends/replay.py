"""Answering from recordings. Never opens a connection."""

import asyncio
import hashlib
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from harness.backends.apart import apart
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.pacing import Pace
from harness.backends.protocol import Answer, Call
from harness.backends.written import Written, written
from harness.errors import BrokenOff, HarnessError, RecordingError
from harness.recording.answer import Rendered, encode, render
from harness.recording.bodies import is_multipart
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.key import key
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
    is_kept: bool = False


_Look: TypeAlias = Callable[[Request, str], _Known | None]
"""A way to find what answers a request, which has no secrets, and whose key is known."""


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
        self._lock = threading.Lock()
        """Of what is known and counted: held for a moment, never while something is looked for."""

    async def send(self, call: Call) -> Answer:
        digest = await apart(call, _digest)
        answer = self._again(digest, call)
        if answer is None:
            asked = await apart(call, self._written)
            answer = await self._find(digest, call, asked, self._by_key, self._by_meaning)
            if answer is None:
                lost = asked.request
                miss = await asyncio.to_thread(miss_error, lost, self._store, self._canonicalizer, self._variables)
                self._journal.write(Line(Outcome.MISSED, call.scope, lost.path, lost.model, error=miss))
                raise miss
        answer.again = partial(self._again, digest, call)
        return answer

    async def recall(self, call: Call) -> Answer | None:
        """The answer to a call that was answered before; None where it has to be looked for."""
        answer = self._again(await apart(call, _digest), call)
        if answer is not None:
            answer.again = None
        return answer

    async def find(self, call: Call, asked: Written, *, by_meaning: bool = True) -> Answer | None:
        """The recorded answer to a call that would be written down as ``asked``; None when no recording answers it.

        Without ``by_meaning`` that is one which a file is named for.
        """
        ways = (self._by_key, self._by_meaning) if by_meaning else (self._by_key,)
        return await self._find(await apart(call, _digest), call, asked, *ways)

    async def _find(self, digest: bytes, call: Call, asked: Written, *ways: _Look) -> Answer | None:
        # Equal requests are counted as they come: in threads, a later one may be the first to be done.
        number, known, is_near = self._take_number(asked), None, not self._store.is_remote
        try:
            known = self._look(digest, call, asked, self._by_key) if is_near else None
            if known is None:
                # A whole directory may have to be read.
                known = await asyncio.to_thread(self._look, digest, call, asked, *ways)
        finally:
            if known is None:
                self._give_back_number(asked)
        if known is None:
            return None
        name = nth(known.names, number)
        rendered = known.prepared.get(name)
        if rendered is None:
            prepare = partial(self._prepare, known, name, call.request)
            rendered = prepare() if is_near else await asyncio.to_thread(prepare)
        return self._answer(known, name, rendered, call)

    def _look(self, digest: bytes, call: Call, asked: Written, *ways: _Look) -> _Known | None:
        """What is known of a call, or found out in one of some ways."""
        known = self._recall(digest)
        if known is None:
            known = next(filter(None, (way(*asked) for way in ways)), None)
            if known is not None:
                self._remember(digest, known, call)
        return known

    def _recall(self, digest: bytes) -> _Known | None:
        """What is known of a request, as long as it holds."""
        known = self._known.get(digest)
        if known is None or known.stamp != self._store.stamp(known.names):
            return None
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
        return known

    def at_hand(self, call: Call) -> Answer | None:
        """What ``send`` would answer, where the call was answered before or a file is named for it; else None.

        Of an answer that takes its time, or cannot be read, ``send`` knows what to make.
        """
        digest = _digest(call)
        try:
            known = self._recall(digest) or self._look(digest, call, self._written(call), self._by_key)
            return self._answer_at_hand(known, call, digest) if known else None
        except HarnessError:
            return None

    def _again(self, digest: bytes, call: Call) -> Answer | None:
        """The answer to a call that was answered before; None when what is known of it holds no longer."""
        try:
            known = self._recall(digest)
            return self._answer_at_hand(known, call, digest) if known else None
        except HarnessError:
            return None

    def _answer_at_hand(self, known: _Known, call: Call, digest: bytes) -> Answer | None:
        with self._lock:
            name = nth(known.names, self._counts[known.scope][known.key] + 1)
        rendered = known.prepared.get(name)
        if rendered is None and known.otherwise is None and not self._store.is_remote:
            rendered = self._prepare(known, name, call.request)
        if rendered is None or self._takes_time(rendered) or rendered.status in _WITHOUT_BODY:
            return None
        with self._lock:
            counts = self._counts[known.scope]
            if nth(known.names, counts[known.key] + 1) != name:
                return None  # Another thread was quicker.
            counts[known.key] += 1
        answer = self._answer(known, name, rendered, call)
        answer.again = partial(self._again, digest, call)
        return answer

    def _take_number(self, asked: Written) -> int:
        """How often the request was asked in its scope, this time included."""
        with self._lock:
            counts = self._counts[asked.request.scope]
            counts[asked.key] += 1
            return counts[asked.key]

    def _give_back_number(self, asked: Written) -> None:
        with self._lock:
            counts = self._counts[asked.request.scope]
            counts.subtract((asked.key,))
            if counts[asked.key] <= 0:
                del counts[asked.key]

    def _answer(self, known: _Known, name: str, rendered: Rendered, call: Call) -> Answer:
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
        with self._lock:
            self._counts.pop(scope, None)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    def _written(self, call: Call) -> Written:
        """The request as a recording of it would have it."""
        return written(self._redactor.request(call.request, secrets_of(call.headers)))

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
        with self._lock:
            is_first = name not in known.prepared
            known.prepared[name] = rendered
            self._grow(known, len(rendered.body) if is_first else 0)
        return rendered

    def _remember(self, digest: bytes, known: _Known, call: Call) -> None:
        with self._lock:
            old = self._known.pop(digest, None)
            if old is not None:
                self._let_go(old)
            self._known[digest] = known
            known.is_kept, self._known_bytes = True, self._known_bytes + known.size
            self._grow(known, len(call.raw) if known.otherwise is not None else 0)

    def _grow(self, known: _Known, size: int) -> None:
        """Note that so much more is kept; what was asked longest ago is forgotten when it is too much."""
        known.size += size
        if known.is_kept:
            self._known_bytes += size
        while self._known_bytes > _MOST_BYTES and len(self._known) > 1:
            self._let_go(self._known.popitem(last=False)[1])

    def _let_go(self, known: _Known) -> None:
        known.is_kept = False
        self._known_bytes -= known.size

    async def models(self, call: Call) -> Answer:
        """Every model that a recorded listing names; where none was recorded, those that recordings answer for."""
        return await asyncio.to_thread(self._models)

    def _models(self) -> Answer:
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

    async def has_listing(self) -> bool:
        """Whether a model listing was recorded."""
        entries = await asyncio.to_thread(self._store.entries)
        return any(endpoint_of(entry.path) == "/v1/models" for entry in entries)

    async def close(self, grace: float | None = None) -> None:
        """Nothing is held open."""


def _models_of(listing: dict[str, Json]) -> list[dict[str, Json]]:
    return [model for model in listing["data"] if isinstance(model, dict)]


def _digest(call: Call) -> bytes:
    """What prepared answers are kept under: the raw request, but of a form, whose boundary is random, the key."""
    if is_multipart(call.content_type or ""):
        return hashlib.blake2b(key(call.request).encode(), digest_size=16).digest()
    head = f"{call.method} {call.path}?{call.query}\n{call.content_type}\n{call.scope}\n"
    return hashlib.blake2b(head.encode() + call.raw, digest_size=16).digest()
