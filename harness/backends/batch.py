"""Asking in batches: an upstream's Batch API behind the door through which single requests go.

Requests that come close after each other are put into one file, uploaded, and asked as a batch; whoever asked waits
until it has ended. Which batch holds which request is kept in a ledger before anybody waits, so that another process
can go on waiting for it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, TypeAlias

from harness.backends.asking import Final, Refused
from harness.backends.protocol import Answer, Call, Upstream
from harness.errors import UpstreamError
from harness.recording.answer import encode, render
from harness.recording.batches import LIMIT, LIMIT_BYTES, LIVE, Line, answers_in, line_of, upload
from harness.recording.canonical import endpoint_of
from harness.recording.model import JSON_TYPE, Json, Response

_QUIET_SECONDS = 0.3
"""How long nobody must have asked for a batch to be begun."""
_SHORTEST_POLL, _LONGEST_POLL = 2.0, 60.0
_PATIENCE = 10
"""How many failed looks at a batch in a row are put up with."""

_Group: TypeAlias = tuple[str, str, str]
"""What one batch has in common: who is asked (the prefix of its path), the endpoint, the model."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch that was begun: where (the prefix of the provider's paths), its id, the custom ids of its requests."""

    prefix: str
    id: str
    names: tuple[str, ...]


class Ledger(Protocol):
    """Where begun batches are kept."""

    def batches(self) -> list[dict[str, Json]]: ...

    def keep_batches(self, rows: Sequence[dict[str, Json]]) -> None: ...


@dataclass(slots=True)
class _Waiting:
    call: Call
    line: str
    answer: "asyncio.Future[Line]"


