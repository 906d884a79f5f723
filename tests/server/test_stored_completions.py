"""Chat completions that are asked with ``store: true``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Mode, Settings
from harness.stores.directory import DirectoryStore
from tests.scripted_upstream import chunk, scripted, stream


@pytest.fixture
def client(tmp_path: Path) -> Iterator[OpenAI]:
    store = DirectoryStore(tmp_path, Canonicalizer())
    for text in ("one", "two", "three"):
        asked = Request("POST", "/v1/chat/completions", body(text))
        store.save(author(asked, f"answer {text}"), key(asked))
    with ServerThread(Settings(recordings=tmp_path)) as server, OpenAI(base_url=server.base_url, api_key="x") as made:
        yield made


def body(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}


def test_what_is_stored_is_listed_shown_changed_and_deleted(client: OpenAI) -> None:
    completions = client.chat.completions
    one = completions.create(**body("one"), store=True, metadata={"run": "1"})
    list(completions.create(**body("two"), store=True, metadata={"run": "2"}, stream=True))
    completions.create(**body("three"))

    texts = [row.choices[0].message.content for row in completions.list()]
    assert texts == ["answer one", "answer two"]
    assert [row.id for row in completions.list(metadata={"run": "1"})] == [one.id]
    assert [row.id for row in completions.list(model="another")] == []
    assert [row.id for row in completions.list(order="desc", limit=1)][-1] == one.id
    assert completions.list(limit=1000).data[0].id == one.id
    assert completions.retrieve(one.id).choices == one.choices

    [message] = completions.messages.list(one.id)
    assert (message.role, message.content) == ("user", "one")
    assert completions.update(one.id, metadata={"run": "3"}).to_dict()["metadata"] == {"run": "3"}
    assert completions.delete(one.id).deleted
    with pytest.raises(openai.NotFoundError):
        completions.retrieve(one.id)
    with pytest.raises(openai.NotFoundError):
        completions.messages.list(one.id)


def test_a_model_is_listed_under_its_name_with_and_without_its_date(tmp_path: Path) -> None:
    said = chunk("Hi", "stop") | {"model": "m-2024-08-06"}
    with scripted(stream(said)) as upstream:
        with ServerThread(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as server:
            with OpenAI(base_url=server.base_url, api_key="x") as client:
                list(client.chat.completions.create(**body("one"), store=True, stream=True))
                found = {
                    name: len(list(client.chat.completions.list(model=name))) for name in ("m", "m-2024-08-06", "m-2")
                }
    assert found == {"m": 1, "m-2024-08-06": 1, "m-2": 0}


def test_metadata_that_cannot_be_kept_is_refused_before_the_model_is_asked(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**body("one"), store=True, metadata={"k": "v" * 513})
    assert (raised.value.code, raised.value.param) == ("string_above_max_length", "metadata.k")
    assert list(client.chat.completions.list()) == []
