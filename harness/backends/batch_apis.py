"""How providers have batches: OpenAI's Batch API (files go up and down), and Anthropic's message batches."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.backends.asking import Final, Refused
from harness.backends.protocol import Answer, Call, Upstream
from harness.errors import UpstreamError
from harness.recording.answer import encode
from harness.recording.batches import MESSAGES, Line, answers_in, together, upload
from harness.recording.model import Json

_LIVE = ("validating", "in_progress", "finalizing", "cancelling", "canceling")
"""The statuses of a batch that has not ended, at either."""
_PAGES = 20
"""How far back a batch is looked for among all others, a hundred on each page."""


class NotThere(Refused):
    """The provider knows nothing of what was asked for."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is, and in words; ``why`` says what is wrong with it as a whole. ``results`` are paths."""

    has_ended: bool
    status: str
    words: str
    why: str = ""
    results: tuple[str, ...] = ()


class BatchApi(Protocol):
    """One way of having batches. ``prefix`` is that of the provider's paths. Everything raises UpstreamError."""

    async def mark(self, prefix: str, lines: Iterable[str], headers: Mapping[str, str]) -> str:
        """Before a batch is begun: what it will be known by, if nobody is there any more to read its id."""
        ...

    async def begin(
        self, prefix: str, endpoint: str, lines: Iterable[str], mark: str, headers: Mapping[str, str]
    ) -> str:
        """Begin a batch; its id."""
        ...

    async def find(self, prefix: str, mark: str, count: int) -> str | None:
        """The id of the batch of ``count`` requests that was begun behind ``mark``; None where there is none."""
        ...

    async def state(self, prefix: str, id: str) -> State: ...


def api_of(endpoint: str, upstream: Upstream) -> BatchApi:
    """The way of the provider that has this endpoint."""
    return _Anthropics(_Asking(upstream)) if endpoint == MESSAGES else _OpenAIs(_Asking(upstream))


async def results_of(state: State, upstream: Upstream) -> dict[str, Line]:
    """The answers of a batch that has ended, by their custom ids. Raises UpstreamError."""
    found: dict[str, Line] = {}
    for path in state.results:
        answer = await _Asking(upstream).answer(Call("GET", path, b""))
        try:
            found |= answers_in((answer.body or b"").decode("utf-8", "replace"))
        except (AttributeError, TypeError, ValueError) as error:
            raise Final(f"GET {path} has no answers of a batch in it: {error}") from error
    return found


@dataclass(frozen=True, slots=True)
class _OpenAIs:
    """A file of requests is uploaded; the batch names it, and by that it is found again."""

    asking: "_Asking"

    async def mark(self, prefix: str, lines: Iterable[str], headers: Mapping[str, str]) -> str:
        raw, content_type = upload(lines)
        file = await self.asking.said(Call("POST", f"{prefix}/v1/files", raw, None, headers, content_type=content_type))
        return str(file.get("id"))

    async def begin(
        self, prefix: str, endpoint: str, lines: Iterable[str], mark: str, headers: Mapping[str, str]
    ) -> str:
        asked = {"input_file_id": mark, "endpoint": endpoint, "completion_window": "24h"}
        return _id(await self.asking.said(Call("POST", f"{prefix}/v1/batches", encode(asked), None, headers)))

    async def find(self, prefix: str, mark: str, count: int) -> str | None:
        rows = await self.asking.listed(f"{prefix}/v1/batches", "after", lambda row: row.get("input_file_id") == mark)
        return next((_id(row) for row in rows if row.get("input_file_id") == mark), None)

    async def state(self, prefix: str, id: str) -> State:
        batch = await self.asking.said(Call("GET", f"{prefix}/v1/batches/{id}", b""))
        counts, status = batch.get("request_counts") or {}, str(batch.get("status"))
        words = f"{status}, {counts.get('completed', 0)} of {counts.get('total', 0)} answered"
        files = [batch[name] for name in ("error_file_id", "output_file_id") if batch.get(name)]
        paths = tuple(f"{prefix}/v1/files/{file}/content" for file in files)
        return State(status not in _LIVE, status, words, _why(batch), paths)


