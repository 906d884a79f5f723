"""The state in SQL: order, atomicity, and writers at once, in memory, in a file, and between two servers."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from harness.api.listing import ListQuery, UnboundedListQuery
from harness.errors import InvalidRequest, SettingsError
from harness.stores import state_pages, state_schema
from harness.stores.protocol import Object, StateStore
from harness.stores.state import SqlState, open_state, state_url
from harness.stores.state_address import reach_of, url_of
from harness.stores.state_engine import open_database

Scenario = Callable[[SqlState], Awaitable[None]]


def conversation(name: str = "conv_1", **metadata: str) -> Object:
    return {"id": name, "object": "conversation", "created_at": 1, "metadata": metadata}


def item(name: str) -> Object:
    return {"type": "message", "id": name, "content": [{"type": "input_text", "text": f"Grüße {name} 😀 \x00"}]}


def ids(items: list[Object] | None) -> list[str]:
    assert items is not None
    return [item["id"] for item in items]


def run(scenario: Scenario, url: str) -> None:
    async def main() -> None:
        state = await open_state(url)
        try:
            await scenario(state)
        finally:
            await state.close()

    asyncio.run(main())


def test_urls() -> None:
    assert state_url(None) == "sqlite://"
    assert state_url("state.db") == "sqlite:///state.db"
    assert state_url("/var/state.db") == "sqlite:////var/state.db"
    assert state_url("sqlite+aiosqlite:///state.db") == "sqlite:///state.db"
    assert state_url("sqlite:///state.db") == "sqlite:///state.db"
    assert state_url("postgresql://me:p%40ss@db/x?ssl=require") == "postgresql+asyncpg://me:p%40ss@db/x?ssl=require"
    assert state_url("mysql+asyncmy://db/x") == "mysql+asyncmy://db/x"


def test_conversations_are_kept_changed_and_deleted_with_their_items(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        store: StateStore = state
        await store.create_conversation(conversation(a="1"), [item("msg_1"), item("msg_2")])
        assert await store.conversation("conv_1") == conversation(a="1")
        assert await store.items("conv_1") == [item("msg_1"), item("msg_2")]
        assert await store.item("conv_1", "msg_2") == item("msg_2")

        assert await store.update_conversation("conv_1", {"b": "2"}) == conversation(b="2")
        assert await store.conversation("conv_1") == conversation(b="2")

        assert await store.delete_item("conv_1", "msg_1")
        assert not await store.delete_item("conv_1", "msg_1")
        assert await store.item("conv_1", "msg_1") is None

        assert await store.delete_conversation("conv_1")
        assert not await store.delete_conversation("conv_1")
        assert await store.items("conv_1") is None
        assert await store.item("conv_1", "msg_2") is None

    run(scenario, url)


def test_what_is_not_there_is_said_to_be_not_there(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        assert await state.conversation("conv_0") is None
        assert await state.update_conversation("conv_0", {}) is None
        assert not await state.add_items("conv_0", [item("msg_1")])
        assert await state.response("resp_0") is None
        assert await state.response_input("resp_0") is None
        assert not await state.delete_response("resp_0")

    run(scenario, url)


def test_items_keep_the_order_in_which_they_came_even_after_deletions(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [])
        await state.add_items("conv_1", [item("msg_c"), item("msg_a"), item("msg_b")])
        await state.delete_item("conv_1", "msg_b")
        await state.add_items("conv_1", [item("msg_0")])
        assert ids(await state.items("conv_1")) == ["msg_c", "msg_a", "msg_0"]

    run(scenario, url)


def test_an_id_stands_once_in_a_conversation_and_a_refused_batch_leaves_nothing(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [item("msg_1")])
        kept, twice = [item("msg_2"), item("msg_1")], [item("msg_3"), item("msg_3")]
        with pytest.raises(InvalidRequest, match=r"Item already in conversation.*'msg_1'"):
            await state.add_items("conv_1", kept)
        with pytest.raises(InvalidRequest, match=r"^Duplicate item found with id 'msg_3'"):
            await state.add_items("conv_1", twice)
        assert ids(await state.items("conv_1")) == ["msg_1"]

        await state.create_conversation(conversation("conv_2"), [item("msg_1") | {"role": "user"}, item("msg_2")])
        assert ids(await state.items("conv_2")) == ["msg_1", "msg_2"]
        anywhere = await state.items_anywhere({"msg_0", "msg_1", "msg_2"})
        assert anywhere == {"msg_1": item("msg_1"), "msg_2": item("msg_2")}
        assert await state.items_anywhere(set()) == {}

    run(scenario, url)


def test_a_turn_is_kept_whole(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        response = {"id": "resp_1", "output": [item("msg_2")]}
        await state.create_conversation(conversation(), [])
        both = [item("msg_1"), item("msg_2")]
        assert await state.save_turn(
            response, input_items=both[:1], conversation_id="conv_1", new_items=both, keep=True
        )
        assert await state.response("resp_1") == response
        assert await state.response_input("resp_1") == both[:1]
        assert await state.items("conv_1") == both

        assert await state.delete_response("resp_1")
        assert await state.response_input("resp_1") is None
        assert await state.items("conv_1") == both

    run(scenario, url)


def test_a_turn_that_cannot_be_kept_whole_leaves_nothing(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [])

        async def save(response_id: str, conversation_id: str, items: list[Object], *, keep: bool = True) -> bool:
            response: dict[str, Any] = {"id": response_id, "output": []}
            return await state.save_turn(
                response, input_items=[], conversation_id=conversation_id, new_items=items, keep=keep
            )

        assert not await save("resp_1", "conv_gone", [item("msg_1")])
        assert await state.response("resp_1") is None

        assert await save("resp_1", "conv_1", [item("msg_1")])
        with pytest.raises(Exception, match=r"(?i)unique"):
            await save("resp_1", "conv_1", [item("msg_2")])
        with pytest.raises(InvalidRequest):
            await save("resp_2", "conv_1", [item("msg_3"), item("msg_1")])
        assert await state.response("resp_2") is None
        assert ids(await state.items("conv_1")) == ["msg_1"]

        assert await save("resp_3", "conv_1", [item("msg_4")], keep=False)
        assert await state.response("resp_3") is None
        assert ids(await state.items("conv_1")) == ["msg_1", "msg_4"]

    run(scenario, url)


def test_fifty_tasks_append_to_conversations_at_once(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        for number in range(5):
            await state.create_conversation(conversation(f"conv_{number}"), [])

        async def append(task: int) -> None:
            batch = [item(f"msg_{task}_{place}") for place in range(3)]
            assert await state.add_items(f"conv_{task % 5}", batch)
            assert set(ids(batch)) <= set(ids(await state.items(f"conv_{task % 5}")))

        await asyncio.gather(*map(append, range(50)))
        for number in range(5):
            kept = ids(await state.items(f"conv_{number}"))
            tasks = [name.split("_")[1] for name in kept[::3]]
            assert sorted(map(int, tasks)) == list(range(number, 50, 5))
            assert kept == [f"msg_{task}_{place}" for task in tasks for place in range(3)]

    run(scenario, url)


def test_a_number_is_never_given_twice(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        numbers = await asyncio.gather(*(state.count(scope) for scope in ["a", "b"] * 50))
        assert sorted(numbers[::2]) == sorted(numbers[1::2]) == list(range(1, 51))
        assert await state.count("scope of bytes \udcff and \x00") == 1

    run(scenario, url)


def test_a_cancelled_call_is_carried_through_and_harms_nothing(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [])
        calls = [asyncio.create_task(state.add_items("conv_1", [item(f"msg_{n}")])) for n in range(20)]
        for n, call in enumerate(calls):
            await asyncio.sleep(0.0005 * (n % 3))
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert await state.add_items("conv_1", [item("msg_last")])
        # A server may still be at what was cancelled: what is last is not said.
        assert "msg_last" in ids(await state.items("conv_1"))

    run(scenario, url)


def test_two_states_share_one_place(shared_url: str) -> None:
    async def main() -> None:
        states = await asyncio.gather(open_state(shared_url), open_state(shared_url))
        try:
            await states[0].create_conversation(conversation(), [])
            await asyncio.gather(*(states[n % 2].add_items("conv_1", [item(f"msg_{n}")]) for n in range(60)))
            numbers = await asyncio.gather(*(states[n % 2].count("") for n in range(60)))
            assert sorted(numbers) == list(range(1, 61))
            assert ids(await states[1].items("conv_1")) == ids(await states[0].items("conv_1"))
            assert len(await states[1].items("conv_1") or []) == 60
        finally:
            await asyncio.gather(*(state.close() for state in states))

    asyncio.run(main())


def test_a_reader_sees_one_moment(shared_url: str) -> None:
    async def main() -> None:
        reader, writer = await asyncio.gather(open_state(shared_url), open_state(shared_url))
        for number in range(100):
            name = f"conv_{number}"
            await writer.create_conversation(conversation(name), [item("msg_1"), item("msg_2")])
            reading = [asyncio.create_task(reader.items(name)) for _ in range(5)]
            await asyncio.sleep(0.0005 * (number % 5))
            await writer.delete_conversation(name)
            for found in await asyncio.gather(*reading):
                assert found is None or ids(found) == ["msg_1", "msg_2"], "a conversation that was half gone"
        await asyncio.gather(reader.close(), writer.close())

    asyncio.run(main())


COUNT_OFTEN = """
import asyncio, json, sys
from harness.stores.state import open_state

