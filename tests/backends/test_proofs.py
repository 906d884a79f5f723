"""What an upstream says of a key: asked once, kept while it is likely to hold, waited for no longer than said."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from harness.backends.proofs import Proofs, Verdict

ABOUT = ("https://a.example/v1", "a-key")
TAKEN = Verdict()
REFUSED = Verdict(refusal=(401, "no"))
UNTOLD = Verdict(failure=TimeoutError())


class Upstream:
    """Answers when it is told to, and counts how often it is asked."""

    def __init__(self, verdict: Verdict, *, is_open: bool = True) -> None:
        self.verdict, self.asked, self.open = verdict, 0, asyncio.Event()
        if is_open:
            self.open.set()

    async def ask(self) -> Verdict:
        self.asked += 1
        await self.open.wait()
        return self.verdict


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


@pytest.mark.parametrize(
    ("verdict", "still", "anew"),
    [(TAKEN, 1e9, None), (REFUSED, 9.0, 11.0), (UNTOLD, 290.0, 310.0)],
    ids=["taken", "refused", "untold"],
)
def test_a_verdict_is_kept_for_as_long_as_it_is_likely_to_hold(
    verdict: Verdict, still: float, anew: float | None
) -> None:
    async def work() -> None:
        hour = [0.0]
        proofs, upstream = Proofs(lambda: hour[0]), Upstream(verdict)
        for hour[0] in (0.0, still):
            assert await proofs.verdict(ABOUT, upstream.ask) == verdict
        assert upstream.asked == 1
        assert await proofs.verdict((ABOUT[0], "another-key"), upstream.ask) == verdict
        assert upstream.asked == 2
        if anew is not None:
            hour[0] = anew
            assert await proofs.verdict(ABOUT, upstream.ask) == verdict
            assert upstream.asked == 3

    run(work)


def test_a_question_that_is_open_is_waited_for_no_longer_than_said_and_left_open() -> None:
    async def work() -> None:
        hour = [0.0]
        proofs, upstream = Proofs(lambda: hour[0]), Upstream(REFUSED, is_open=False)
        assert await proofs.verdict(ABOUT, upstream.ask, patience=0.01) is None
        hour[0] = 1.0
        async with asyncio.timeout(5):  # Whoever comes later than that does not wait at all.
            assert await proofs.verdict(ABOUT, upstream.ask, patience=0.5) is None
        upstream.open.set()
        assert await proofs.verdict(ABOUT, upstream.ask) == REFUSED
        assert upstream.asked == 1

    run(work)


def test_who_gives_up_waiting_takes_the_answer_from_nobody() -> None:
    async def work() -> None:
        proofs, upstream = Proofs(), Upstream(TAKEN, is_open=False)
        waiting = [asyncio.create_task(proofs.verdict(ABOUT, upstream.ask)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        upstream.open.set()
        assert await waiting[1] == TAKEN
        assert waiting[0].cancelled()
        assert upstream.asked == 1

    run(work)


def test_a_question_that_is_open_ends_with_its_asker() -> None:
    async def work() -> None:
        proofs, upstream = Proofs(), Upstream(TAKEN, is_open=False)
        waiting = asyncio.create_task(proofs.verdict(ABOUT, upstream.ask))
        await asyncio.sleep(0)
        await proofs.close()
        assert await waiting is None

    run(work)
