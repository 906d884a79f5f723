"""Other providers' own APIs through their own clients: recorded from an upstream with a name, replayed without it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai import AzureOpenAI, OpenAI

from harness.running import ServerThread
from harness.settings import Mode, NamedUpstream, Settings
from tests.backends.test_faults import ask, events
from tests.backends.test_record import STREAM, TEXT, WHOLE
from tests.scripted_upstream import ScriptedUpstream, http, scripted, stream

NOWHERE = "http://127.0.0.1:1/v1"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def message_events() -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    usage = {"input_tokens": 1, "output_tokens": 1}
    said: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"usage": usage, "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in said)
    return http(text.encode(), media="text/event-stream")


def by_anthropic(root: str) -> str:
    from anthropic import Anthropic

    with Anthropic(base_url=f"{root}/anthropic", api_key="harness", max_retries=0) as client:
        with client.messages.stream(**ASK, max_tokens=9) as events:
            return events.get_final_text()


def by_azure(root: str) -> str:
    with AzureOpenAI(azure_endpoint=f"{root}/azure", api_key="harness", api_version="7", max_retries=0) as client:
        return client.chat.completions.create(**ASK).choices[0].message.content or ""


def by_model(root: str) -> str:
    with OpenAI(base_url=f"{root}/v1", api_key="the-clients-key", max_retries=0) as client:
        pieces = client.chat.completions.create(**ASK | {"model": "azure/m"}, stream=True)
        return "".join(piece.choices[0].delta.content or "" for piece in pieces)


def by_ollama(server: ServerThread) -> str:
    got = ask(server, "/ollama/api/chat", json.dumps(ASK).encode())
    return "".join(json.loads(line)["message"]["content"] for line in got.body.splitlines())


OLLAMA = (
    b'{"model":"m","created_at":"2026-01-02T03:04:05Z","message":{"role":"assistant","content":"Hi"},"done":false}\n'
    b'{"model":"m","created_at":"2026-01-02T03:04:06Z","message":{"role":"assistant","content":"!"},"done":true,'
    b'"total_duration":123456,"eval_count":2}\n'
)


def settings(directory: Path, base_url: str, mode: Mode) -> Settings:
    root = base_url.removesuffix("/v1")
    return Settings(
        mode=mode,
        recordings=directory,
        upstream=NOWHERE,
        strict=True,
        upstreams={
            "anthropic": NamedUpstream(base_url, None, "x-api-key"),
            "azure": NamedUpstream(f"{root}/openai/deployments/{{model}}", "a-key-of-azure", "api-key"),
            "ollama": NamedUpstream(base_url, None, "none"),
        },
    )


CLIENTS: dict[str, tuple[bytes, Callable[[ServerThread], str], str, str]] = {
    "anthropic": (message_events(), lambda server: by_anthropic(root_of(server)), TEXT, "POST /v1/messages HTTP"),
    "azure": (
        http(json.dumps(WHOLE).encode()),
        lambda server: by_azure(root_of(server)),
        "Grüße",
        "POST /openai/deployments/m/chat/completions?api-version=7 HTTP",
    ),
    "a model": (
        stream(*STREAM),
        lambda server: by_model(root_of(server)),
        TEXT,
        "POST /openai/deployments/m/chat/completions HTTP",
    ),
    "ollama": (http(OLLAMA, media="application/x-ndjson"), by_ollama, "Hi!", "POST /api/chat HTTP"),
}


def root_of(server: ServerThread) -> str:
    return server.base_url.removesuffix("/v1")


def asked_of(upstream: ScriptedUpstream) -> list[str]:
    # The key of a provider that has one is proven before.
    return [head for head, _ in upstream.requests if "/models" not in head.partition("\r\n")[0]]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_providers_own_client_is_recorded_and_replayed(tmp_path: Path, name: str) -> None:
    answer, read, text, line = CLIENTS[name]
    missing = http(b"{}", status=404)
    heads: list[str] = []
    files = []
    for _ in range(2):
        with scripted(*([missing, answer] if "azure" in line or "deployments" in line else [answer])) as upstream:
            with ServerThread(settings(tmp_path, upstream.url, Mode.RECORD)) as server:
                assert read(server) == text
            heads += asked_of(upstream)
        files.append({file.name: file.read_text() for file in tmp_path.iterdir()})
    with ServerThread(settings(tmp_path, NOWHERE, Mode.REPLAY)) as server:
        assert read(server) == text
    assert files[0] == files[1]
    assert len(files[0]) == 1
    assert all(head.startswith(line) for head in heads)
    assert "key" not in "".join(heads).lower() if name in ("anthropic", "ollama") else "a-key-of-azure" in heads[0]
    assert "the-clients-key" not in "".join(heads)


def test_what_ollama_says_of_its_hour_is_no_part_of_a_recording(tmp_path: Path) -> None:
    with scripted(http(OLLAMA, media="application/x-ndjson")) as upstream:
        with ServerThread(settings(tmp_path, upstream.url, Mode.RECORD)) as server:
            got = ask(server, "/ollama/api/chat", json.dumps(ASK).encode())
    assert b"2026" not in got.body
    assert json.loads(got.body.splitlines()[-1])["total_duration"] == 0


def test_padding_is_not_stored(tmp_path: Path) -> None:
    padded = events("response.created", "response.completed").replace(b'"}', b'","obfuscation":"xyz"}')
    with scripted(http(padded, media="text/event-stream")) as upstream:
        chosen = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url, responses="upstream")
        with ServerThread(chosen) as server:
            assert b"obfuscation" not in ask(server, "/v1/responses").body
    assert "obfuscation" not in "".join(file.read_text() for file in tmp_path.iterdir())