async def main():
    state = await open_state(sys.argv[1])
    print(json.dumps(await asyncio.gather(*(state.count("") for _ in range(25)))))
    await state.close()

asyncio.run(main())
"""


def test_processes_that_start_at_once_share_one_new_place(shared_url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", COUNT_OFTEN, shared_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in processes]

    assert [error for _, error in answers] == [b""] * 3
    assert sorted(number for output, _ in answers for number in json.loads(output)) == list(range(1, 76))


def test_a_writer_waits_for_another_program_that_holds_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")

    async def scenario(state: SqlState) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(state.count(""))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert await state.conversation("conv_1") is None
        other.execute("ROLLBACK")
        other.close()
        assert await waiting == 1

    run(scenario, state_url(path))


def test_a_reopened_state_has_everything(shared_url: str) -> None:
    response, prompt = {"id": "resp_1", "output": []}, {"id": "pmpt_1", "default": 2}

    async def write(state: SqlState) -> None:
        await state.create_conversation(conversation(a="1"), [item("msg_1")])
        await state.save_turn(
            response, input_items=[item("msg_2")], conversation_id="conv_1", new_items=[item("msg_2")], keep=True
        )
        await state.add_prompt({"id": "pmpt_1", "default": 1})
        assert await state.replace_prompt({"id": "pmpt_1", "default": 1}, prompt)
        assert not await state.replace_prompt({"id": "pmpt_1", "default": 1}, {"id": "pmpt_1", "default": 3})
        await state.count("scope")

    async def read(state: SqlState) -> None:
        assert await state.conversation("conv_1") == conversation(a="1")
        assert await state.prompt("pmpt_1") == prompt
        assert await state.items("conv_1") == [item("msg_1"), item("msg_2")]
        assert await state.response("resp_1") == response
        assert await state.response_input("resp_1") == [item("msg_2")]
        assert await state.count("scope") == 2

    run(write, shared_url)
    run(read, shared_url)


def test_the_state_of_an_older_harness_is_brought_up_to_date_by_whoever_comes_first(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 began without a table of the items that responses put out, and without an index of all items."""
    turn: dict[str, Any] = {"input_items": [], "conversation_id": None, "new_items": [], "keep": True}
    monkeypatch.setattr(state_schema, "PAGE", 5)

    async def write(state: SqlState) -> None:
        for number in range(21):
            output = [item(f"msg_{number}"), item("msg_same")] if number % 2 else []
            await state.save_turn({"id": f"resp_{number}", "output": output}, **turn)

    async def main() -> None:
        place = url_of(shared_url)
        database = open_database(place, reach_of(place))
        for change in (
            "DROP TABLE harness_response_items",
            "DROP INDEX ix_harness_items_id",
            "UPDATE harness_schema SET version = 1",
        ):
            await database.run(partial(Connection.execute, statement=text(change)), writes=True)
        states = await asyncio.gather(*(open_state(shared_url) for _ in range(3)))
        for state in states:
            assert await state.output_item("msg_19") == item("msg_19")
            assert await state.output_item("msg_same") == item("msg_same")
            assert await state.output_item("msg_0") is None
            await state.close()
        count = partial(Connection.scalar, statement=text("SELECT count(*) FROM harness_response_items"))
        assert await database.run(count, writes=False) == 20
        indexes = await database.run(lambda connection: inspect(connection).get_indexes("harness_items"), writes=False)
        assert "ix_harness_items_id" in {index["name"] for index in indexes}
        versions = text("SELECT version FROM harness_schema")
        assert await database.run(lambda connection: [*connection.scalars(versions)], writes=False) == [1, 2]
        await database.close()

    run(write, shared_url)
    asyncio.run(main())


