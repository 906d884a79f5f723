"""A run with a secret planted wherever one can be: nothing of it is on the disk, in any encoding; replay still hits."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from harness.recording.pieces import spelled_out
from harness.running import ServerThread
from harness.settings import Mode, Redact, Settings
from tests.scripted_upstream import chunk, http, scripted, stream
from tests.secrets_for_tests import SECRETS

PLANTED = {name: SECRETS[name] for name in ("openai", "anthropic", "google", "github", "aws", "jwt", "organization")}
OWN_KEY = "my-own-" + "gateway-password-77"
FROM_ENV = "correct" + "-horse-42"


def ask(server: ServerThread, secret: str) -> list[httpx.Response]:
    """The same requests each time, a secret in each part that a request has."""
    headers = {
        "Authorization": f"Bearer {OWN_KEY}",
        "Cookie": f"session={secret}",
        "OpenAI-Organization": SECRETS["organization"],
    }
    image = base64.b64encode(f"%PDF {secret} and {FROM_ENV}".encode()).decode()
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": f"My key is {secret}, my password {OWN_KEY}. Also {FROM_ENV}."},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}],
            },
            {
                "role": "user",
                "content": json.dumps({"api_key": secret, "url": f"https://x.example/?k={quote(secret)}"}),
            },
        ],
        "api_key": "0123456789abcdef0123",
    }
    with httpx.Client(base_url=server.base_url + "/", headers=headers) as client:
        return [
            client.post("chat/completions", json={**body, "stream": True}),
            client.post("chat/completions", json=body),
            client.post("embeddings", params={"key": secret, "a": "1"}, json={"model": "m", "input": secret}),
            client.post("files", data={"purpose": secret}, files={"file": ("a.txt", f"{secret}\n".encode())}),
        ]


def answers(secret: str) -> list[bytes]:
    text = f"You said {secret}, and {OWN_KEY}, and {FROM_ENV}, did you not?"
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"k": [secret]})}}
    message = {"role": "assistant", "content": quote(text), "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    refused = {"error": {"message": f"Incorrect API key provided: {secret}.", "type": "x", "param": None, "code": None}}
    return [
        stream(*map(chunk, pieces), chunk(finish="stop")),
        http(json.dumps(whole).encode(), headers=f"Set-Cookie: session={secret}\r\nx-request-id: {secret}\r\n"),
        http(json.dumps(refused).encode(), status=400, headers=f"openai-organization: {SECRETS['organization']}\r\n"),
        http(f"plain {secret} and {OWN_KEY}".encode(), media="text/plain"),
    ]


def spellings(secret: str) -> set[bytes]:
    """A secret as it could stand in a file: as it is, in a URL, as hex, in base64 at every offset."""
    encoded = set()
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + secret.encode() + b"x" * 3)
        # The letters at the ends are also of what stands beside it.
        encoded |= {
            whole[4 if shift else 0 : -8],
            whole[4 if shift else 0 : -8].translate(bytes.maketrans(b"+/", b"-_")),
        }
    return {secret.encode(), quote(secret, safe="").encode(), secret.encode().hex().encode(), *encoded}


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]


def on_disk(directory: Path) -> bytes:
    """Every byte below a directory, its JSON decoded as well, and what its streams spell out."""
    found = []
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        found += [file.name.encode(), file.read_bytes()]
        document = json.loads(file.read_text("utf-8"))
        found += [text.encode() for text in texts(document)]
        body = document["response"].get("body")
        found += [text.encode() for text in spelled_out(body)] if isinstance(body, list) else []
    return b"\0".join(found)


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_of_a_planted_secret_reaches_the_disk_and_replay_finds_all(tmp_path: Path, name: str) -> None:
    secret = PLANTED[name]
    directory = tmp_path / "recordings"
    chosen = {"recordings": directory, "redact": Redact(values=(FROM_ENV,)), "cache": tmp_path / "cache"}
    with scripted(*answers(secret)) as upstream:
        settings = Settings(mode=Mode.RECORD, upstream=upstream.url, **chosen)  # type: ignore[arg-type]  # as above
        with ServerThread(settings) as server:
            heard = ask(server, secret)
    assert [answer.status_code for answer in heard] == [200, 200, 400, 200]

    disk = on_disk(directory)
    assert len(list(directory.glob("*.json"))) == 4
    for hidden in (secret, OWN_KEY, FROM_ENV, SECRETS["organization"]):
        assert [spelling for spelling in spellings(hidden) if spelling in disk] == []

    replay = Settings(strict=True, **chosen)  # type: ignore[arg-type]  # as above
    with ServerThread(replay) as server:
        assert [answer.status_code for answer in ask(server, secret)] == [200, 200, 400, 200]
        # Whoever has another key gets the same answers.
        other = SECRETS[name][:-4] + "aB3d"
        if name in ("openai", "github"):
            assert [answer.status_code for answer in ask(server, other)[:2]] == [200, 200]
