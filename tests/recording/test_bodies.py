"""Bodies as values: what a form's boundary does not change, what text and bytes come back as."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InvalidRequest
from harness.recording.bodies import content, request_body, response_body
from harness.recording.model import Request

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=["C", "Z"]), min_size=1)
FIELDS = st.tuples(NAMES, st.none(), st.text().map(str.encode))
FILES = st.tuples(NAMES, NAMES, st.binary())
BOUNDARIES = st.from_regex("[A-Za-z0-9]{16,30}", fullmatch=True)


def form(parts: list[tuple[str, str | None, bytes]], boundary: str) -> tuple[bytes, str]:
    pieces = []
    for name, filename, data in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        head += "" if filename is None else f'; filename="{filename}"\r\nContent-Type: audio/wav'
        pieces.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


@given(st.lists(FIELDS | FILES), BOUNDARIES, BOUNDARIES)
def test_a_form_is_its_parts_whatever_its_boundary(
    parts: list[tuple[str, str | None, bytes]], one: str, other: str
) -> None:
    parsed = request_body(*form(parts, one))
    assert parsed == request_body(*form(parts, other))
    assert [part["name"] for part in parsed["__multipart__"]] == [name for name, _, _ in parts]
    for part, (_, filename, data) in zip(parsed["__multipart__"], parts, strict=True):
        if filename is None:
            assert part["value"].encode() == data
        else:
            digest = hashlib.sha256(data).hexdigest()
            assert (part["filename"], part["sha256"], part["size"]) == (filename, digest, len(data))


def test_a_form_says_its_model_and_whether_it_wants_a_stream() -> None:
    body = request_body(*form([("model", None, b"whisper-1"), ("stream", None, b"true"), ("file", "a", b"")], "x" * 16))
    asked = Request("POST", "/v1/audio/transcriptions", body)
    assert (asked.model, asked.wants_stream, asked.wants_usage) == ("whisper-1", True, False)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=other"])
def test_a_form_that_is_none_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        request_body(b"--x\r\n\r\n\r\n--x--", content_type)


TYPES = st.sampled_from(["text/plain", "text/csv; charset=latin-1", "text/x; charset=no-such", "audio/mpeg"])


@given(st.binary(), TYPES)
def test_every_answer_comes_back_byte_for_byte(raw: bytes, content_type: str) -> None:
    body, media_type = response_body(raw, content_type)
    assert media_type == content_type
    assert content(json.loads(json.dumps(body)), content_type) == raw


@given(st.binary(), st.text())
def test_any_bytes_of_any_type_are_a_value_or_refused(raw: bytes, content_type: str) -> None:
    try:
        json.dumps(request_body(raw, content_type))
    except InvalidRequest as error:
        assert error.code in ("invalid_json", "invalid_multipart")


@pytest.mark.parametrize(
    ("raw", "content_type", "body"),
    [
        (b"", "", {}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b"[1]", "application/vnd.x+json", [1]),
        (b'{"a": 1}', "application/x-www-form-urlencoded", {"a": 1}),
        (b"a=1", "application/x-www-form-urlencoded", {"__text__": "a=1"}),
        (b"a,b", "text/csv", {"__text__": "a,b"}),
    ],
)
def test_what_a_request_says(raw: bytes, content_type: str, body: object) -> None:
    assert request_body(raw, content_type) == body


def test_what_must_be_json_and_is_not_is_refused() -> None:
    for raw, content_type, must in ((b"<html>", "text/html", True), (b"{", "application/json", False), (b"", "", True)):
        with pytest.raises(ValueError, match="Expecting"):
            response_body(raw, content_type, must_be_json=must)
    assert response_body(b"{}", "text/plain", must_be_json=True) == ({}, None)