def test_a_file_of_a_newer_harness_is_refused_and_left_alone(tmp_path: Path) -> None:
    async def nothing(_: SqlState) -> None: ...

    path = tmp_path / "state.db"
    run(nothing, state_url(str(path)))
    with sqlite3.connect(path) as other:
        other.execute("UPDATE harness_schema SET version = 99")
    other.close()
    before = path.read_bytes()

    with pytest.raises(SettingsError, match="version 99") as caught:
        run(nothing, state_url(str(path)))

    assert "pip install --upgrade" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "place", ["no/such/directory/state.db", "text.txt", "mysql+nodriver://db/x", "postgresql+nodriver://x/y", "://"]
)
def test_a_place_that_is_no_state_is_refused(place: str, tmp_path: Path) -> None:
    async def nothing(_: SqlState) -> None: ...

    (tmp_path / "text.txt").write_text("This is no database.\n" * 50)

    with pytest.raises(SettingsError) as caught:
        run(nothing, state_url(place if "://" in place else str(tmp_path / place)))

    assert caught.value.hint


def test_a_password_is_not_shown() -> None:
    async def nothing(_: SqlState) -> None: ...

    with pytest.raises(SettingsError) as caught:
        run(nothing, "postgresql+nodriver://me:hunter2@db/x")

    assert "hunter2" not in str(caught.value)