@dataclass(frozen=True, slots=True)
class _Anthropics:
    """The requests stand in the batch itself. It is found again behind the newest one that was there before."""

    asking: "_Asking"

    async def mark(self, prefix: str, lines: Iterable[str], headers: Mapping[str, str]) -> str:
        newest = await self.asking.listed(f"{prefix}/v1/messages/batches", "after_id", lambda _: True, headers)
        return _id(newest[0]) if newest else ""

    async def begin(
        self, prefix: str, endpoint: str, lines: Iterable[str], mark: str, headers: Mapping[str, str]
    ) -> str:
        return _id(
            await self.asking.said(Call("POST", f"{prefix}/v1/messages/batches", together(lines), None, headers))
        )

    async def find(self, prefix: str, mark: str, count: int) -> str | None:
        """The first behind the mark with as many requests. That it is another's shows when it has none of ours."""
        rows = await self.asking.listed(f"{prefix}/v1/messages/batches", "after_id", lambda row: row.get("id") == mark)
        since = [row for row in rows if row.get("id") != mark]
        return next((_id(row) for row in reversed(since) if _total(row) == count), None)

    async def state(self, prefix: str, id: str) -> State:
        path = f"{prefix}/v1/messages/batches/{id}"
        batch = await self.asking.said(Call("GET", path, b""))
        counts, status = dict(batch.get("request_counts") or {}), str(batch.get("processing_status"))
        live = counts.pop("processing", 0)
        words = f"{status}, {sum(counts.values())} of {live + sum(counts.values())} answered"
        has_ended = status not in _LIVE
        return State(has_ended, status, words, results=(f"{path}/results",) if has_ended else ())


def _total(batch: dict[str, Json]) -> int:
    return sum((batch.get("request_counts") or {}).values())


def _id(batch: dict[str, Json]) -> str:
    """Raises Final."""
    if not batch.get("id"):
        raise Final(f"A batch came without an id: {encode(batch)[:300].decode('utf-8', 'replace')}")
    return str(batch["id"])


def _why(batch: dict[str, Json]) -> str:
    errors = (batch.get("errors") or {}).get("data") or []
    told = [str(error.get("message") or error.get("code")) for error in errors if isinstance(error, dict)]
    return "; ".join(told[:3]) or "it does not say why"


@dataclass(frozen=True, slots=True)
class _Asking:
    """Requests that are answered with JSON, or else fail."""

    upstream: Upstream

    async def listed(
        self, path: str, after: str, last: Callable[[dict[str, Json]], bool], headers: Mapping[str, str] | None = None
    ) -> list[dict[str, Json]]:
        """What a list has, down to the ``last`` that is wanted; ``after`` is the parameter for another page."""
        found: list[dict[str, Json]] = []
        query = "limit=100"
        for _ in range(_PAGES):
            page = await self.said(Call("GET", path, b"", None, headers or {}, query=query))
            rows = [row for row in page.get("data") or [] if isinstance(row, dict)]
            for row in rows:
                found.append(row)
                if last(row):
                    return found
            if not rows or not page.get("has_more"):
                break
            query = f"{after}={rows[-1].get('id')}&limit=100"
        return found

    async def said(self, call: Call) -> dict[str, Json]:
        answer = await self.answer(call)
        try:
            body = json.loads(answer.body or b"")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Final(f"{call.method} {call.path} answered with no JSON object.")
        return body

    async def answer(self, call: Call) -> Answer:
        answer = await self.upstream.ask(call)
        if answer.stream is not None:
            answer.body = b"".join([piece async for piece in answer.stream])
        if answer.status < 400:
            return answer
        text = (answer.body or b"").decode("utf-8", "replace")[:300]
        said = f"{call.method} {call.path} answered {answer.status}: {text}"
        if answer.status in (404, 405, 501):
            raise NotThere(said, hint="The upstream has no batches of these requests, it seems: leave out --batch.")
        raise UpstreamError(said) if answer.status in (408, 409, 429) or answer.status >= 500 else Refused(said)
