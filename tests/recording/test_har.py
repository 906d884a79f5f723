"""HTTP archives: what browsers and mitmproxy write."""

import base64
import json
from typing import Any

import pytest

from harness.errors import RecordingError
from harness.recording.har import entries_of, http_of_entry
from harness.recording.http_exchange import exchange_of

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SAID = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hö"}}]}


def entry(content: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    """An entry as Chromium writes one."""
    return {
        "startedDateTime": "2026-01-01T00:00:00.000Z",
        "comment": "passed over",
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "headers": [
                {"name": ":authority", "value": "api.openai.com"},
                {"name": "Authorization", "value": "Bearer my-own-k3y-of-mine"},
            ],
            "postData": {"mimeType": "application/json", "text": json.dumps(ASKED)},
            **request,
        },
        "response": {
            "status": 200,
            "headers": [{"name": "content-encoding", "value": "br"}, {"name": "X-Request-Id", "value": "req_1"}],
            "content": content or {"mimeType": "application/json", "text": json.dumps(SAID), "size": 9},
        },
    }


def archive(*entries: Any) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": entries, "comment": "of a browser"}})


@pytest.mark.parametrize(
    "content",
    [
        {"mimeType": "application/json; charset=utf-8", "text": json.dumps(SAID)},
        {
            "mimeType": "application/json",
            "encoding": "base64",
            "text": base64.b64encode(json.dumps(SAID).encode()).decode(),
        },
    ],
)
def test_an_entry_is_an_exchange(content: dict[str, Any]) -> None:
    found = exchange_of(http_of_entry(entries_of(("\ufeff" + archive(entry(content))).encode())[0]))

    assert found.request.body == ASKED
    assert found.response.body == SAID
    assert list(found.response.headers) == ["x-request-id"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (entry({"mimeType": "text/event-stream", "size": 0}), "without its content"),
        (entry({"mimeType": "application/json", "size": 7}), "without its content"),
        (entry({"mimeType": "a/b", "encoding": "base64", "text": "%"}), "not base64"),
        (entry(postData={"mimeType": "multipart/form-data", "params": [{"name": "a"}]}), "form was saved"),
        ({**entry(), "response": {"status": 0, "headers": []}}, "never answered"),
        ({"request": {}}, "not an entry"),
        (None, "not an entry"),
    ],
)
def test_what_is_no_exchange_says_why(broken: Any, reason: str) -> None:
    with pytest.raises(RecordingError, match=reason):
        http_of_entry(broken)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "not an HTTP archive"),
        (b'{"log": {}}', "not an HTTP archive"),
        (b'{"log": {"entries": 1}}', "not an HTTP archive"),
        (b"{'log': 1}", "not JSON"),
        (b" \n", "empty"),
        (b'{"log":\n {"entries": "caf\xe9"}}', "not UTF-8: byte 0xe9 in line 2"),
    ],
)
def test_what_is_no_archive_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(RecordingError, match=reason):
        entries_of(data)


def test_an_archive_that_was_cut_off_anywhere_says_so() -> None:
    text = json.dumps(json.loads(archive(entry(isBinary=True, size=12, comment=None))), indent=1)
    for end in range(1, len(text)):
        with pytest.raises(RecordingError, match=r"^cut off in line \d+"):
            entries_of(text[:end].encode())


def test_an_archive_that_powershell_saved_is_read() -> None:
    assert entries_of(archive(entry()).encode("utf-16")) == [entry()]
