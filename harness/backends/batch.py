"""Asking in batches: an upstream's Batch API behind the door through which single requests go.

Requests that come close after each other are asked as one batch; whoever asked waits until it has ended. Which batch
holds which request is kept in a ledger before it is begun, so that another process can go on waiting for it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, TypeAlias

from harness.backends.asking import Final, Refused
from harness.backends.batch_apis import BatchApi, NotThere, State, api_of, results_of
from harness.backends.protocol import Answer, Call, Upstream
from harness.errors import HarnessError, UpstreamError
from harness.recording.answer import encode, render
from harness.recording.batches import LIMIT, LIMIT_BYTES, Line, line_of
from harness.recording.canonical import endpoint_of
from harness.recording.model import JSON_TYPE, Json, Response
from harness.recording.recordable import is_recordable

_QUIET_SECONDS = 0.3
"""How long nobody must have asked for a batch to be begun."""
_SHORTEST_POLL, _LONGEST_POLL = 2.0, 60.0
_DONE = ("completed", "ended")
_PATIENCE = 10
"""How many failed looks at a batch in a row are put up with."""

_Group: TypeAlias = tuple[str, str, str]
"""What one batch has in common: who is asked (the prefix of its path), the endpoint, the model."""


@dataclass(eq=False, slots=True)
class Begun:
    """A batch: where (the prefix of the provider's paths, the endpoint), and the custom ids of its open requests.

    Until its ``id`` was read it has none, and is found by its ``mark``, if it was begun at all.
    """

    prefix: str
    endpoint: str
    mark: str
    names: tuple[str, ...]
    id: str = ""


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
    _ended: dict[Begun, "asyncio.Task[dict[str, Line]]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        fields = ("prefix", "endpoint", "mark", "names", "id")
        rows = [row for row in self.ledger.batches() if row.keys() >= {*fields}]
        self._begun = [Begun(**{**row, "names": tuple(row["names"])}) for row in rows]

    def of(self, custom_id: str) -> "Upstream":
        """An upstream that asks in a batch, for one request of this name."""
        return _OneOf(self, custom_id)

    async def line(self, call: Call, custom_id: str) -> Line:
        """The answer to a call. Raises UpstreamError when its batch failed."""
        for begun in [one for one in self._begun if custom_id in one.names]:
            lines = await asyncio.shield(self._end_of(begun))
            # What a batch has no answer to is asked again, in another.
            if (line := lines.get(custom_id)) is not None and line.status and is_recordable(line.status):
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
            lines = await self._end_of(await self._begin(group, rows))
        except HarnessError as error:
            for row in rows.values():
                if not row.answer.done():
                    row.answer.set_exception(error)
            return
        for custom_id, row in rows.items():
            if not row.answer.done():
                row.answer.set_result(lines.get(custom_id) or Line(0, None, "the batch has no answer to it"))

    async def _begin(self, group: _Group, rows: dict[str, _Waiting]) -> Begun:
        prefix, endpoint, _ = group
        api, lines = api_of(endpoint, self.upstream), [row.line for row in rows.values()]
        headers = next(iter(rows.values())).call.headers
        # One after the other: what is found behind a mark is then one batch.
        async with self._beginning:
            begun = Begun(prefix, endpoint, await api.mark(prefix, lines, headers), tuple(rows))
            # Whoever is killed between the request and its answer has a batch all the same, and pays for it.
            self._begun.append(begun)
            self._keep()
            try:
                begun.id = await api.begin(prefix, endpoint, lines, begun.mark, headers)
            except Final:
                self._drop(begun)
                raise
            self._keep()
        self.told(f"{begun.id}: {len(rows)} requests are asked in a batch")
        return begun

    def _keep(self) -> None:
        self.ledger.keep_batches([asdict(begun) for begun in self._begun])

    def _drop(self, begun: Begun) -> None:
        if begun in self._begun:
            self._begun.remove(begun)
            self._keep()

    def _forget(self, begun: Begun, custom_id: str) -> None:
        if begun in self._begun:
            begun.names = tuple(name for name in begun.names if name != custom_id)
            self._keep()

    def _end_of(self, begun: Begun) -> "asyncio.Task[dict[str, Line]]":
        """The task that waits for a batch: one, however many ask for it."""
        if begun not in self._ended:
            task = asyncio.ensure_future(self._wait_for(begun))
            self._ended[begun] = task
            task.add_done_callback(lambda _: self._settle(begun, task))
        return self._ended[begun]

    def _settle(self, begun: Begun, task: "asyncio.Task[dict[str, Line]]") -> None:
        """What went wrong is tried anew by who asks again."""
        if task.cancelled() or task.exception() is not None:
            self._ended.pop(begun, None)

    async def _wait_for(self, begun: Begun) -> dict[str, Line]:
        """The answers of a batch; none where there is no such batch (any more)."""
        api = api_of(begun.endpoint, self.upstream)
        try:
            if begun.id or await self._is_found(begun, api):
                return await self._answers(begun, await self._ending(begun, api))
        except NotThere:
            pass
        self._drop(begun)
        return {}

    async def _is_found(self, begun: Begun, api: BatchApi) -> bool:
        """Look for a batch of which a run that was killed did not read the id. It may not have been begun."""
        begun.id = await api.find(begun.prefix, begun.mark, len(begun.names)) or ""
        if begun.id:
            self.told(f"{begun.id}: was begun by an earlier run")
            self._keep()
        return bool(begun.id)

    async def _ending(self, begun: Begun, api: BatchApi) -> State:
        """Wait for the end of a batch."""
        pause, failures, told = _SHORTEST_POLL, 0, ""
        while True:
            try:
                state = await api.state(begun.prefix, begun.id)
            except Refused:
                raise
            except UpstreamError:
                failures += 1
                if failures >= _PATIENCE:
                    raise
            else:
                failures = 0
                if state.has_ended:
                    return state
                if state.words != told:
                    told = state.words
                    self.told(f"{begun.id}: {told}")
            await self.sleep(pause)
            pause = min(_LONGEST_POLL, pause * 1.5)

    async def _answers(self, begun: Begun, state: State) -> dict[str, Line]:
        found = await results_of(state, self.upstream)
        if not found and state.status not in _DONE:
            self._drop(begun)  # The next run is to begin another.
            raise Final(
                f"The batch {begun.id} is {state.status}: {state.why}", hint="Mend what it names, or leave out --batch."
            )
        self.told(f"{begun.id}: {state.status}, {len(found)} answers")
        return found


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

    async def check_key(self, call: Call, patience: float | None = None) -> None:
        await self.batches.upstream.check_key(call, patience)

    def secrets(self, call: Call) -> list[str]:
        return self.batches.upstream.secrets(call)

    def provider(self, call: Call) -> str:
        return self.batches.upstream.provider(call)

    async def close(self, grace: float | None = None) -> None:
        """The upstream is the batches' own."""


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
