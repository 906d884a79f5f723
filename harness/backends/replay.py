"""Answering from recordings. Never opens a connection."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Answer, Call
from harness.errors import RecordingError, RecordingNotFound
from harness.recording.answer import Rendered, encode, render
from harness.recording.bodies import is_multipart
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.key import key
from harness.recording.lookup import nth, select
from harness.recording.model import JSON_TYPE, Json, Request
from harness.recording.near_miss import miss_error, near_miss
from harness.stores.protocol import RecordingStore

_PREPARED_BYTES = 64 * 1024 * 1024

_LIKELY = 50
"""How many recordings are compared with a request that none answers: those that look most like it."""

_Turn = tuple[str | None, str]
"""A scope and a key: what the n-th identical request is counted by."""


@dataclass(slots=True)
class _Known:
    """A raw request that was answered before: its count, its sequence, and the answers prepared so far."""

    turn: _Turn
    names: list[str]
    stamp: object
    model: str
    prepared: dict[str, Rendered] = field(default_factory=dict)
    size: int = 0


class ReplayBackend:
    """Answers from a store: by key, then (unless ``strict``) by fingerprint. A miss is an error.

    Answers are prepared once and kept, bounded, under the digest of the raw request; a request seen before costs that
    digest and a look at the files' times.
    """

    def __init__(
        self, store: RecordingStore, canonicalizer: Canonicalizer, journal: Journal, *, strict: bool = False
    ) -> None:
        self._store, self._canonicalizer, self._journal, self._strict = store, canonicalizer, journal, strict
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._known_bytes = 0
        self._counts: Counter[_Turn] = Counter()

    async def send(self, call: Call) -> Answer:
        answer = self.find(call)
        if answer is None:
            miss = self._miss(call.request)
            self._journal.write(Line(Outcome.MISSED, call.scope, call.path, call.request.model, error=miss))
            raise miss
        answer.again = partial(self._again, _digest(call), call)
        return answer

    def find(self, call: Call) -> Answer | None:
        """The recorded answer to a call; None when no recording answers it."""
        digest = _digest(call)
        known = self._known.get(digest)
        if known is None or known.stamp != self._store.stamp(known.names):
            known = self._look_up(call.request)
            if known is None:
                return None
            self._remember(digest, known)
        else:
            self._known.move_to_end(digest)
        return self._answer(known, call)

    def _again(self, digest: bytes, call: Call) -> Answer | None:
        """The answer to a call that was answered before; None when what is known of it holds no longer."""
        known = self._known.get(digest)
        if known is None or known.stamp != self._store.stamp(known.names):
            return None
        return self._answer(known, call)

    def _answer(self, known: _Known, call: Call) -> Answer:
        self._counts[known.turn] += 1
        name = nth(known.names, self._counts[known.turn])
        rendered = known.prepared.get(name) or self._prepare(known, name, call.request)
        self._journal.write(Line(Outcome.REPLAYED, call.scope, call.path, known.model, recording=name))
        return Answer(rendered.status, rendered.media_type, rendered.body, recording=name, headers=rendered.headers)

    def forget(self, scope: str | None) -> None:
        for turn in [turn for turn in self._counts if turn[0] == scope]:
            del self._counts[turn]

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    def _look_up(self, request: Request) -> _Known | None:
        name = key(request)
        names = self._store.find(name)
        if not names and not self._strict:
            fingerprint = self._canonicalizer.fingerprint(request)
            names = [entry.name for entry in select(request, self._store.sharing(fingerprint))]
        if not names:
            return None
        return _Known((request.scope, name), names, self._store.stamp(names), request.model)

    def _prepare(self, known: _Known, name: str, request: Request) -> Rendered:
        rendered = render(self._store.load(name).response, request)
        known.prepared[name] = rendered
        known.size += len(rendered.body)
        self._known_bytes += len(rendered.body)
        while self._known_bytes > _PREPARED_BYTES and len(self._known) > 1:
            self._known_bytes -= self._known.popitem(last=False)[1].size
        return rendered

    def _remember(self, digest: bytes, known: _Known) -> None:
        old = self._known.pop(digest, None)
        self._known_bytes -= old.size if old else 0
        self._known[digest] = known

    def _miss(self, request: Request) -> RecordingNotFound:
        entries = self._store.entries()
        likely = self._store.nearest(request, _LIKELY)
        return miss_error(
            request,
            key=key(request),
            where=self._store.where,
            entries=entries,
            nearest=near_miss(request, likely, self._canonicalizer),
            broken=self._store.broken(),
            upstreams=self._canonicalizer.upstreams,
        )

    async def models(self, call: Call) -> Answer:
        """Every model that a recorded listing names; where none was recorded, those that recordings answer for."""
        models: dict[str, Json] = {}
        entries = self._store.entries()
        for entry in entries:
            if endpoint_of(entry.path) == "/v1/models":
                for model in self._listed(entry.name):
                    models.setdefault(str(model.get("id")), model)
        if not models:
            names = sorted({entry.model for entry in entries} - {""})
            models = {name: {"id": name, "object": "model", "created": 0, "owned_by": "harness"} for name in names}
        return Answer(200, JSON_TYPE, encode({"object": "list", "data": list(models.values())}))

    def _listed(self, name: str) -> list[dict[str, Json]]:
        try:
            body = self._store.load(name).response.body
        except RecordingError:
            return []
        data = body.get("data") if isinstance(body, dict) else None
        return [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []

    @property
    def has_listing(self) -> bool:
        """Whether a model listing was recorded."""
        return any(endpoint_of(entry.path) == "/v1/models" for entry in self._store.entries())

    async def close(self) -> None:
        """Nothing is held open."""


def _digest(call: Call) -> bytes:
    """What prepared answers are kept under: the raw request, but of a form, whose boundary is random, the key."""
    if is_multipart(call.content_type or ""):
        return hashlib.blake2b(key(call.request).encode(), digest_size=16).digest()
    head = f"{call.method} {call.path}?{call.query}\n{call.content_type}\n{call.scope}\n"
    return hashlib.blake2b(head.encode() + call.raw, digest_size=16).digest()
