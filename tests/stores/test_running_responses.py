"""Responses that are yet to end: begun, added to, ended once and for all, by whoever comes first."""

import asyncio
from typing import Any

import pytest

from harness.errors import InvalidRequest
from harness.stores.protocol import Held, Object
from harness.stores.state import SqlState
from tests.stores.test_state import conversation, ids, item, run

CANCELLED = {"status": "cancelled"}
HELD = Held("conv_1", "me")


def response(status: str = "queued", name: str = "resp_1") -> Object:
    return {"id": name, "status": status, "output": []}


def event(number: int) -> Object:
    return {"type": "response.output_text.delta", "sequence_number": number, "delta": "é\x00"}


async def begin(state: SqlState, name: str = "resp_1") -> None:
    await state.begin_response(response(name=name), input_items=[item("a")], events=[event(0)])


async def end(state: SqlState, *events: Object, lease: Held | None = None, name: str = "resp_1") -> bool:
    conversation_id = lease.name if lease else None
    turn: dict[str, Any] = {"input_items": [], "new_items": [item("b")], "keep": True}
    return await state.save_turn(
        response("completed", name), conversation_id=conversation_id, lease=lease, events=events, **turn
    )


def test_its_events_are_kept_in_order_and_go_with_it(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await begin(state)
        assert await state.response_input("resp_1") == [item("a")]
        assert await state.add_events("resp_1", [event(1), event(2)], response("in_progress"))
        assert await state.add_events("resp_1", [event(3)], None)
        assert await state.response("resp_1") == response("in_progress")
        assert await end(state, event(4))
        assert await state.response("resp_1") == response("completed")
        assert await state.events("resp_1", -1) == [event(number) for number in range(5)]
        assert await state.events("resp_1", 2) == [event(3), event(4)]
        assert await state.events("resp_1", 4) == await state.events("resp_2", -1) == []
        assert await state.delete_response("resp_1")
        assert await state.events("resp_1", -1) == []

    run(scenario, url)


def test_what_has_ended_stays_as_it_is(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [])
        await begin(state)
        assert await state.end_response("resp_1", CANCELLED) == response("cancelled")
        assert await state.end_response("resp_1", {"status": "failed"}) == response("cancelled")
        assert not await state.add_events("resp_1", [event(1)], response("in_progress"))
        assert await state.take_lease(*HELD, 60)
        for name in ("resp_1", "resp_2"):
            with pytest.raises(InvalidRequest, match="does not run any more"):
                await end(state, event(1), lease=HELD, name=name)
        assert await state.is_leased("conv_1"), "what was not written took nothing back"
        assert await state.items("conv_1") == []
        assert await state.events("resp_1", -1) == [event(0)]
        assert await state.end_response("resp_2", CANCELLED) is None

    run(scenario, url)


def test_one_that_somebody_holds_is_not_abandoned(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await begin(state)
        assert await state.take_lease("resp_1", "me", 60)
        assert await state.end_response("resp_1", CANCELLED, if_unheld=True) == response()
        assert await state.take_lease("resp_1", "me", -1)
        assert not await state.is_leased("resp_1")
        assert await state.end_response("resp_1", CANCELLED, if_unheld=True) == response("cancelled")

    run(scenario, url)


def test_a_turn_gives_its_lease_back_and_appends_nothing_without_it(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [])
        await begin(state)
        assert await state.take_lease("conv_1", "another", 60)
        with pytest.raises(InvalidRequest) as caught:
            await end(state, lease=HELD)
        assert caught.value.code == "conversation_locked"
        assert await state.items("conv_1") == []
        assert await state.response("resp_1") == response()
        await state.drop_lease("conv_1", "another")
        assert await state.take_lease(*HELD, 60)
        assert await end(state, lease=HELD)
        assert ids(await state.items("conv_1")) == ["b"]
        assert not await state.is_leased("conv_1")
        assert not await state.renew_lease(*HELD, 60)

    run(scenario, url)


def test_of_an_end_and_a_cancellation_one_wins(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        outcomes = set()
        for number in range(20):
            name = f"resp_{number}"
            await state.create_conversation(conversation(f"conv_{number}"), [])
            await begin(state, name)
            held = Held(f"conv_{number}", "me")
            await state.take_lease(*held, 60)
            racers = [end(state, event(1), lease=held, name=name), state.end_response(name, CANCELLED)]
            await asyncio.gather(*(racers if number % 2 else reversed(racers)), return_exceptions=True)
            found = await state.response(name)
            assert found is not None
            outcomes.add(found["status"])
            items = await state.items(held.name)
            assert ids(items) == (["b"] if found["status"] == "completed" else [])
        assert outcomes <= {"completed", "cancelled"}

    run(scenario, url)
