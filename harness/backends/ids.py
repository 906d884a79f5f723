"""What is kept of ids while recording: each id that a client was given, and the one that its upstream gave.

Ids of one scope are known in that scope and, of shared exchanges, in every other; the way back is known everywhere, for
a client may hold ids of several scopes. What was recorded by an earlier run comes back with the recordings: when one is
replayed, and when a client quotes an id that it must have from one.
"""

import asyncio
import json
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Protocol

from harness.backends.apart import apart
from harness.backends.protocol import Call
from harness.errors import RecordingError
from harness.recording.batch_files import edited_requests
from harness.recording.bodies import BINARY, TEXT, edited_form, is_multipart
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.ids import (
    AnswerIds,
    Lookup,
    key_beginning,
    quoted,
    quoted_in_url,
    turned_back,
    turned_back_in_url,
)
from harness.recording.model import Exchange, Json
from harness.recording.redact import Redactor

_STATELESS = (*CHUNKED, "/v1/embeddings", "/v1/messages", "/v1/moderations")
"""Where nothing is kept by the upstream: its ids mean nothing to it once it has answered."""


class Recorded(Protocol):
    """The recordings of which a client may hold ids, as a RecordingStore has them."""

    def beginning(self, digits: str) -> list[str]: ...

    def load(self, name: str) -> Exchange: ...


class _Numbers:
    """Hands out 1, 2, 3, …; one that is given back is the next."""

    def __init__(self) -> None:
        self._last, self._free = 0, list[int]()

    def take(self) -> int:
        if self._free:
            return heappop(self._free)
        self._last += 1
        return self._last

    def give_back(self, number: int) -> None:
        heappush(self._free, number)


@dataclass(slots=True)
class _Scope:
    """One scope's run: by provider what ids are called, what the client said by itself, how often a key was answered.

    ``deleted`` are ids of objects whose deletion was replayed: that the upstream has them no more is as it should be.
    """

    names: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    own: set[str] = field(default_factory=set)
    answers: defaultdict[str, _Numbers] = field(default_factory=lambda: defaultdict(_Numbers))
    replayed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Exchanged:
    """The ids of one exchange: ``call`` is what goes upstream, ``answer`` names what comes back (None: nothing is).

    ``recalled`` are those ids of the request that only recordings know, and that should be there.
    """

    call: Call
    asked: Mapping[str, str] = field(default_factory=dict)
    recalled: Mapping[str, str] = field(default_factory=dict)
    answer: AnswerIds | None = None
    is_kept: bool = False
    give_back: Callable[[], None] = lambda: None

    @property
    def pairs(self) -> dict[str, str]:
        """What the recording keeps: its normalized ids, each with the upstream's, in order of appearance."""
        seen = {} if self.answer is None else self.answer.seen
        made = set() if self.answer is None or self.is_kept else self.answer.made
        return {**self.asked} | {name: upstream_id for name, upstream_id in seen.items() if name not in made}


