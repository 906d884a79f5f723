"""The key: what the seed's file is called by, and what it does and does not depend on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.format import loads, to_exchange
from harness.recording.ids import completion_id
from harness.recording.key import key, parse_stem, recording_name
from harness.recording.model import Request
from harness.recording.redact import redact

LAW = settings(deadline=None)
SEED_SCOPE = (
    "tests/integration/responses/test_conversation_responses.py::TestConversationResponses"
    "::test_conversation_multi_turn_and_streaming[txt=openai/gpt-4o]"
)
FIRST_TURN = Request(
    "POST",
    "/v1/v1/chat/completions",
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello"}], "stream": True},
    SEED_SCOPE,
)

texts = st.text(max_size=8)
bodies = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers() | texts | st.lists(texts, max_size=2), max_size=3
)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def request_of(file: Path) -> Request:
    return to_exchange(loads(file.read_text("utf-8"))).request


def test_the_seeds_file_is_named_by_its_key(seed: Path) -> None:
    assert key(request_of(seed)) == seed.stem
    assert request_of(seed).scope == SEED_SCOPE


def test_the_first_turn_of_the_seed_has_the_key_that_the_issue_gives() -> None:
    assert key(FIRST_TURN) == "2e1939c376f00646141ffc9896f65fc6e439e8a9d9c6529452347eb946d6e227"


def test_every_chat_sample_is_named_by_its_key(samples: list[Path]) -> None:
    # The others are named otherwise: pairs by hand, /v1/messages and model lists by another rule.
    folders = ("chat", "azure", "errors")
    files = [file for file in samples if file.parent.name in folders]

    assert len(files) > 100
    assert [file for file in files if key(request_of(file)) != file.stem] == []


def test_every_sample_with_an_ordinary_name_of_other_endpoints_is_named_by_its_key(samples: list[Path]) -> None:
    files = [file for file in samples if file.parent.name in ("completions", "embeddings", "openresponses")]
    named_by_hash = [
        file for file in files if len(file.stem) == 64 and "test_id" in json.loads(file.read_text("utf-8"))
    ]

    assert len(named_by_hash) > 20
    assert [file for file in named_by_hash if key(request_of(file)) != file.stem] == []


@LAW
@given(texts, bodies, st.none() | texts)
def test_the_key_is_what_the_rule_says(path: str, body: dict[str, Any], scope: str | None) -> None:
    path = f"/v1/{path}"
    value = {"method": "POST", "endpoint": path, "body": body} | ({} if path == "/v1/models" else {"test_id": scope})

    assert (
        key(Request("POST", path, body, scope))
        == hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    )


def test_a_model_listing_has_no_scope() -> None:
    def of(path: str, scope: str | None) -> str:
        return key(Request("GET", path, {}, scope))

    assert of("/v1/models", "a") == of("/v1/models", None)
    assert of("/v1/v1/models", "a") == of("/v1/v1/models", "b")
    assert of("/v1/models", None) != key(Request("POST", "/v1/models", {}, None))
    assert of("/v1/chat/completions", "a") != of("/v1/chat/completions", None)


def test_a_secret_in_the_body_does_not_change_the_key_once_it_is_redacted() -> None:
    body = {"messages": [{"role": "user", "content": "my key is sk-proj-0123456789abcdefghij"}]}

    assert key(Request("POST", "/v1/x", body)) == key(Request("POST", "/v1/x", redact(body)))
    assert key(Request("POST", "/v1/x", body)) != key(Request("POST", "/v1/x", {"messages": []}))


def test_the_id_of_a_completion_follows_from_the_key() -> None:
    assert completion_id(key(FIRST_TURN)) == "rec-2e1939c376f0"


@LAW
@given(HEX, st.integers(1, 999), st.sampled_from(["", "chat/", "a/b/"]))
def test_a_name_in_a_sequence_is_read_back(base: str, number: int, folder: str) -> None:
    assert parse_stem(folder + recording_name(base, number)) == (folder + base, number)


@pytest.mark.parametrize("stem", ["hello-2", "a" * 64 + "-1", "a" * 64 + "-02", "a" * 64 + "-x", "a" * 63 + "-2", ""])
def test_any_other_name_is_a_base_of_its_own(stem: str) -> None:
    assert parse_stem(stem) == (stem, 1)
