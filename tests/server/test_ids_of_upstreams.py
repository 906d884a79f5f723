"""Flows over what a stateful upstream keeps, by the real client: recorded, replayed with it gone, recorded again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.stateful_upstream import StatefulUpstream, stateful

Seen = list[Any]


def conversation(api: OpenAI) -> Seen:
    """Create a conversation, add items, respond, retrieve, list by pages, delete."""
    made = api.conversations.create(metadata={"a": "b"})
    added = api.conversations.items.create(
        made.id, items=[{"type": "message", "role": "user", "content": [{"type": "input_text", "text": made.id}]}]
    )
    said = api.responses.create(model="m", input="Hi", conversation=made.id)
    again = api.responses.create(model="m", input="Hi", previous_response_id=said.id, metadata={"of": said.id})
    pages = [item.to_dict() for item in api.conversations.items.list(made.id, limit=1, order="asc")]
    last = api.conversations.items.list(made.id, after=pages[-2]["id"])
    removed = api.conversations.items.delete(pages[0]["id"], conversation_id=made.id)
    assert said.id not in (again.id, made.id)
    assert said.conversation is not None
    assert said.conversation.id == made.id
    assert again.previous_response_id == said.id
    assert again.metadata == {"of": said.id}
    assert [page["id"] for page in pages] == [added.data[0].id, pages[1]["id"], said.output[0].id]
    assert [item.id for item in last.data] == [said.output[0].id]
    looked_up = api.responses.retrieve(said.id)
    assert looked_up.to_dict() == said.to_dict()
    api.responses.delete(said.id)
    with pytest.raises(openai.NotFoundError, match=said.id) as gone:
        api.responses.retrieve(said.id)
    api.conversations.delete(made.id)
    objects = (made, added, said, again, last, removed, looked_up)
    return [*(each.to_dict() for each in objects), pages, gone.value.body]


def streamed(api: OpenAI) -> Seen:
    """A response in a stream, gone on with by the ids that its events say."""
    events = list(api.responses.create(model="m", input="Hi", stream=True))
    first, last = events[0], events[-1]
    assert first.type == "response.created"
    assert last.type == "response.completed"
    item_ids = {event.item_id for event in events if event.type == "response.output_text.delta"}
    assert item_ids == {last.response.output[0].id}
    assert first.response.id == last.response.id
    later = list(api.responses.create(model="m", input="More", previous_response_id=first.response.id, stream=True))
    return [event.to_dict() for event in (*events, *later)] + [api.responses.retrieve(first.response.id).to_dict()]


def tools(api: OpenAI) -> Seen:
    """A call, answered by its id."""
    tool: Any = {"type": "function", "name": "w", "parameters": {"type": "object", "properties": {}}, "strict": False}
    asked = api.responses.create(model="m", input="Hi", tools=[tool])
    [call] = asked.output
    assert call.type == "function_call"
    told: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    said = api.responses.create(model="m", input=[told], previous_response_id=asked.id, tools=[tool])
    return [asked.to_dict(), said.to_dict()]


def files(api: OpenAI) -> Seen:
    """A file, quoted in a chat, a response, a vector store and a batch that is polled; its bytes."""
    data = bytes(range(256))
    file = api.files.create(file=("a.bin", data), purpose="batch")
    asked: Any = [{"type": "text", "text": file.id}, {"type": "file", "file": {"file_id": file.id}}]
    chat = api.chat.completions.create(model="m", messages=[{"role": "user", "content": asked}])
    part: Any = {"type": "input_file", "file_id": file.id}
    response = api.responses.create(model="m", input=[{"role": "user", "content": [part]}])
    store = api.vector_stores.create(name="s", file_ids=[file.id])
    within = api.vector_stores.files.create(store.id, file_id=file.id)
    batch = api.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    polls = [batch]
    while polls[-1].status != "completed":
        polls.append(api.batches.retrieve(batch.id))
    output = polls[-1].output_file_id
    assert output is not None
    listed = [each.to_dict() for each in api.files.list(limit=1)]
    assert [each["id"] for each in listed] == [file.id, output]
    assert (within.id, within.vector_store_id, batch.input_file_id) == (file.id, store.id, file.id)
    assert api.files.content(file.id).content == data
    said = (file, chat, response, store, within, *polls, api.files.delete(output))
    return [*(each.to_dict() for each in said), listed, api.files.content(file.id).content]


def twins(api: OpenAI) -> Seen:
    """Equal requests make different objects."""
    made = [api.conversations.create() for _ in range(3)]
    kept = [
        api.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], store=True)
        for _ in range(2)
    ]
    assert len({each.id for each in (*made, *kept)}) == 5
    looked_up = [api.conversations.retrieve(each.id) for each in reversed(made)]
    assert [each.id for each in looked_up] == [each.id for each in reversed(made)]
    assert [api.chat.completions.retrieve(each.id).id for each in kept] == [each.id for each in kept]
    listed = api.chat.completions.list()
    assert [each.id for each in listed.data] == [each.id for each in kept]
    return [each.to_dict() for each in (*made, *kept, *looked_up, listed)]


FLOWS: dict[str, Callable[[OpenAI], Seen]] = {
    "conversation": conversation,
    "streamed": streamed,
    "tools": tools,
    "files": files,
    "twins": twins,
}


def run(
    flow: Callable[[OpenAI], Seen],
    directory: Path,
    mode: Mode,
    upstream: StatefulUpstream | None = None,
    scope: str | None = "a test",
    **more: Any,
) -> Seen:
    url = upstream.url if upstream else "http://127.0.0.1:1/v1"
    settings = Settings(mode=mode, recordings=directory, upstream=url, responses="upstream", **more)
    with ServerThread(settings) as server:
        base_url = server.scoped(scope) if scope else server.base_url
        with OpenAI(base_url=base_url, api_key="x", max_retries=0) as api:
            return flow(api)


def written(directory: Path) -> dict[str, str]:
    """The files, without the one thing in them that may be another each time: what upstreams call their objects."""
    found = {}
    for file in directory.iterdir():
        document = json.loads(file.read_text())
        document["id_normalization_mapping"] = sorted(document["id_normalization_mapping"])
        found[file.name] = json.dumps(document)
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_recorded_replayed_and_recorded_again(tmp_path: Path, name: str) -> None:
    one, two, flow = tmp_path / "one", tmp_path / "two", FLOWS[name]
    with stateful() as upstream:
        recorded = run(flow, one, Mode.RECORD, upstream)
        ids = list(upstream.objects)
        assert run(flow, one, Mode.RECORD_IF_MISSING, upstream) == recorded
    before = {file.name: file.read_bytes() for file in one.iterdir()}
    assert run(flow, one, Mode.REPLAY, strict=True) == run(flow, one, Mode.REPLAY, strict=True) == recorded
    said = json.dumps(recorded, default=repr)
    assert not [upstream_id for upstream_id in ids if upstream_id in said]
    for directory in (one, two):
        with stateful() as upstream:
            assert run(flow, directory, Mode.RECORD, upstream) == recorded
    assert written(two) == written(one)
    assert {file.name: file.read_bytes() for file in one.iterdir()} == before
    with stateful(says="Hello to you") as upstream:
        run(flow, two, Mode.RECORD, upstream)
    assert written(two).keys() == written(one).keys()
