"""The law of files: what is loaded is dumped again byte for byte, and what is written down is read back the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RecordingError
from harness.recording.format import dumps, file_url, is_dumped, loads, to_document, to_exchange
from harness.recording.model import Exchange, Json, Request, Response

LAW = settings(deadline=None)

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=3)
documents = st.fixed_dictionaries({"request": objects, "response": objects}, optional={"test_id": values, "x": values})
scopes = st.none() | st.text(min_size=1, max_size=8)
models = st.fixed_dictionaries({"id": st.text(max_size=5), "object": st.just("model")})
errors = st.fixed_dictionaries({"error": objects}) | objects | st.text(max_size=5) | st.none()


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Exchanges of every kind: chat, legacy, embeddings, model lists, endpoints that we do not know; errors."""
    stream = st.builds(Response, st.lists(objects, max_size=3), st.just(value=True))
    whole = st.builds(Response, objects, status=st.sampled_from([200, 201]))
    anything = st.builds(Response, values)
    lines = st.builds(Response, st.lists(st.text(max_size=5), min_size=1, max_size=3), st.just(value=True))
    listing = st.builds(lambda data, more: {"object": "list", "data": data, **more}, st.lists(models), objects)
    endpoint, answer = draw(
        st.sampled_from(
            [
                ("/v1/chat/completions", whole | stream),
                ("/v1/completions", whole | stream),
                ("/v1/embeddings", whole),
                ("/v1/models", listing.map(Response)),
                ("/v1/models", whole),
                ("/v1/messages", whole | stream | lines),
                ("/v1/other", anything),
            ]
        )
    )
    failure = st.builds(Response, errors, status=st.sampled_from([400, 404, 413, 418, 422, 500]))
    path = draw(st.sampled_from(["", "/v1", "/openai/v1"])) + endpoint
    return Exchange(Request("POST", path, draw(objects), draw(scopes)), draw(answer | failure))


@LAW
@given(documents)
def test_a_file_of_ours_is_dumped_as_it_was(document: dict[str, Any]) -> None:
    text = dumps(document)

    assert dumps(loads(text)) == text
    assert text.endswith("}\n")
    assert text.isascii()


def test_every_sample_is_dumped_as_it_was_and_can_be_read(samples: list[Path]) -> None:
    for file in samples:
        text = file.read_bytes().decode()
        document = loads(text)
        exchange = to_exchange(document)
        assert dumps(document) == text, file
        assert exchange.response.body is not None, file
        assert (exchange.response.status >= 400) == bool(document["response"].get("is_exception")), file


def test_the_seed_is_dumped_as_it_was_and_written_again_the_same(seed: Path) -> None:
    text = seed.read_bytes().decode()
    exchange = to_exchange(loads(text))

    assert dumps(loads(text)) == text
    assert exchange.request.path == "/v1/v1/chat/completions"
    assert exchange.response.body[0]["object"] == "chat.completion.chunk"
    assert to_document(exchange) == loads(text)
    assert list(to_document(exchange)) == list(loads(text))


@LAW
@given(exchanges())
def test_what_is_written_is_read_back_the_same(exchange: Exchange) -> None:
    back = to_exchange(loads(dumps(to_document(exchange))))

    assert back.request == exchange.request
    assert back.response == exchange.response


@LAW
@given(exchanges(), st.none() | st.integers(1, 99))
def test_the_position_is_one_more_key_where_it_is_known(exchange: Exchange, position: int | None) -> None:
    document = to_document(replace(exchange, position=position))
    assert to_exchange(document).position == position
    assert {**document, "position": 0} == {**to_document(exchange), "position": 0}
    assert ("position" in document) == (position is not None)


@LAW
@given(exchanges())
def test_the_same_exchange_makes_the_same_bytes(exchange: Exchange) -> None:
    again = to_exchange(loads(dumps(to_document(exchange))))

    assert dumps(to_document(again)) == dumps(to_document(exchange))


def test_an_error_is_written_as_the_samples_have_it(samples: list[Path]) -> None:
    files = [file for file in samples if file.parent.name == "errors"]
    assert files
    for file in files:
        document = loads(file.read_text("utf-8"))
        assert to_document(to_exchange(document))["response"] == document["response"], file


