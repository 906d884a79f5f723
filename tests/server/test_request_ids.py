"""The id of a request, which OpenAI's SDKs show beside every answer and every error."""

from pathlib import Path

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream


def ids_of(client: OpenAI) -> list[str | None]:
    """The ids of requests of every kind: whole and streamed, answered here and by the backend, twice, in error."""
    response = client.responses.create(model="m", input="Hi")
    with client.responses.with_streaming_response.create(model="m", input="Hi", stream=True) as streamed:
        streamed.read()
    completions = client.chat.completions.with_raw_response
    chats = [completions.create(model="m", messages=[{"role": "user", "content": "Hi"}]).request_id for _ in range(2)]
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.retrieve("resp_0")
    with pytest.raises(openai.NotFoundError) as lost:
        client.with_options(base_url=str(client.base_url).replace("/v1", "/nowhere")).models.list()
    conversation = client.conversations.with_raw_response.create()
    whole = response._request_id  # noqa: SLF001 - the name under which the SDK documents it
    return [whole, streamed.request_id, *chats, raised.value.request_id, lost.value.request_id, conversation.request_id]


def test_every_request_has_an_id_and_in_replay_the_same_one_in_every_run(tmp_path: Path) -> None:
    with scripted(stream(chunk("Hi"), chunk(finish="stop"))) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, upstream=upstream.url, recordings=tmp_path)) as server:
            OpenAI(base_url=server.base_url, api_key="none").responses.create(model="m", input="Hi")
    runs = []
    for _ in range(2):
        with ServerThread(Settings(recordings=tmp_path)) as server:
            runs.append(ids_of(OpenAI(base_url=server.base_url, api_key="none", max_retries=0)))
    first, second = runs
    assert first == second
    assert all(name and name.startswith("req_") for name in first)
    chat, again = first[2:4]
    assert chat == again
    assert len({*first}) == len(first) - 1


def test_an_upstreams_id_of_a_request_is_the_clients(tmp_path: Path) -> None:
    answer = stream(chunk("Hi"), chunk(finish="stop")).replace(b"\r\n", b"\r\nX-Request-Id: req_theirs\r\n", 1)
    with scripted(answer) as upstream:
        with ServerThread(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as server:
            client = OpenAI(base_url=server.base_url, api_key="none")
            raw = client.chat.completions.with_raw_response
            asked = raw.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
            assert asked.request_id == "req_theirs"
