"""Record, replay and live against a real inference server, with everything that a chat completion can ask for."""

import contextlib
import dataclasses
import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import NotFoundError, OpenAI

from harness.backends.journal import Outcome
from harness.recording.chunks import aggregate
from harness.running import ServerThread
from harness.settings import Mode, NamedUpstream, Settings

NOWHERE = "http://127.0.0.1:1/v1"

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "tools": {"tools": [TOOL], "max_tokens": 60},
    "choices": {"n": 3},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "json": {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
    "limit": {"max_completion_tokens": 2},
}


def ask(server: ServerThread, name: str, *, streamed: bool) -> dict[str, Any]:
    """The completion that the client sees, put together when it was streamed."""
    body: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "What is the weather?"}],
        "max_tokens": 8,
        "temperature": 0,
    } | REQUESTS[name]
    with OpenAI(base_url=server.scoped(name), api_key="harness", max_retries=0) as client:
        if not streamed:
            whole: dict[str, Any] = client.chat.completions.create(**body).to_dict()
            return whole
        chunks = client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
        return aggregate([chunk.to_dict() for chunk in chunks])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REQUESTS)
def test_recorded_once_replayed_either_way(tmp_path: Path, upstream_url: str, name: str, streamed: bool) -> None:
    settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream_url)
    with ServerThread(settings) as server:
        recorded = ask(server, name, streamed=streamed)
    with ServerThread(dataclasses.replace(settings, mode=Mode.REPLAY)) as server:
        assert ask(server, name, streamed=streamed) == recorded
        other = ask(server, name, streamed=not streamed)
    assert other["choices"] == recorded["choices"]
    assert recorded["usage"]["completion_tokens"] > 0
    assert len(recorded["choices"]) == REQUESTS[name].get("n", 1)
    message = recorded["choices"][0]["message"]
    assert bool(message.get("tool_calls")) == (name == "tools")
    assert bool(recorded["choices"][0].get("logprobs")) == (name == "logprobs")


