"""Flows over what a stateful upstream keeps, by the real client: recorded, replayed with it gone, recorded again."""

import contextlib
import json
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, NamedUpstream, Redact, Settings
from tests.scripted_upstream import chunk, http, scripted, stream
from tests.stateful_upstream import StatefulUpstream, stateful

Seen = list[Any]

OWN = "file-0123456789abcdefghijkl"


def conversation(api: OpenAI) -> Seen:
    """Create a conversation, add items, respond, retrieve, list by pages, delete."""
    made = api.conversations.create(metadata={"a": "b"})
    added = api.conversations.items.create(
        made.id, items=[{"type": "message", "role": "user", "content": [{"type": "input_text", "text": made.id}]}]
    )
    said = api.responses.create(model="m", input="Hi", conversation=made.id)
    again = api.responses.create(model="m", input="Hi", previous_response_id=said.id, metadata={"of": said.id})
    pages = [item.to_dict() for item in api.conversations.items.list(made.id, limit=1, order="asc")]
    last = api.conversations.items.list(made.id, after=str(pages[-2]["id"]))
    removed = api.conversations.items.delete(str(pages[0]["id"]), conversation_id=made.id)
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
    """A file, quoted in a chat, a response and a vector store; its bytes."""
    data = bytes(range(256))
    file = api.files.create(file=("a.bin", data), purpose="batch")
    asked: Any = [{"type": "text", "text": file.id}, {"type": "file", "file": {"file_id": file.id}}]
    chat = api.chat.completions.create(model="m", messages=[{"role": "user", "content": asked}])
    part: Any = {"type": "input_file", "file_id": file.id}
    response = api.responses.create(model="m", input=[{"role": "user", "content": [part]}])
    store = api.vector_stores.create(name="s", file_ids=[file.id])
    within = api.vector_stores.files.create(store.id, file_id=file.id)
    listed = [each.to_dict() for each in api.files.list(limit=1)]
    assert [each["id"] for each in listed] == [file.id]
    assert (within.id, within.vector_store_id) == (file.id, store.id)
    assert api.files.content(file.id).content == data
    return [
        *(each.to_dict() for each in (file, chat, response, store, within, api.files.delete(file.id))),
        listed,
        data,
    ]


def batch(api: OpenAI) -> Seen:
    """A batch whose requests quote an id, polled to its end; a result's id is gone on with."""
    said = api.responses.create(model="m", input="Hi")
    bodies: list[Any] = [
        {"model": "m", "input": f"What is {said.id}?", "previous_response_id": said.id},
        {"model": "m", "input": "Hi"},
    ]
    asked = [{"custom_id": f"{said.id}/{at}", "method": "POST", "url": "/v1/responses", "body": body}
             for at, body in enumerate(bodies)]  # fmt: skip
    file = api.files.create(file=("b.jsonl", "\n".join(map(json.dumps, asked)).encode()), purpose="batch")
    made = api.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    polls = [made]
    while polls[-1].status != "completed":
        polls.append(api.batches.retrieve(made.id))
    output = polls[-1].output_file_id
    assert output is not None
    results = [json.loads(line) for line in api.files.content(output).text.splitlines()]
    assert [result["custom_id"] for result in results] == [line["custom_id"] for line in asked]
    assert results[0]["response"]["body"]["previous_response_id"] == said.id
    ids = [result["response"]["body"]["id"] for result in results]
    assert [api.responses.retrieve(each).id for each in ids] == ids
    return [said.to_dict(), file.to_dict(), *(each.to_dict() for each in polls), results]


def twins(api: OpenAI) -> Seen:
    """Equal requests make different objects."""
    made = [api.conversations.create() for _ in range(3)]
    kept = [
        api.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], store=True)
        for _ in range(2)
    ]
    assert len({*(each.id for each in made), *(each.id for each in kept)}) == 5
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
    "batch": batch,
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