class Ids:
    """The ids of all scopes. ``store`` has the recordings, ``redactor`` says what is a secret and therefore no id."""

    def __init__(self, store: Recorded, redactor: Redactor) -> None:
        self._store, self._redactor = store, redactor
        self._scopes: defaultdict[str | None, _Scope] = defaultdict(_Scope)
        self._given: dict[str, str] = {}
        self._passing: dict[str, str] = {}
        """Ids of answers that no upstream keeps: turned back like others, written down nowhere."""
        self._recalled: dict[str, str] = {}
        self._upstream_ids = ChainMap(self._given, self._passing, self._recalled)

    async def exchange(self, call: Call, key: str, provider: str, secrets: Sequence[str] = ()) -> Exchanged:
        """A call with the upstream's own ids in place of normalized ones, and what names the ids of its answer.

        ``secrets`` are those of the call: what is one is no id.
        """
        endpoint = endpoint_of(call.path)
        if call.target is not None or endpoint == "/v1/models":
            # MCP servers and lists of models keep nothing for a client.
            return Exchanged(call)
        said = await apart(call, _said)
        await self._look_up(said.words)
        turned, asked = await self._turned(call, said)
        scope, own = self._scopes[call.scope], self._own(said)
        scope.own |= own
        kept = {name: found for name, found in asked.items() if name not in self._passing}
        for name, found in kept.items():
            scope.names[provider].setdefault(found, name)
        is_kept = _is_kept(call)
        names = ChainMap(scope.names[provider], self._scopes[None].names[provider])
        own = scope.own if is_kept else own

        def stays(name: str, text: str) -> bool:
            return text in own or (text not in names and self._redactor.redact({name: text}, secrets) != {name: text})

        answer, give_back = self._answer(scope, key, names, stays, is_kept=is_kept, completes=endpoint in CHUNKED)
        lost = {name: found for name, found in kept.items() if name not in self._given and name not in scope.deleted}
        return Exchanged(turned, kept, lost, answer, is_kept=is_kept, give_back=give_back)

    def _answer(
        self,
        scope: _Scope,
        key: str,
        names: ChainMap[str, str],
        stays: Callable[[str, str], bool],
        *,
        is_kept: bool,
        completes: bool,
    ) -> tuple[AnswerIds, Callable[[], None]]:
        taken: list[int] = []

        def number() -> int:
            taken.append(scope.answers[key].take())
            return taken[0]

        def give_back() -> None:
            # What an upstream keeps exists, however its answer ended, and a client may have read the id.
            for number in taken if not is_kept else ():
                scope.answers[key].give_back(number)

        answer = AnswerIds(
            key,
            names if is_kept else names.new_child(),
            self._upstream_ids if is_kept else self._upstream_ids.new_child(self._passing),
            completes=completes,
            number=number,
            stays=stays,
        )
        return answer, give_back

    async def _turned(self, call: Call, said: "_Said") -> tuple[Call, dict[str, str]]:
        """The call with the upstream's ids, and those that are known of it, in order of appearance."""
        asked: dict[str, str] = {}
        if not any(text in self._upstream_ids for text in said.words):
            return call, asked

        def upstream_id(text: str) -> str | None:
            found = self._upstream_ids.get(text)
            if found is not None:
                asked[text] = found
            return found

        return await apart(call, lambda call: _turned_back(call, upstream_id)), asked

    def _own(self, said: "_Said") -> set[str]:
        """The ids in a request that nobody gave to its client."""
        return {text for text in said.ids if text not in self._upstream_ids}

    async def _look_up(self, words: Iterable[str]) -> None:
        """Learn the ids of the recordings that what looks like an id of theirs is from."""
        unknown = [text for text in words if text not in self._upstream_ids]
        beginnings = dict.fromkeys(filter(None, map(key_beginning, unknown)))
        if beginnings:
            for name, ids in await asyncio.to_thread(self._recorded, list(beginnings)):
                self._recall(name, ids)

    def _recorded(self, beginnings: Iterable[str]) -> list[tuple[str, Mapping[str, str]]]:
        """The ids of all recordings whose key begins so."""
        names = [name for beginning in beginnings for name in self._store.beginning(beginning)]
        return [(name, self._ids_of(name)) for name in names]

    def _ids_of(self, name: str) -> Mapping[str, str]:
        try:
            return self._store.load(name).ids
        except RecordingError:
            return {}

    def _recall(self, name: str, ids: Mapping[str, str]) -> None:
        """Learn the ids of a recording."""
        # Where several recordings have an id, the one that brought it is right about it.
        brought = {text for text in ids if name.rpartition("/")[2].startswith(key_beginning(text) or "-")}
        for text, upstream_id in ids.items():
            if text in brought or text not in self._recalled:
                self._recalled[text] = upstream_id

    async def replayed(self, call: Call, name: str, provider: str) -> None:
        """The recording ``name`` has answered a call: its client has the ids in it."""
        if name in self._scopes[call.scope].replayed:
            return
        ids, said = await asyncio.to_thread(self._ids_of, name), await apart(call, _said)
        self._recall(name, ids)
        scope = self._scopes[call.scope]
        scope.replayed.add(name)
        for text in ids:
            scope.names[provider].setdefault(self._upstream_ids[text], text)
            if call.method == "DELETE" and text in call.path:
                scope.deleted.add(text)
        scope.own |= self._own(said)

    def forget(self, scope: str | None) -> None:
        """Begin a scope anew. The way back stays: a client may still hold what it was given."""
        self._scopes.pop(scope, None)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a request says that may be an id: ``words`` that a normalized id may stand in, ``ids`` by field or looks."""

    words: Collection[str]
    ids: Collection[str]


def _said(call: Call) -> _Said:
    words: dict[str, None] = {}
    _turned_back(call, words.setdefault)
    ids = {*quoted_in_url(call.path), *quoted_in_url(call.query), *quoted(call.request.body)}
    return _Said(words, ids)


def _is_kept(call: Call) -> bool:
    if endpoint_of(call.path) not in _STATELESS:
        return True
    body = call.request.body
    return isinstance(body, dict) and body.get("store") is True


def _turned_back(call: Call, upstream_id: Lookup) -> Call:
    """A call with the upstream's ids in its path, its query and its body; what has none stays byte for byte."""
    path, query = (turned_back_in_url(part, upstream_id) for part in (call.path, call.query))
    raw = _body_turned_back(call, upstream_id) if call.raw else call.raw
    if (path, query, raw) == (call.path, call.query, call.raw):
        return call
    return replace(call, path=path, query=query, raw=raw)


def _body_turned_back(call: Call, upstream_id: Lookup) -> bytes:
    body: Json = call.request.body
    if is_multipart(call.content_type or ""):
        return edited_form(call.raw, call.content_type or "", lambda data, file: _part(data, file, upstream_id))
    if isinstance(body, dict) and (TEXT in body or BINARY in body):
        # Content, whatever it is.
        return call.raw
    turned = turned_back(body, upstream_id)
    return call.raw if turned is body else json.dumps(turned).encode()


def _part(data: bytes, file: str | None, upstream_id: Lookup) -> bytes:
    """A part of a form: in fields and in a batch's requests ids are ids, any other file is content."""
    if file is not None:
        return edited_requests(data, lambda line: turned_back(line, upstream_id))
    try:
        return str(turned_back(data.decode(), upstream_id)).encode()
    except UnicodeDecodeError:
        return data
