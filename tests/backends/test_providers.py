"""Where a call goes, with whose key."""

from dataclasses import replace
from typing import Any

import pytest

from harness.backends.protocol import Call
from harness.backends.providers import Provider, Providers

OPENAI = Provider("https://api.openai.com/v1", "key-of-openai")
NAMED = {
    "anthropic": Provider("https://a.example/v1", "key-of-anthropic", "x-api-key", headers={"anthropic-version": "1"}),
    "azure": Provider(
        "https://r.example/openai/deployments/{model}", "key-of-azure", "api-key", query={"api-version": "7"}
    ),
    "new-azure": Provider("https://r.example/openai/v1", "key-of-azure", "api-key"),
    "ollama": Provider("http://o.example:11434/v1", None, "none"),
    "bare": Provider("http://o.example:11434", None, "none"),
    "gemini": Provider("https://g.example/v1beta/openai", None, "bearer"),
    "router": Provider("https://router.example/api/v1", "key-of-router", "bearer"),
}
PROVIDERS = Providers(OPENAI, NAMED, ["openai"])
CHAT = "/v1/chat/completions"


def call(path: str, model: str = "", **headers: str) -> Call:
    raw = f'{{"model": "{model}"}}'.encode() if model else b""
    return Call("POST", path, raw, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("path", "model", "url", "sent"),
    [
        (CHAT, "gpt-4o", "https://api.openai.com/v1/chat/completions", "gpt-4o"),
        (CHAT, "openai/gpt-4o", "https://api.openai.com/v1/chat/completions", "gpt-4o"),
        (CHAT, "meta/llama", "https://api.openai.com/v1/chat/completions", "meta/llama"),
        ("/openai/v1/files", "", "https://api.openai.com/v1/files", ""),
        ("/v1/v1/models", "", "https://api.openai.com/v1/models", ""),
        ("/anthropic/v1/messages", "claude", "https://a.example/v1/messages", "claude"),
        ("/v1/messages", "anthropic/claude", "https://a.example/v1/messages", "claude"),
        ("/ollama/api/chat", "llama3", "http://o.example:11434/api/chat", "llama3"),
        ("/ollama/v1/chat/completions", "llama3", "http://o.example:11434/v1/chat/completions", "llama3"),
        ("/bare/api/chat", "llama3", "http://o.example:11434/api/chat", "llama3"),
        (CHAT, "bare/llama3", "http://o.example:11434/v1/chat/completions", "llama3"),
        (CHAT, "gemini/flash", "https://g.example/v1beta/openai/chat/completions", "flash"),
        (CHAT, "router/openai/gpt-4o", "https://router.example/api/v1/chat/completions", "openai/gpt-4o"),
        ("/router" + CHAT, "openai/gpt-4o", "https://router.example/api/v1/chat/completions", "openai/gpt-4o"),
        (CHAT, "azure/d", "https://r.example/openai/deployments/d/chat/completions?api-version=7", "d"),
        (CHAT, "new-azure/d", "https://r.example/openai/v1/chat/completions", "d"),
        (
            "/azure/openai/deployments/d/chat/completions",
            "d",
            "https://r.example/openai/deployments/d/chat/completions?api-version=7",
            "d",
        ),
        (
            "/new-azure/openai/deployments/d/embeddings",
            "d",
            "https://r.example/openai/deployments/d/embeddings",
            "d",
        ),
        ("/new-azure/openai/v1/responses", "d", "https://r.example/openai/v1/responses", "d"),
    ],
)
def test_where_a_call_goes(path: str, model: str, url: str, sent: str) -> None:
    route = PROVIDERS.route(call(path, model))
    assert (route.url, route.model) == (url, sent)
    assert (b'"%b"' % sent.encode() in route.body) is bool(model)


def test_a_query_goes_along_and_the_providers_own_where_it_has_none() -> None:
    asked = Call("GET", "/azure/openai/files", b"", query="a=%20b&api-version=8")
    assert PROVIDERS.route(asked).url == "https://r.example/openai/files?a=%20b&api-version=8"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        # Nothing named: what the client sends goes along, the configured key where that is none.
        (call(CHAT, authorization="Bearer own"), {"authorization": "Bearer own"}),
        (call(CHAT, authorization="Bearer harness"), {"authorization": "Bearer key-of-openai"}),
        # A path is chosen by who made the client: its own key counts, in the header that the provider reads.
        (call("/anthropic/v1/messages", x_api_key="own"), {"x-api-key": "own", "anthropic-version": "1"}),
        (
            call("/anthropic/v1/messages", authorization="bearer own", anthropic_version="2"),
            {"x-api-key": "own", "anthropic-version": "2"},
        ),
        (
            call("/anthropic/v1/messages", x_api_key="dummy"),
            {"x-api-key": "key-of-anthropic", "anthropic-version": "1"},
        ),
        # A token of a sign-on is no key.
        (
            call("/anthropic/v1/messages", authorization="Bearer sk-ant-oat01-x"),
            {"authorization": "Bearer sk-ant-oat01-x", "anthropic-version": "1"},
        ),
        (
            call("/azure/openai/deployments/d/embeddings", authorization="Bearer eyJ0.eyJ1.x"),
            {"authorization": "Bearer eyJ0.eyJ1.x"},
        ),
        # A client that names a model sends the key that it has for someone else.
        (call(CHAT, "azure/d", authorization="Bearer own"), {"api-key": "key-of-azure"}),
        (call(CHAT, "gemini/flash", authorization="Bearer own"), {"authorization": "Bearer own"}),
        (call(CHAT, "ollama/llama3", authorization="Bearer own", api_key="own"), {}),
    ],
)
def test_whose_key_goes_along(asked: Call, sent: dict[str, Any]) -> None:
    assert PROVIDERS.route(asked).headers == {"content-type": "application/json", **sent}


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        (call(CHAT, "gpt-4o"), "https://api.openai.com/v1/models"),
        (call("/anthropic/v1/messages", "claude"), "https://a.example/v1/models"),
        (call(CHAT, "azure/d"), "https://r.example/openai/models?api-version=7"),
        (
            replace(call("/azure/openai/deployments/d/embeddings", "d"), query="a=b&api-version=8"),
            "https://r.example/openai/models?api-version=8",
        ),
        (call(CHAT, "new-azure/d"), "https://r.example/openai/v1/models"),
    ],
)
def test_what_proves_a_key(asked: Call, url: str) -> None:
    assert PROVIDERS.checks(PROVIDERS.route(asked)).url == url


def test_the_model_of_a_form_loses_its_prefix() -> None:
    raw = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nrouter/whisper\r\n--b--\r\n'
    asked = Call("POST", "/v1/audio/transcriptions", raw, content_type="multipart/form-data; boundary=b")
    route = PROVIDERS.route(asked)
    assert (route.url, route.body) == (
        "https://router.example/api/v1/audio/transcriptions",
        raw.replace(b"router/whisper", b"whisper"),
    )


def test_every_key_is_a_secret() -> None:
    known = PROVIDERS.secrets(call(CHAT, authorization="Bearer own", x_api_key="other", api_key="none"))
    assert set(known) == {"own", "other", "key-of-openai", "key-of-anthropic", "key-of-azure", "key-of-router"}