def completion(number: int) -> Object:
    return {"id": f"rec-{number}", "model": f"m{number % 2}", "metadata": {}}


def test_a_list_of_completions_is_read_page_by_page(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_pages, "_ROWS", 3)

    async def scenario(state: SqlState) -> None:
        for number in range(20):
            await state.save_completion(completion(number), [])
        for order in ("asc", "desc"):
            ordered = [completion(number) for number in (range(20) if order == "asc" else reversed(range(20)))]
            even = [row for row in ordered if row["model"] == "m0"]
            for limit in (1, 2, 3, 7, 10, 19, 20, 10**30):
                seen: list[Object] = []
                while True:
                    query = UnboundedListQuery(after=seen[-1]["id"] if seen else None, limit=limit, order=order)
                    page = await state.completions(query, lambda row: row["model"] == "m0")
                    seen += page.items
                    assert page.has_more == (len(seen) < len(even))
                    if not page.has_more:
                        break
                    assert len(page.items) == limit
                assert seen == even
                assert await state.completions(UnboundedListQuery(limit=limit, order=order), lambda _: True) == (
                    ordered[:limit],
                    limit < 20,
                )

    run(scenario, url)


def test_no_more_rows_are_read_than_a_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str | bytes] = []
    loads = json.loads

    def counted(text: str | bytes) -> Any:
        read.append(text)
        return loads(text)

    monkeypatch.setattr(json, "loads", counted)

    async def scenario(state: SqlState) -> None:
        await state.create_conversation(conversation(), [item(f"msg_{number}") for number in range(300)])
        for number in range(30):
            await state.save_completion(completion(number), [])
        read.clear()
        page = await state.item_page("conv_1", ListQuery(limit=5, after="msg_200"))
        assert page is not None
        assert ids(page.items) == [f"msg_{number}" for number in (199, 198, 197, 196, 195)]
        assert len(read) == 7  # the conversation, the page, and the one that shows that there is more
        assert len((await state.completions(ListQuery(limit=5), lambda _: True)).items) == 5
        assert len(read) == 13

    run(scenario, state_url(str(tmp_path / "state.db")))


def test_a_page_of_items_is_of_one_conversation(url: str) -> None:
    async def scenario(state: SqlState) -> None:
        for name in ("conv_1", "conv_2"):
            await state.create_conversation(conversation(name), [item(f"msg_{name}_{n}") for n in range(4)])
        query = ListQuery(limit=3, after="msg_conv_1_0", order="asc")
        assert await state.item_page("conv_1", query) == ([item(f"msg_conv_1_{n}") for n in (1, 2, 3)], False)
        assert await state.item_page("conv_none", query) is None
        for after in ("msg_conv_1_0", "msg_none", "\x00", "\ud800"):
            with pytest.raises(InvalidRequest, match="'after': item with id"):
                await state.item_page("conv_2", ListQuery(after=after))

    run(scenario, url)
