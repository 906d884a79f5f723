"""The shape of answers, apart from what they say."""

from typing import Any

import pytest

from harness.recording.chunks import split
from harness.recording.drift import Wire, drift
from harness.recording.model import Exchange, Request, Response

WHOLE: dict[str, Any] = {
    "id": "x",
    "model": "m-1",
    "system_fingerprint": "fp_1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Rome."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "details": {"cached": 0}},
}


def observed(*bodies: Any, stream: bool = False, status: int = 200) -> Wire:
    wire = Wire()
    for body in bodies:
        request = Request("POST", "/v1/chat/completions", {"model": "m"})
        wire.observe(Exchange(request, Response(split(body) if stream else body, stream, status)))
    return wire


def changes(old: Wire, new: Wire) -> list[tuple[str, str, str]]:
    return [(one.severity, one.path, one.change) for one in drift(old, new)]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in WHOLE.items() if key != name}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([WHOLE], [{**WHOLE, "extra": 1}], [("minor", "extra", "appeared")]),
        ([WHOLE], [without("id")], [("breaking", "id", "disappeared")]),
        ([WHOLE, without("id")], [without("id")], [("notable", "id", "disappeared")]),
        ([WHOLE], [{**WHOLE, "id": 7}], [("breaking", "id", "changed type")]),
        ([WHOLE], [WHOLE, {**WHOLE, "id": 7}], [("notable", "id", "may have another type")]),
        ([WHOLE], [{**WHOLE, "id": None}, WHOLE], [("notable", "id", "may be null")]),
        ([WHOLE], [WHOLE, without("id")], [("notable", "id", "is there less often")]),
        ([WHOLE], [{**WHOLE, "usage": {"prompt_tokens": 1}}], [("breaking", "usage.details", "disappeared")]),
        ([WHOLE], [{**WHOLE, "model": "m-2"}], [("notable", "m", "answered by another model")]),
        ([WHOLE], [{**WHOLE, "system_fingerprint": "fp_2"}], [("minor", "m", "another system_fingerprint")]),
    ],
)
def test_each_change_has_its_severity(old: list[Any], new: list[Any], expected: list[Any]) -> None:
    assert changes(observed(*old), observed(*new)) == expected
    assert changes(observed(*old), observed(*old)) == []


def test_what_is_said_is_no_drift() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
    other = {**WHOLE, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    for stream in (False, True):
        assert changes(observed(WHOLE, stream=stream), observed(other, stream=stream)) == []
        assert changes(observed(other, stream=stream), observed(WHOLE, stream=stream)) == []


def test_streams_wholes_and_errors_are_apart() -> None:
    assert changes(observed(WHOLE), observed(WHOLE, stream=True)) == []
    assert changes(observed(WHOLE), observed({"error": {"message": "No."}}, status=400)) == []


def test_wires_of_several_processes_merge() -> None:
    one, two, both = observed(WHOLE), observed(without("id")), observed(WHOLE, without("id"))
    one.merge(two)
    assert one == both