SHAPES: dict[str, Callable[[str], str]] = {
    "uuids": lambda _: str(uuid.uuid4()),
    "numbers": lambda prefix: f"{prefix.rstrip('-_')}.{secrets.randbelow(10**9)}",
    "short": lambda prefix: prefix + secrets.token_hex(2) + "7",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_upstream_may_call_things_as_it_likes(tmp_path: Path, shape: str) -> None:
    # In the message of an error a number is a word like any other.
    flow, seen = streamed if shape == "numbers" else conversation, []
    for name in ("one", "two"):
        with stateful(new_id=SHAPES[shape]) as upstream:
            seen.append(run(flow, tmp_path / name, Mode.RECORD, upstream, strict=True))
    assert seen[0] == seen[1] == run(flow, tmp_path / "one", Mode.REPLAY, strict=True)
    assert written(tmp_path / "one") == written(tmp_path / "two")


@pytest.mark.parametrize("name", ["streamed", "tools"])
def test_a_later_run_goes_on_with_what_was_recorded(tmp_path: Path, name: str) -> None:
    """Whichever recording is gone: what is replayed says what the upstream calls what is asked for."""
    flow = FLOWS[name]
    with stateful() as upstream:
        recorded = run(flow, tmp_path, Mode.RECORD, upstream)
        before = written(tmp_path)
        for file in sorted(tmp_path.iterdir()):
            file.unlink()
            assert run(flow, tmp_path, Mode.RECORD_IF_MISSING, upstream) == recorded
            assert written(tmp_path) == before


def test_a_client_may_hold_an_id_of_an_earlier_run(tmp_path: Path) -> None:
    """As another of pytest-xdist's workers does: this server has neither recorded nor replayed what gave it."""
    with stateful() as upstream:
        made = run(lambda api: [api.conversations.create().id], tmp_path, Mode.RECORD, upstream, scope=None)[0]
        for mode in (Mode.RECORD, Mode.RECORD_IF_MISSING):
            [seen] = run(lambda api: [api.conversations.retrieve(made).id], tmp_path, mode, upstream, scope=str(mode))
            assert seen == made


def test_an_id_that_is_no_more_is_the_upstreams_error_with_a_way_out(tmp_path: Path) -> None:
    def ask(api: OpenAI) -> Seen:
        made = api.conversations.create()
        return [api.conversations.retrieve(made.id).id]

    with stateful() as upstream:
        [made] = run(lambda api: [api.conversations.create().id], tmp_path, Mode.RECORD, upstream)
    with stateful() as upstream, pytest.raises(openai.NotFoundError) as gone:
        run(ask, tmp_path, Mode.RECORD_IF_MISSING, upstream)
    assert gone.value.code == "upstream_id_gone"
    assert f"does not have {made} (recorded as conv_" in gone.value.message
    assert "No such object: conv_" in gone.value.message
    assert "harness serve --mode record" in gone.value.message or "HARNESS_MODE=record " in gone.value.message
    assert len(list(tmp_path.iterdir())) == 1
    with stateful() as upstream:
        assert run(ask, tmp_path, Mode.RECORD, upstream) == [made]
    assert run(ask, tmp_path, Mode.REPLAY) == [made]


def test_a_flow_of_which_something_is_new_has_the_ids_of_one_run(tmp_path: Path) -> None:
    """Else whoever goes on is in the conversation of the first run, which has not heard the second one's answer."""

    def talk(api: OpenAI, turns: int = 1) -> Seen:
        made, _another = api.conversations.create(), api.conversations.create(metadata={"a": "b"})
        return [api.responses.create(model="m", input=f"{turn}", conversation=made.id).id for turn in range(turns)]

    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    with stateful() as upstream:
        run(talk, tmp_path, Mode.RECORD, upstream)
        before = files()
        run(talk, tmp_path, Mode.RECORD, upstream)
        assert files() == before
        upstream.says = "Hello to you"
        run(talk, tmp_path, Mode.RECORD, upstream)
        run(lambda api: talk(api, 2), tmp_path, Mode.RECORD_IF_MISSING, upstream)
        asked = [body["conversation"] for _, path, body in upstream.asked if path == "/v1/responses"]
    changed = {name for name, data in files().items() if data != before.get(name)}
    assert (len(asked), asked[3]) == (4, asked[2])
    # The first turn, its conversation, the second turn; the other conversation is as it was.
    assert (len(before), len(changed)) == (3, 3)


def test_what_a_recording_deleted_may_be_gone(tmp_path: Path) -> None:
    def ask(api: OpenAI) -> Seen:
        made = api.conversations.create()
        api.conversations.delete(made.id)
        with pytest.raises(openai.NotFoundError) as gone:
            api.conversations.retrieve(made.id)
        return [gone.value.body]

    with stateful() as upstream:
        recorded = run(ask, tmp_path, Mode.RECORD, upstream)
        [file] = [file for file in tmp_path.iterdir() if '"is_exception"' in file.read_text()]
        before = file.read_bytes()
        file.unlink()
        assert run(ask, tmp_path, Mode.RECORD_IF_MISSING, upstream) == recorded
    assert file.read_bytes() == before


def test_scopes_share_no_id_and_a_client_may_use_all_of_them(tmp_path: Path) -> None:
    def ask(shared: OpenAI) -> Seen:
        file = shared.files.create(file=("a", b"x"), purpose="batch")
        scopes = [shared.with_options(base_url=str(shared.base_url).replace("/v1", f"/scope/{n}/v1")) for n in "ab"]
        listed = [[each.id for each in api.files.list(limit=20).data] for api in scopes]
        stores = [api.vector_stores.create(file_ids=[file.id]).id for api in scopes]
        assert listed == [[file.id], [file.id]]
        crossed = [api.vector_stores.retrieve(store).id for api, store in zip(scopes, reversed(stores), strict=True)]
        assert crossed == stores[::-1]
        assert len({file.id, *stores}) == 3
        return [file.id, *stores, *crossed]

    with stateful() as upstream:
        recorded = run(ask, tmp_path, Mode.RECORD, upstream, scope=None)
    assert run(ask, tmp_path, Mode.REPLAY, scope=None, strict=True) == recorded


def test_what_the_client_says_by_itself_stays(tmp_path: Path) -> None:
    """Ids that a test has by heart, and texts: what a model reads and says is content."""

    def ask(api: OpenAI) -> Seen:
        made = api.conversations.create()
        call: Any = {"type": "function_call", "id": "fc_0123456789abcdef", "call_id": "call_mine1", "name": "f",
                     "arguments": json.dumps({"id": made.id})}  # fmt: skip
        part = {"type": "input_text", "text": f"What is {made.id}, and {OWN}?"}
        text: Any = {"type": "message", "role": "user", "content": [part]}
        api.conversations.items.create(made.id, items=[call, text])
        listed = [item.to_dict() for item in api.conversations.items.list(made.id, order="asc")]
        with pytest.raises(openai.NotFoundError, match=OWN):
            api.files.retrieve(OWN)
        return [made.id, *listed]

    with stateful() as upstream:
        recorded = run(ask, tmp_path, Mode.RECORD, upstream)
        items = upstream.asked[1][2]["items"]
        [listing] = [file for file in tmp_path.iterdir() if "items?order" in file.read_text()]
        listing.unlink()
        assert run(ask, tmp_path, Mode.RECORD_IF_MISSING, upstream) == recorded
    made, call, text = recorded
    assert (call["id"], call["call_id"]) == ("fc_0123456789abcdef", "call_mine1")
    assert text["content"][0]["text"] == f"What is {made}, and {OWN}?" == items[1]["content"][0]["text"]
    assert items[0]["arguments"] == json.dumps({"id": made})
    assert run(ask, tmp_path, Mode.REPLAY, strict=True) == recorded


def test_at_once_or_one_by_one_the_ids_are_the_same(tmp_path: Path) -> None:
    def at_once(api: OpenAI) -> Seen:
        def make(number: int) -> list[str]:
            made = api.conversations.create(metadata={"n": str(number)})
            return [made.id, api.responses.create(model="m", input="Hi", conversation=made.id).id]

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(make, range(24)))

    seen = []
    for directory in (tmp_path / "one", tmp_path / "two"):
        with stateful() as upstream:
            seen.append(run(at_once, directory, Mode.RECORD, upstream))
    assert seen[0] == seen[1] == run(at_once, tmp_path / "one", Mode.REPLAY, strict=True)
    assert len({text for pair in seen[0] for text in pair}) == 48
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_a_test_that_is_run_again_gets_the_same_ids(tmp_path: Path) -> None:
    with stateful() as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url, responses="upstream")
        with ServerThread(settings) as server, OpenAI(base_url=server.scoped("a"), api_key="x") as api:
            first = twins(api)
            upstream.objects.clear()
            server.begin("a")
            assert twins(api) == first