def test_recorded_twice_gives_the_same_files(tmp_path: Path, upstream_url: str) -> None:
    """Ids, times, timings and tool-call ids differ on every run; what is written does not."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=folder, upstream=upstream_url)) as server:
            for name in ("text", "tools"):
                ask(server, name, streamed=True)
    contents = [{file.name: without_cache(file.read_text()) for file in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def without_cache(text: str) -> str:
    """How much of a prompt the upstream had in its cache is a real figure of that run."""
    return "\n".join(line for line in text.splitlines() if "cached_tokens" not in line)


def test_models_and_embeddings(tmp_path: Path, upstream_url: str) -> None:
    seen = []
    for mode in (Mode.RECORD, Mode.REPLAY):
        with (
            ServerThread(Settings(mode=mode, recordings=tmp_path, upstream=upstream_url)) as server,
            OpenAI(base_url=server.base_url, api_key="harness") as client,
        ):
            vector = client.embeddings.create(model="tiny", input="hello", encoding_format="float").data[0].embedding
            models = [model.id for model in client.models.list()]
            seen.append((vector, models, client.models.retrieve("tiny").id))
    assert seen[0] == seen[1]
    assert seen[0][1] == ["tiny"]


HI = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0}
ASKED: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/completions", {"model": "tiny", "prompt": "Hello", "max_tokens": 4, "temperature": 0}),
    ("POST", "/v1/completions", {"prompt": "Hello", "max_tokens": 4, "temperature": 0, "stream": True}),
    ("POST", "/v1/embeddings", {"model": "tiny", "input": ["Hello", "you"]}),
    ("GET", "/v1/models", None),
    ("POST", "/v1/messages", HI),
    ("POST", "/v1/messages", HI | {"stream": True}),
    ("POST", "/v1/messages/count_tokens", HI),
    ("POST", "/v1/responses", {"model": "tiny", "input": "Hi", "max_output_tokens": 4}),
    ("POST", "/v1/responses", {"model": "tiny", "input": "Hi", "max_output_tokens": 4, "stream": True}),
    ("GET", "/v1/nothing?of=the&kind", None),
    ("POST", "/llama/tokenize", {"content": "Hello you"}),
    ("POST", "/llama/apply-template", HI),
    ("POST", "/llama/completion", {"prompt": "Hello", "n_predict": 4, "temperature": 0}),
    ("POST", "/llama/completion", {"prompt": "Hello", "n_predict": 4, "temperature": 0, "stream": True}),
    ("GET", "/llama/health", None),
]
"""What the server has besides chats: OpenAI's, Anthropic's and its own."""


def test_every_endpoint_is_replayed_with_the_upstream_gone(tmp_path: Path, upstream_url: str) -> None:
    seen = []
    for mode, url in ((Mode.RECORD, upstream_url), (Mode.REPLAY, NOWHERE), (Mode.REPLAY, NOWHERE)):
        named = {"llama": NamedUpstream(url, auth="none")}
        chosen = Settings(
            mode=mode, recordings=tmp_path, upstream=url, responses="upstream", strict=True, upstreams=named
        )
        with ServerThread(chosen) as server:
            seen.append([raw(server, *asked) for asked in ASKED])
            assert server.parts.journal.count()[Outcome.FAILED] == 0
    assert seen[0] == seen[1] == seen[2]
    assert [status for status, _, _ in seen[0]] == [404 if "nothing" in path else 200 for _, path, _ in ASKED]


def raw(server: ServerThread, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()


def test_live(tmp_path: Path, upstream_url: str) -> None:
    with ServerThread(Settings(mode=Mode.LIVE, recordings=tmp_path, upstream=upstream_url)) as server:
        assert ask(server, "text", streamed=True)["choices"] == ask(server, "text", streamed=False)["choices"]
    assert list(tmp_path.iterdir()) == []


def over_its_state(server: ServerThread) -> list[Any]:
    """A conversation that is made, added to, answered in (whole, streamed), listed by pages, gone on from, deleted."""
    short: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_output_tokens": 16}
    with OpenAI(base_url=server.scoped("a test"), api_key="harness", max_retries=0) as api:
        made = api.conversations.create(metadata={"a": "b"})
        added = api.conversations.items.create(made.id, items=[{"type": "message", "role": "user", "content": "Seven"}])
        whole = api.responses.create(input="Hi", conversation=made.id, **short)
        events = list(api.responses.create(input="More", conversation=made.id, stream=True, **short))
        items = list(api.conversations.items.list(made.id, limit=2, order="asc"))
        later = api.responses.create(input="x", previous_response_id=whole.id, metadata={"of": whole.id}, **short)
        assert later.previous_response_id == whole.id
        assert [item.id for item in items[:1]] == [item.id for item in added.data]
        assert api.responses.retrieve(later.id).metadata == {"of": whole.id}
        assert api.responses.input_items.list(later.id).data[0].id
        api.responses.delete(later.id)
        api.conversations.delete(made.id)
        with pytest.raises(NotFoundError, match=made.id) as gone:
            api.conversations.retrieve(made.id)
        seen = [each.to_dict() for each in (made, added, whole, *events, *items, later)]
        return [*map(_uncounted, seen), gone.value.body]


def _uncounted(seen: dict[str, Any]) -> Any:
    """Without figures of the upstream's cache."""
    return json.loads(json.dumps(seen), object_hook=lambda found: found | {"cached_tokens": 0})


def test_a_flow_over_a_servers_own_conversations(tmp_path: Path, upstream_url: str) -> None:
    """Ids are random in mode live: what is recorded from it twice has the same ones, and replays without it."""
    seen = []
    with ServerThread(Settings(mode=Mode.LIVE, recordings=tmp_path / "none", upstream=upstream_url)) as live:
        for name in ("one", "two"):
            chosen = Settings(
                mode=Mode.RECORD, recordings=tmp_path / name, upstream=live.base_url, responses="upstream", strict=True
            )
            with ServerThread(chosen) as server:
                seen.append(over_its_state(server))
    with ServerThread(dataclasses.replace(chosen, mode=Mode.REPLAY, upstream=NOWHERE)) as server:
        seen += [over_its_state(server) for _ in range(2)]
    assert seen[0] == seen[1] == seen[2] == seen[3]
    files = [{file.name for file in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
