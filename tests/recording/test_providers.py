"""Whose traffic a request is."""

from typing import Any

import pytest

from harness.recording.model import Json
from harness.recording.providers import is_model_traffic

ASKS = {"model": "m", "messages": []}


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("https://api.openai.com/v1/files", {}, True),
        ("https://me.openai.azure.com/openai/deployments/x/chat/completions", {}, True),
        ("https://eu.api.openai.com/v1/models", {}, True),
        ("http://127.0.0.1:8000/v1/chat/completions", ASKS, True),
        ("**REDACTED**", ASKS, True),
        ("https://MY-GATEWAY.example.com/v1/models", {}, True),
        ("https://www.example.org/simple", {}, False),
        ("https://api.openai.com.evil.example/v1/models", {}, False),
        ("http://127.0.0.1:8000/cars", {"model": "beetle"}, False),
        ("**REDACTED**", b"", False),
        ("http://[", {}, False),
    ],
)
def test_model_traffic(url: str, body: Json, expected: Any) -> None:
    assert is_model_traffic(url, body, {"my-gateway.example.com"}) is expected