def test_what_is_secret_is_no_id(tmp_path: Path) -> None:
    project, run_id, key = "proj_" + "a1B2" * 6, "run_" + "0a1b" * 6, "ourkey0123456789abcdef"
    answer = {"id": "batch_0123456789abcdef", "project_id": project, "run_id": run_id, "session_id": key}
    with scripted(http(json.dumps(answer).encode())) as upstream:
        settings = Settings(
            mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url, redact=Redact(fields=("run_id",))
        )
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key=key) as api:
            seen = api.batches.retrieve("batch_1").to_dict()
    [file] = tmp_path.iterdir()
    written = json.loads(file.read_text())
    assert (seen["project_id"], seen["session_id"]) == (project, key)
    assert not [secret for secret in (project, run_id, key) if secret in file.read_text()]
    assert list(written["id_normalization_mapping"]) == [seen["id"]]


def test_a_form_says_ids_in_its_fields_alone(tmp_path: Path) -> None:
    with stateful() as upstream:

        def ask(api: OpenAI) -> Seen:
            made = api.files.create(file=("a", b"x"), purpose="batch")
            # As code interpreter's containers are given files; what a file says is its owner's.
            api.post(
                "/containers/c/files",
                body={"file_id": made.id},
                files=[("file", ("a.txt", json.dumps({"id": made.id}).encode()))],
                cast_to=object,
                options={"headers": {"Content-Type": "multipart/form-data"}},
            )
            return [made.id]

        with pytest.raises(openai.NotFoundError):
            run(ask, tmp_path, Mode.RECORD, upstream)
    [upstream_id] = upstream.objects
    [form] = upstream.forms
    assert form["file_id"] == upstream_id
    assert form["file"] != json.dumps({"id": upstream_id}).encode()


