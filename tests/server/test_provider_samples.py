"""Real recordings of real providers, every one asked for by its provider's own client, which reads it as its types."""

import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Model

from harness.recording.canonical import endpoint_of
from harness.recording.format import loads, to_exchange
from harness.recording.model import Exchange
from harness.recording.streams import whole
from harness.running import ServerThread
from harness.settings import Settings

SAMPLES = Path(__file__).parents[3] / "shared" / "recordings-sample"
FOLDERS = ["azure", "chat", "completions", "embeddings", "errors", "messages", "models", "openresponses"]

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/recordings-sample beside this checkout")


def recorded(folder: Path) -> list[tuple[dict[str, Any], Exchange]]:
    documents = [loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    return [(document, to_exchange(document)) for document in documents]


def type_of(document: dict[str, Any]) -> Any:
    """The client's type that a recording's label names."""
    body = document["response"]["body"]
    module, _, name = (body[0] if isinstance(body, list) else body)["__type__"].rpartition(".")
    return getattr(import_module(module), name)


def by_openai(server: ServerThread, document: dict[str, Any], exchange: Exchange) -> None:
    asked, answer = exchange.request, exchange.response
    path = endpoint_of(asked.path).removeprefix("/v1")
    with OpenAI(base_url=server.scoped(asked.scope or "none"), api_key="harness", max_retries=0) as client:
        if path == "/models":
            got = client.models.list().data
            assert {model.id for model in got} >= {model["id"] for model in answer.body["data"]}
            assert all(type(model) is Model for model in got)
        elif answer.status >= 400:
            with pytest.raises(openai.APIStatusError) as raised:
                client.post(path, body=asked.body, cast_to=object)
            assert (raised.value.status_code, raised.value.body) == (answer.status, answer.body["error"])
        elif answer.is_streaming:
            shape = type_of(document)
            # The subscript of a class that is known at run time alone.
            of_shape: Any = types.GenericAlias(openai.Stream, (shape,))
            chunks: list[Any] = list(
                client.post(path, body=asked.body, cast_to=shape, stream=True, stream_cls=of_shape)
            )
            assert all(type(chunk) is shape for chunk in chunks)
            assert whole([chunk.to_dict() for chunk in chunks])["choices"] == whole(answer.body)["choices"]
        else:
            shape = type_of(document)
            value = client.post(path, body=asked.body, cast_to=shape)
            assert type(value) is shape
            assert value.to_dict(exclude_unset=True) == answer.body


def by_anthropic(server: ServerThread, _: dict[str, Any], exchange: Exchange) -> None:
    from anthropic import Anthropic
    from anthropic.types import Message

    asked, answer = exchange.request, exchange.response
    root = server.scoped(asked.scope or "none").removesuffix("/v1")
    # What the newest client no longer has an argument for goes along all the same.
    body = {name: value for name, value in asked.body.items() if name not in ("stream", "temperature")}
    body["extra_body"] = {name: value for name, value in asked.body.items() if name == "temperature"}
    with Anthropic(base_url=root, api_key="harness", max_retries=0) as client:
        if answer.is_streaming:
            with client.messages.stream(**body) as stream:
                message: Any = stream.get_final_message()
        else:
            message = client.messages.create(**body, stream=False)
    assert isinstance(message, Message)
    said = whole(answer.body) if answer.is_streaming else answer.body
    assert [block.type for block in message.content] == [block["type"] for block in said["content"]]
    assert message.stop_reason == said["stop_reason"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_sample_is_read_by_its_providers_client(folder: str) -> None:
    exchanges = recorded(SAMPLES / folder)
    assert exchanges
    with ServerThread(Settings(recordings=SAMPLES / folder)) as server:
        for document, exchange in exchanges:
            is_message = endpoint_of(exchange.request.path) == "/v1/messages"
            read: Callable[..., None] = by_anthropic if is_message else by_openai
            read(server, document, exchange)
