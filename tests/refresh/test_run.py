"""How a plan is carried out: how many at once, in which order, and when it is given up."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.backends.asking import Asked, Asker
from harness.backends.batch import Batches
from harness.backends.protocol import Answer, Call
from harness.errors import UpstreamError
from harness.recording.model import Exchange, Json, Request
from harness.recording.redact import BUILT_IN
from harness.recording.refresh import plan
from harness.refresh.run import Run
from harness.refresh.wanted import Means, Outcome, Telling, Wanted
from harness.stores.staging import Staging
from tests.recording.test_quoting import assistant, chat, user
from tests.refresh.recorded import NothingRecorded, completion


class FakeUpstream:
    """Answers at once, or as ``reply`` says; knows how many requests were under way at the same time."""

    def __init__(self, reply: Callable[[Json], Answer | None] = lambda _: None) -> None:
        self.reply, self.busy, self.busiest = reply, 0, 0
        self.asked: list[tuple[float, Json]] = []

    async def ask(self, call: Call) -> Answer:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        body = json.loads(call.raw)
        self.asked.append((time.monotonic(), body))
        await asyncio.sleep(0.002)
        self.busy -= 1
        said = completion(f"new {body['messages'][-1]['content']}")
        return self.reply(body) or Answer(200, "application/json", json.dumps(said).encode())

    async def check_key(self, call: Call, patience: float | None = None) -> None:
        """Every key will do."""

    def secrets(self, call: Call) -> list[str]:
        return []

    def provider(self, call: Call) -> str:
        return "https://api.openai.com"

    async def close(self, grace: float | None = None) -> None:
        """Nothing is open."""


def carried_out(tmp_path: Path, upstream: FakeUpstream, exchanges: dict[str, Exchange], wanted: Wanted) -> Outcome:
    async def main() -> Outcome:
        run = Run(plan(exchanges), wanted, Means(upstream, BUILT_IN), Staging(tmp_path))
        return await run.ask_all(Asker(BUILT_IN, NothingRecorded(), Asked(0, lambda: 0.5)), Telling())

    return asyncio.run(main())


def many(count: int) -> dict[str, Exchange]:
    return {f"{number:03}": chat([user(f"{number}")], assistant("old"), f"t::{number}") for number in range(count)}


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_are_under_way_than_there_may_be(tmp_path: Path, jobs: int) -> None:
    upstream = FakeUpstream()
    outcome = carried_out(tmp_path, upstream, many(20), Wanted(jobs=jobs))

    assert (len(outcome.done), upstream.busiest) == (20, jobs)


def test_turns_of_one_test_wait_for_each_other_and_no_other_test_does(tmp_path: Path) -> None:
    turns = [user("one"), assistant("old one"), user("two"), assistant("old two"), user("three")]
    dialogue = {f"turn {length}": chat(turns[:length], assistant(f"old {turns[length - 1]['content']}"), "t::d")
                for length in (5, 3, 1)}  # fmt: skip
    upstream = FakeUpstream()
    carried_out(tmp_path, upstream, {**dialogue, **many(3)}, Wanted(jobs=8))
    lengths = [len(body["messages"]) for _, body in upstream.asked]

    assert lengths == [1, 1, 1, 1, 3, 5]
    assert upstream.asked[-1][1]["messages"][1::2] == [assistant("new one"), assistant("new two")]


def test_an_upstream_that_is_gone_is_not_asked_to_the_last(tmp_path: Path) -> None:
    def fail(_: Json) -> Answer:
        raise UpstreamError("nobody is there")

    upstream = FakeUpstream(fail)
    outcome = carried_out(tmp_path, upstream, many(40), Wanted(jobs=2))

    assert len(upstream.asked) < 10
    assert outcome.stopped.endswith("requests in a row failed: nobody is there")
    assert len(outcome.unasked) + len(outcome.failed) == 40


def test_a_refusal_stops_all_that_was_not_begun(tmp_path: Path) -> None:
    upstream = FakeUpstream(lambda _: Answer(401, "application/json", b"{}"))
    outcome = carried_out(tmp_path, upstream, many(40), Wanted(jobs=2))

    assert len(upstream.asked) <= 2
    assert "401" in outcome.stopped


def test_two_that_become_the_same_request_become_a_sequence(tmp_path: Path) -> None:
    from harness.recording.changes import Changes

    exchanges = {name: chat([user("one")], assistant(name), "t::a") for name in ("a", "b")}
    warm = exchanges["b"].request
    exchanges["b"] = Exchange(Request(warm.method, warm.path, {**warm.body, "temperature": 1}, warm.scope),
                              exchanges["b"].response)  # fmt: skip
    outcome = carried_out(tmp_path, FakeUpstream(), exchanges, Wanted(Changes(values=[("temperature", 0)])))

    assert outcome.done["b"].name == f"{outcome.done['a'].name}-2"


def test_what_a_429_asks_for_holds_for_every_request() -> None:
    answers = iter([Answer(429, "application/json", b"{}", headers={"retry-after": "0.2"})])
    upstream = FakeUpstream(lambda _: next(answers, None))

    async def main() -> None:
        asker = Asker(BUILT_IN, NothingRecorded(), Asked(3, lambda: 0.5))
        calls = [Call("POST", "/v1/chat/completions", json.dumps({"messages": [user(word)]}).encode()) for word in "ab"]
        first = asyncio.create_task(asker.ask(calls[0], upstream))
        await asyncio.sleep(0.05)
        await asyncio.gather(first, asker.ask(calls[1], upstream))

    asyncio.run(main())
    start, *rest = [when for when, _ in upstream.asked]

    assert len(rest) == 2
    assert min(rest) - start >= 0.2


class Ledger:
    def __init__(self) -> None:
        self.rows: list[dict[str, Json]] = []

    def batches(self) -> list[dict[str, Json]]:
        return self.rows

    def keep_batches(self, rows: Sequence[dict[str, Json]]) -> None:
        self.rows = [*rows]


class Waits:
    """The first five waits end when they are told to, later ones at once."""

    def __init__(self) -> None:
        self._ends = [asyncio.Event() for _ in range(5)]
        self._begun = 0

    async def sleep(self, _: float) -> None:
        self._begun += 1
        if self._begun <= len(self._ends):
            await self._ends[self._begun - 1].wait()

    def end(self, count: int) -> None:
        for end in self._ends[:count]:
            end.set()


def test_a_batch_waits_until_nobody_adds_to_it() -> None:
    begun: list[int] = []

    class Api(FakeUpstream):
        async def ask(self, call: Call) -> Answer:
            if call.path == "/v1/files":
                begun.append(call.raw.count(b"custom_id"))
                return Answer(200, "application/json", b'{"id": "file-1"}')
            if call.path == "/v1/batches":
                return Answer(200, "application/json", b'{"id": "batch_1"}')
            if call.path == "/v1/batches/batch_1":
                return Answer(200, "application/json", b'{"status": "completed", "output_file_id": "file-2"}')
            rows = [{"custom_id": f"{n}", "response": {"status_code": 200, "body": completion("x")}} for n in range(5)]
            return Answer(200, "", "\n".join(map(json.dumps, rows)).encode())

    async def main() -> list[Answer]:
        waits = Waits()
        batches = Batches(Api(), Ledger(), sleep=waits.sleep)
        asked = []
        for number in range(5):
            call = Call("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": []}).encode())
            asked.append(asyncio.create_task(batches.of(f"{number}").ask(call)))
            await asyncio.sleep(0.005)
            # The time of the one before is over when another was added.
            waits.end(number)
        await asyncio.sleep(0.005)
        waits.end(5)
        return await asyncio.gather(*asked)

    answers = asyncio.run(main())

    assert (begun, {answer.status for answer in answers}) == ([5], {200})