def test_upstreams_that_call_things_the_same_are_told_apart(tmp_path: Path) -> None:
    same = http(json.dumps({"id": "batch_1234", "object": "batch"}).encode())
    with scripted(same) as one, scripted(same) as other:
        settings = Settings(
            mode=Mode.RECORD, recordings=tmp_path, upstream=one.url, upstreams={"b": NamedUpstream(other.url)}
        )
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as api:
            ours = api.batches.retrieve("batch_mine1").id
            theirs = api.with_options(base_url=f"{server.root}/b/v1").batches.retrieve("batch_mine1").id
            for name in (ours, theirs):
                api.with_options(base_url=f"{server.root}/b/v1").batches.retrieve(name)
    assert ours != theirs
    assert [head.split()[1] for head, _ in other.requests[1:]] == ["/v1/batches/batch_1234"] * 2


def test_an_answer_that_broke_off_leaves_no_trace_in_the_next(tmp_path: Path) -> None:
    """A chat is asked again under the same ids; what an upstream keeps exists, and its id is not given again."""
    call = {"index": 0, "id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = chunk(finish="tool_calls")
    asked["choices"][0]["delta"] = {"tool_calls": [call]}
    started, again = (
        {"type": "response.created", "response": {"id": name, "object": "response", "output": []}}
        for name in ("resp_1", "resp_2")
    )
    answers = [stream(asked | {"choices": [asked["choices"][0] | {"finish_reason": None}]}, done=False), stream(asked)]
    answers += [stream(started, done=False), stream(again, {**again, "type": "response.completed"})]
    seen: list[str] = []
    with scripted(*answers) as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url, responses="upstream")
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as api:
            for _ in range(2):
                with contextlib.suppress(openai.APIError):
                    for piece in api.chat.completions.create(model="m", messages=[], stream=True):
                        seen += [call.id or "" for call in piece.choices[0].delta.tool_calls or ()]
            for _ in range(2):
                with contextlib.suppress(openai.APIError):
                    for event in api.responses.create(model="m", input="Hi", stream=True):
                        seen += [event.response.id] if event.type == "response.created" else []
    assert len(seen) == 4
    assert seen[0] == seen[1]
    assert seen[2] != seen[3]