@dataclass(slots=True)
class Batches:
    """Every batch of a refresh.

    ``names`` are prefixes of models and paths that name upstreams. ``told`` hears what is going on, in a sentence.
    """

    upstream: Upstream
    ledger: Ledger
    names: Sequence[str] = ()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    told: Callable[[str], None] = lambda _: None
    _begun: list[Begun] = field(default_factory=list)
    _waiting: dict[_Group, dict[str, _Waiting]] = field(default_factory=dict)
    _ended: dict[str, "asyncio.Task[dict[str, Line]]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._begun = [Begun(row["prefix"], row["id"], tuple(row["names"])) for row in self.ledger.batches()]

    def of(self, custom_id: str) -> "Upstream":
        """An upstream that asks in a batch, for one request of this name."""
        return _OneOf(self, custom_id)

    async def line(self, call: Call, custom_id: str) -> Line:
        """The answer to a call. Raises UpstreamError when its batch failed."""
        for begun in self._begun:
            if custom_id in begun.names:
                lines = await asyncio.shield(self._end_of(begun))
                # What a batch has no good answer for is asked again, in another.
                if (line := lines.get(custom_id)) is not None and 0 < line.status < 400:
                    return line
                self._forget(begun, custom_id)
        return await self._new(call, custom_id)

    async def _new(self, call: Call, custom_id: str) -> Line:
        prefix, model = self._provider(call)
        group = (prefix, endpoint_of(call.path), model)
        waiting = self._waiting.setdefault(group, {})
        row = _Waiting(call, line_of(custom_id, call.request, model), asyncio.get_running_loop().create_future())
        waiting[custom_id] = row
        self._start(self._soon(group, len(waiting)))
        return await row.answer

    def _provider(self, call: Call) -> tuple[str, str]:
        """The prefix of the provider's paths, and the model as it knows it."""
        first, asked = call.path.removeprefix("/").partition("/")[0], call.request.model
        prefix, slash, bare = asked.partition("/")
        named = bool(slash and bare) and prefix in self.names
        if first in self.names and first != "v1":
            return f"/{first}", bare if named and prefix == first else asked
        return (f"/{prefix}", bare) if named else ("", asked)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _soon(self, group: _Group, count: int) -> None:
        """Begin a batch once nobody adds to it any more."""
        await self.sleep(_QUIET_SECONDS)
        rows = self._waiting.get(group, {})
        if len(rows) != count:
            return
        self._waiting[group] = {}
        for part in _parts(rows):
            self._start(self._run(group, part))

    async def _run(self, group: _Group, rows: dict[str, _Waiting]) -> None:
        try:
            begun = await self._begin(group, rows)
            lines = await self._end_of(begun)
        except UpstreamError as error:
            for row in rows.values():
                if not row.answer.done():
                    row.answer.set_exception(error)
            return
        for custom_id, row in rows.items():
            if not row.answer.done():
                row.answer.set_result(lines.get(custom_id) or Line(0, None, "the batch has no answer to it"))

    async def _begin(self, group: _Group, rows: dict[str, _Waiting]) -> Begun:
        prefix, endpoint, _ = group
        raw, content_type = upload(row.line for row in rows.values())
        headers = next(iter(rows.values())).call.headers
        file = await self._said(Call("POST", f"{prefix}/v1/files", raw, None, headers, content_type=content_type))
        asked = {"input_file_id": file.get("id"), "endpoint": endpoint, "completion_window": "24h"}
        batch = await self._said(Call("POST", f"{prefix}/v1/batches", encode(asked), None, headers))
        begun = Begun(prefix, str(batch["id"]), tuple(rows))
        self._begun.append(begun)
        self._keep()
        self.told(f"{begun.id}: {len(rows)} requests are asked in a batch")
        return begun

    def _keep(self) -> None:
        self.ledger.keep_batches([asdict(begun) for begun in self._begun])

    def _forget(self, begun: Begun, custom_id: str) -> None:
        if begun in self._begun:
            rest = Begun(begun.prefix, begun.id, tuple(name for name in begun.names if name != custom_id))
            self._begun[self._begun.index(begun)] = rest
            self._keep()

    def _end_of(self, begun: Begun) -> "asyncio.Task[dict[str, Line]]":
        """The task that waits for a batch: one, however many ask for it."""
        if begun.id not in self._ended:
            self._ended[begun.id] = asyncio.ensure_future(self._wait_for(begun))
        return self._ended[begun.id]

    async def _wait_for(self, begun: Begun) -> dict[str, Line]:
        pause, failures, told = _SHORTEST_POLL, 0, ""
        while True:
            try:
                batch = await self._said(Call("GET", f"{begun.prefix}/v1/batches/{begun.id}", b""))
                failures = 0
            except UpstreamError:
                failures += 1
                if failures >= _PATIENCE:
                    raise
                batch = {"status": LIVE[0]}
            if batch.get("status") not in LIVE:
                return await self._lines(begun, batch)
            if (words := _progress(batch)) != told:
                told = words
                self.told(f"{begun.id}: {words}")
            await self.sleep(pause)
            pause = min(_LONGEST_POLL, pause * 1.5)

    async def _lines(self, begun: Begun, batch: dict[str, Json]) -> dict[str, Line]:
        found: dict[str, Line] = {}
        for name in ("error_file_id", "output_file_id"):
            if batch.get(name):
                answer = await self._answer(Call("GET", f"{begun.prefix}/v1/files/{batch[name]}/content", b""))
                found |= answers_in((answer.body or b"").decode("utf-8", "replace"))
        if not found and batch.get("status") != "completed":
            raise Final(
                f"The batch {begun.id} is {batch.get('status')}: {_why(batch)}",
                hint="Mend what it names, or leave out --batch.",
            )
        self.told(f"{begun.id}: {batch.get('status')}, {len(found)} answers")
        return found

    async def _said(self, call: Call) -> dict[str, Json]:
        answer = await self._answer(call)
        try:
            body = json.loads(answer.body or b"")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Final(f"{call.method} {call.path} answered with no JSON object.")
        return body

    async def _answer(self, call: Call) -> Answer:
        answer = await self.upstream.ask(call)
        if answer.stream is not None:
            answer.body = b"".join([piece async for piece in answer.stream])
        if answer.status < 400:
            return answer
        text = (answer.body or b"").decode("utf-8", "replace")[:300]
        said = f"{call.method} {call.path} answered {answer.status}: {text}"
        if answer.status in (404, 405, 501):
            raise Refused(said, hint="The upstream has no Batch API, it seems: leave out --batch.")
        raise UpstreamError(said) if answer.status in (408, 409, 429) or answer.status >= 500 else Refused(said)


def _parts(rows: dict[str, _Waiting]) -> Iterable[dict[str, _Waiting]]:
    """Requests in as many files as they need."""
    part: dict[str, _Waiting] = {}
    size = 0
    for custom_id, row in rows.items():
        length = len(row.line.encode("utf-8", "replace"))
        if part and (len(part) >= LIMIT or size + length > LIMIT_BYTES):
            yield part
            part, size = {}, 0
        part[custom_id] = row
        size += length
    if part:
        yield part


def _progress(batch: dict[str, Json]) -> str:
    counts = batch.get("request_counts") or {}
    return f"{batch.get('status')}, {counts.get('completed', 0)} of {counts.get('total', 0)} answered"


def _why(batch: dict[str, Json]) -> str:
    errors = (batch.get("errors") or {}).get("data") or []
    told = [str(error.get("message") or error.get("code")) for error in errors if isinstance(error, dict)]
    return "; ".join(told[:3]) or "it does not say why"


@dataclass(frozen=True, slots=True)
class _OneOf:
    """An Upstream for one request, which goes with others into a batch."""

    batches: Batches
    custom_id: str

    async def ask(self, call: Call) -> Answer:
        line = await self.batches.line(call, self.custom_id)
        if not line.status:
            raise Final(f"The batch has no answer: {line.error}")
        if line.status >= 400 or not call.request.wants_stream:
            return Answer(line.status, JSON_TYPE, encode(line.body))
        rendered = render(Response(line.body), call.request)
        return Answer(line.status, rendered.media_type, stream=_one(rendered.body))

    async def check_key(self, call: Call) -> None:
        await self.batches.upstream.check_key(call)

    def secrets(self, call: Call) -> list[str]:
        return self.batches.upstream.secrets(call)

    def provider(self, call: Call) -> str:
        return self.batches.upstream.provider(call)

    async def close(self) -> None:
        """The upstream is the batches' own."""


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