def test_an_error_whose_body_was_lost_still_has_openais_shape() -> None:
    document = {
        "request": {"url": "https://api.openai.com/v1/chat/completions", "body": {}},
        "response": {"is_exception": True, "exception_data": {"status_code": 429}, "exception_message": "slow down"},
    }

    response = to_exchange(document).response

    assert response.status == 429
    assert response.body["error"]["message"] == "slow down"
    assert set(response.body["error"]) == {"message", "type", "param", "code"}


def test_older_generations_are_read() -> None:
    document = {
        "request": {"method": "POST", "url": "http://0.0.0.0:11434/v1/messages", "payload": {"model": "m"}},
        "response": {"body": {"id": "1"}, "is_streaming": False},
    }

    exchange = to_exchange(document)

    assert exchange.request == Request("POST", "/v1/messages", {"model": "m"}, None)
    assert exchange.response == Response({"id": "1"})


@pytest.mark.parametrize(
    "provider",
    [
        "http://localhost:8080",
        "http://127.0.0.1:39211",
        "http://0.0.0.0:11434",
        "http://[::1]:9",
        "https://192.168.1.7",
        "http://build-box-7:8080",
        "http://anna.local:8080",
        "http://host.docker.internal:8080",
    ],
)
def test_a_file_does_not_say_on_which_machine_it_was_made(provider: str) -> None:
    assert file_url(provider, "/v1/models") == "http://localhost/v1/models"


def test_a_file_says_who_answered() -> None:
    assert file_url("https://api.openai.com", "/v1/models") == "https://api.openai.com/v1/models"
    assert file_url("https://key:secret@api.example.org:8443", "/v1/models") == "https://api.example.org/v1/models"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"request": ',
        "[]",
        "null",
        '"text"',
        "{}",
        '{"request": {}}',
        '{"request": {}, "response": []}',
        '{"request": null, "response": {}}',
        "[" * 100_000,
        "\ufeff{}",
    ],
)
def test_text_that_is_no_recording_is_refused(text: str) -> None:
    with pytest.raises(RecordingError) as caught:
        loads(text)

    assert caught.value.hint


URL = "https://api.openai.com/v1/chat/completions"


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        ({}, {"body": {}}),
        ({"url": 7}, {"body": {}}),
        ({"url": "http://[bad/v1"}, {"body": {}}),
        ({"url": URL}, {}),
        ({"url": URL}, {"is_streaming": True}),
        ({"url": URL}, {"is_streaming": True, "body": {"__type__": "x", "__data__": {}}}),
        ({"url": URL}, {"body": {}, "status": "fine"}),
        ({"url": URL}, {"is_exception": True, "exception_data": "gone"}),
        ({"url": URL}, {"is_exception": True, "exception_data": {"status_code": "high"}}),
    ],
)
def test_a_recording_without_what_an_answer_needs_is_refused(
    request_: dict[str, Any], response: dict[str, Any]
) -> None:
    document = loads(json.dumps({"request": request_, "response": response}))

    with pytest.raises(RecordingError) as caught:
        to_exchange(document)

    assert caught.value.hint


def test_a_label_is_data_and_nothing_is_imported_for_it() -> None:
    body = {"__type__": "os.system", "__data__": {"id": "1"}}
    document = {"request": {"url": URL, "body": {}}, "response": {"body": body}}

    assert to_exchange(document).response == Response({"id": "1"})
    assert dumps(loads(dumps(document))) == dumps(document)


BREAKS = ["", " ", "\n", "\n  ", "  ", ",", "]", "}", "[\n]", "\t"]


@LAW
@given(st.dictionaries(st.text(max_size=4), values, max_size=3), st.sampled_from([2, 4, None]), st.booleans())
def test_what_is_dumped_is_told_without_dumping(document: Json, indent: int | None, escaped: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=escaped) + "\n"
    should = json.dumps(document, indent=2, ensure_ascii=text.isascii()) + "\n"
    assert is_dumped(text, document) is (text == should)


@LAW
@given(st.dictionaries(st.text(max_size=4), values, max_size=3), st.data())
def test_a_text_with_any_other_layout_is_not_as_it_is_dumped(document: Json, data: st.DataObject) -> None:
    text = dumps(document)
    at, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 4))
    other = text[:at] + data.draw(st.sampled_from(BREAKS)) + text[at + length :]
    try:
        same = json.loads(other)
    except ValueError:
        return
    assert is_dumped(other, same) is (other == dumps(same))
