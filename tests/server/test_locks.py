"""A conversation is one turn's at a time, whichever server runs it; another one is told to come again."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.server import leases
from harness.stores.state import SqlState, open_state, state_url
from tests.server.test_background import client_of, items_of, until_asked, world

LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."


def say(client: OpenAI, conversation_id: str, text: str = "Hi", **more: Any) -> Any:
    return client.responses.create(model="m", input=text, conversation=conversation_id, **more)


def refused(client: OpenAI, conversation_id: str, **more: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        say(client, conversation_id, "Wait", **more)
    assert caught.value.code == "conversation_locked"
    assert LOCKED in str(caught.value)


def test_a_second_turn_at_once_is_refused(tmp_path: Path) -> None:
    with world(tmp_path) as at, client_of(at.settings) as other, ThreadPoolExecutor() as pool:
        conversation = at.client.conversations.create().id
        first = pool.submit(say, at.client, conversation)
        until_asked(at)
        for client in (at.client, other):
            refused(client, conversation)
            refused(client, conversation, stream=True)
            refused(client, conversation, background=True)
        free = at.client.conversations.create().id
        elsewhere = pool.submit(say, other, free)
        at.go()
        assert first.result().output_text == elsewhere.result().output_text == "Hello"
        say(other, conversation, "Again")
        assert items_of(at.client, conversation) == ["Hi", "Hello", "Again", "Hello"]


@pytest.mark.parametrize("more", [{"stream": True}, {"background": True}, {"background": True, "stream": True}])
def test_the_next_turn_may_begin_as_soon_as_the_end_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    monkeypatch.setattr("harness.server.background.HEAD_START_SECONDS", 0)
    with world(tmp_path) as at:
        at.go()
        conversation = at.client.conversations.create().id
        for number in range(10):
            said = say(at.client, conversation, f"{number}", **more)
            if "stream" in more:
                assert next(event for event in said if event.type == "response.completed")
            else:
                while at.client.responses.retrieve(said.id).status != "completed":
                    pass
        assert len(items_of(at.client, conversation)) == 20


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"background": True}])
def test_a_turn_that_is_refused_locks_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    with world(tmp_path) as at:
        at.go()
        conversation = at.client.conversations.create().id
        for _ in range(2):
            with pytest.raises(openai.NotFoundError):
                at.client.responses.create(
                    model="m", input=[{"type": "item_reference", "id": "msg_0"}], conversation=conversation, **more
                )
        assert say(at.client, conversation).output_text == "Hello"


def test_of_many_turns_at_once_none_interleaves(tmp_path: Path) -> None:
    with world(tmp_path) as at, client_of(at.settings) as other, ThreadPoolExecutor(8) as pool:
        at.go()
        conversation = at.client.conversations.create().id

        def insist(number: int) -> int:
            refusals = 0
            while True:
                try:
                    say((at.client, other)[number % 2], conversation, f"{number}")
                except openai.BadRequestError as error:
                    assert error.code == "conversation_locked"
                    refusals += 1
                    time.sleep(0.005)
                else:
                    return refusals

        list(pool.map(insist, range(16)))
        items: Any = at.client.conversations.items.list(conversation, order="asc")
        texts = [item.content[0].text for item in items]
        assert texts[1::2] == ["Hello"] * 16
        assert sorted(texts[::2], key=int) == [f"{number}" for number in range(16)]


def test_a_killed_servers_lock_runs_out(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        at.go()
        conversation = at.client.conversations.create().id
        with_state(tmp_path / "state.db", lambda state: state.take_lease(conversation, "gone", 0.3))
        refused(at.client, conversation)
        threading.Event().wait(0.35)
        assert say(at.client, conversation).output_text == "Hello"


def test_a_turn_that_lost_its_lock_appends_nothing(tmp_path: Path) -> None:
    """As it happens to a server that stands still for longer than a lease runs."""
    with world(tmp_path) as at, ThreadPoolExecutor() as pool:
        conversation = at.client.conversations.create().id
        turn = pool.submit(say, at.client, conversation)
        until_asked(at)

        with sqlite3.connect(tmp_path / "state.db") as database:
            database.execute("UPDATE harness_leases SET holder = 'another' WHERE name = ?", (conversation,))
        database.close()
        at.go()
        with pytest.raises(openai.InternalServerError, match=LOCKED) as failed:
            turn.result()
        assert (failed.value.status_code, failed.value.code) == (502, "server_error")
        assert items_of(at.client, conversation) == []


def test_a_lease_is_renewed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "SECONDS", 0.2)

    async def script(state: SqlState) -> None:
        async with leases.lease(state, "conv_1") as taken:
            assert taken is not None
            await asyncio.sleep(0.5)
            async with leases.lease(state, "conv_1") as second:
                assert second is None
        assert not await state.is_leased("conv_1")
        async with leases.lease(state, "conv_1") as third:
            assert third is not None
            await state.drop_lease(*third.held)
            await asyncio.sleep(0.1)
            assert not await state.is_leased("conv_1"), "what was given back is not renewed"

    with_state(tmp_path / "state.db", script)


def with_state(path: Path, script: Callable[[SqlState], Any]) -> None:
    async def main() -> None:
        state = await open_state(state_url(str(path)))
        try:
            await script(state)
        finally:
            await state.close()

    asyncio.run(main())
