"""A plan carried out: each step asked once what it quotes has been answered, a bounded number of them at once."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from harness.backends.asking import Asker, Refused
from harness.backends.protocol import Call
from harness.errors import HarnessError
from harness.recording.batches import custom_id, is_batchable
from harness.recording.bodies import sent_body
from harness.recording.estimate import BATCH_SHARE, Cost, Estimate, cost_of, spent_on
from harness.recording.following import Followed, follow
from harness.recording.keeping_order import ends
from harness.recording.key import key, parse_stem
from harness.recording.model import JSON_TYPE, Exchange, Request
from harness.recording.refresh import Names, Plan, Step
from harness.refresh.wanted import CONTROL, NEW, Done, Means, Outcome, Telling, Wanted
from harness.stores.staging import Staging

_GONE = 5
"""After so many failures in a row, whatever was asked, an upstream is taken to be gone."""


class Run:
    """One run of a plan. What ``staging`` has from an earlier one is not asked again."""

    def __init__(self, plan: Plan, wanted: Wanted, means: Means, staging: Staging) -> None:
        self._plan, self._wanted, self._means, self._staging = plan, wanted, means, staging
        self._names, self._controls = Names(), Names()
        self._given: dict[str, str] = {}
        self._outcome = Outcome(plan)
        self._reserved, self._failures = 0.0, 0
        self._total = 0
        self._free = asyncio.Semaphore(wanted.jobs)
        self._telling = Telling()

    # The estimate.

    def estimate(self) -> tuple[Estimate, int]:
        """What is still to be asked, and how many answers are there already. Nothing is asked.

        Raises SettingsError for a change that a request has no place for.
        """
        found, known = Estimate(), 0
        for step, request, exchange in self._look():
            known += exchange is not None
            found.add([] if exchange is not None else [self._cost(step, request)])
        return found, known

    def _look(self) -> Iterator[tuple[Step, Request, Exchange | None]]:
        """Every request, as far as it is known yet, with the answer that an earlier run had."""
        done: dict[str, Done] = {}
        self._name_fixed()
        for step in self._plan.steps:
            followed = self._followed(step, done)
            name = self._name(step, followed.request) if followed else ""
            asked = followed.request if followed else self._wanted.changes.apply(step.request)
            for part, request in self._parts(step, asked):
                name_of_it = self._control_name(step) if part.startswith(CONTROL) else name
                exchange = self._staging.load(part, name_of_it) if name_of_it else None
                if exchange is not None and part == f"{NEW}/1" and followed:
                    done[step.name] = Done(step, name, exchange, followed)
                yield step, request, exchange
        self._names, self._controls, self._given = Names(), Names(), {}

    def _parts(self, step: Step, request: Request) -> Iterator[tuple[str, Request]]:
        """Every request of a step, each with the part of the staging where its answer goes."""
        for number in range(1, self._wanted.times + 1):
            yield f"{NEW}/{number}", request
        if self._wanted.control and self._wanted.changes.apply(step.request) != step.request:
            for number in range(1, self._wanted.times + 1):
                yield f"{CONTROL}/{number}", step.request

    def _cost(self, step: Step, request: Request) -> Cost:
        return cost_of(request, step.exchange, self._wanted.prices, self._share(request))

    def _share(self, request: Request) -> float:
        return BATCH_SHARE if self._means.batches is not None and is_batchable(request) else 1.0

    # Names.

    def _name_fixed(self) -> None:
        """Name those first whose request is known from the start: whatever is answered when, they are called so."""
        for step in self._plan.steps:
            if self._plan.frozen or not step.quotes:
                self._name(step, self._wanted.changes.apply(step.request))

    def _name(self, step: Step, request: Request) -> str:
        if step.name not in self._given:
            self._given[step.name] = self._names.next(self._key(request), parse_stem(step.name)[1])
        return self._given[step.name]

    def _control_name(self, step: Step) -> str:
        place = f"control of {step.name}"
        if place not in self._given:
            self._given[place] = self._controls.next(self._key(step.request), parse_stem(step.name)[1])
        return self._given[place]

    def _key(self, request: Request) -> str:
        redactor = self._means.redactor
        return key(redactor.request(request, self._means.upstream.secrets(call_of(request))), redactor)

    def _followed(self, step: Step, done: dict[str, Done]) -> Followed | None:
        """The step as it is to be asked; None while an answer is missing that it quotes."""
        if self._plan.frozen or not step.quotes:
            return Followed(self._wanted.changes.apply(step.request))
        if any(name not in done for name in step.after):
            return None
        both = {name: (done[name].step.exchange.response, done[name].exchange.response) for name in step.after}
        followed = follow(step.request, step.quotes, both)
        return replace(followed, request=self._wanted.changes.apply(followed.request))

    # The asking.

    async def ask_all(self, asker: Asker, telling: Telling) -> Outcome:
        """Ask every step that can be asked."""
        self._telling = telling
        # What was spent before counts from the start: the budget is one for all runs.
        for step, request, exchange in self._look():
            if exchange is not None:
                self._outcome.spent += self._price(exchange, self._cost(step, request))
        self._name_fixed()
        self._total = sum(len(list(self._parts(step, step.request))) for step in self._plan.steps)
        tasks: dict[str, asyncio.Task[None]] = {}
        for step in self._plan.steps:
            needed = () if self._plan.frozen else [tasks[name] for name in (*step.after, *step.behind)]
            tasks[step.name] = asyncio.create_task(self._step(step, needed, asker))
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
        return self._outcome

    async def _step(self, step: Step, needed: "list[asyncio.Task[None]] | tuple[()]", asker: Asker) -> None:
        if needed:
            await asyncio.gather(*needed)
        outcome = self._outcome
        # What failed is asked again by the next run, and needs what this one would end.
        missing = [name for name in (*step.after, *(step.behind if ends(step.request) else ()))
                   if name not in outcome.done]  # fmt: skip
        followed = self._followed(step, outcome.done)
        if followed is None or (missing and not self._plan.frozen):
            if missing[0] in outcome.failed:
                outcome.failed[step.name] = f"it comes after {missing[0][:12]}, which failed"
            else:
                outcome.unasked.append(step.name)
            return
        name = self._name(step, followed.request)
        parts = list(self._parts(step, followed.request))
        answers = await asyncio.gather(*(self._answer(step, part, name, request, asker) for part, request in parts))
        found = {part: exchange for (part, _), exchange in zip(parts, answers, strict=True) if exchange is not None}
        if len(found) == len(parts):
            first = found.pop(f"{NEW}/1")
            again = [exchange for part, exchange in found.items() if part.startswith(NEW)]
            control = [exchange for part, exchange in found.items() if part.startswith(CONTROL)]
            outcome.done[step.name] = Done(step, name, first, followed, again, control)
        elif step.name not in outcome.failed:
            outcome.unasked.append(step.name)

    async def _answer(self, step: Step, part: str, name: str, request: Request, asker: Asker) -> Exchange | None:
        """One answer: an earlier run's, or a new one; None where it failed or was not to be asked for any more."""
        if part.startswith(CONTROL):
            name = self._control_name(step)
        expected, outcome = self._cost(step, request), self._outcome
        known = await asyncio.to_thread(self._staging.load, part, name)
        if known is not None:
            outcome.known += 1
            self._tell()
            return known
        in_batch = self._means.batches is not None and is_batchable(request)
        try:
            if in_batch:
                return await self._asked(part, name, request, asker, expected)
            async with self._free:
                return await self._asked(part, name, request, asker, expected)
        except Refused as error:
            outcome.stopped = outcome.stopped or " ".join(filter(None, (error.message, error.hint)))
            return None
        except HarnessError as error:
            outcome.failed[step.name] = error.message
            self._failures += 1
            if self._failures >= max(_GONE, self._wanted.jobs):
                outcome.stopped = outcome.stopped or f"{self._failures} requests in a row failed: {error.message}"
            return None

    async def _asked(self, part: str, name: str, request: Request, asker: Asker, expected: Cost) -> Exchange | None:
        reserved = expected.figures.cost or 0.0
        if not self._is_admitted(reserved):
            return None
        self._reserved += reserved
        try:
            call, batches = call_of(request), self._means.batches
            in_batch = batches is not None and is_batchable(request)
            upstream = batches.of(custom_id(name, part)) if batches and in_batch else self._means.upstream
            exchange = await asker.ask(call, upstream, part)
        finally:
            self._reserved -= reserved
        # Not to be cut off between an answer that was paid for and its file.
        await asyncio.shield(asyncio.to_thread(self._staging.save, part, name, exchange))
        self._failures = 0
        self._outcome.asked += 1
        self._outcome.spent += self._price(exchange, expected)
        self._tell()
        return exchange

    def _is_admitted(self, expected: float) -> bool:
        """Whether one more request may be begun; once one may not, no other may."""
        outcome, budget = self._outcome, self._wanted.budget
        if not outcome.stopped and budget is not None and outcome.spent + self._reserved + expected > budget:
            outcome.stopped = f"the budget of {budget:g} is used up, as far as it goes"
        return not outcome.stopped

    def _price(self, exchange: Exchange, expected: Cost) -> float:
        return spent_on(exchange, expected, self._wanted.prices, self._share(exchange.request))

    def _tell(self) -> None:
        outcome = self._outcome
        self._telling.progress(outcome.asked + outcome.known, self._total, outcome.spent)


def call_of(request: Request) -> Call:
    """A recorded request as it is sent."""
    raw, content_type = sent_body(request.body, request.media_type)
    is_plain = request.media_type == JSON_TYPE and isinstance(request.body, dict)
    return Call(
        request.method,
        request.path,
        raw,
        request.scope,
        query=request.query,
        content_type=None if is_plain else content_type,
    )
