"""The events of ``/v1/responses`` over a WebSocket that are not those of a stream.

Source: ``ResponsesClientEvent`` and ``ResponsesServerEvent`` of the ``openai`` package.
"""

from typing import Any, TypeAlias

from harness.api.errors import error_object, missing
from harness.api.validation import unsupported, wrong_type
from harness.errors import HarnessError, InvalidRequest

Object: TypeAlias = dict[str, Any]

REQUEST = "response.create"
"""Asks for a response: the body of ``responses.create`` beside the type."""

STEER = "response.steer"
"""Has more to say to a response that is on its way."""

_OF_THE_SOCKET = ("type", "stream_id", "generate", "stream")
"""What an event has that is not for the turn: over a socket everything is streamed."""

_STEERING = ("id", "input", "previous_response_id")


def check_kind(event: Object) -> None:
    """Raises InvalidRequest for what is no event of a client's."""
    kind, lane = event.get("type"), event.get("stream_id")
    if kind is None:
        raise missing("type")
    if kind not in (REQUEST, STEER):
        raise unsupported("type", kind, [REQUEST, STEER])
    if lane is not None and not isinstance(lane, str):
        raise wrong_type("stream_id", ["a string"], lane)


def response_body(event: Object) -> Object:
    """The body of ``responses.create`` that an event holds. Raises InvalidRequest for what is not served this way."""
    for name, refused in (("generate", False), ("background", True)):
        if event.get(name) is refused:
            raise InvalidRequest(
                f"'{name}' as {str(refused).lower()} is not served over a WebSocket.",
                hint="Leave it out."
                if name == "generate"
                else "POST to /v1/responses for a response in the background.",
                param=name,
                code="unsupported_parameter",
            )
    return {name: value for name, value in event.items() if name not in _OF_THE_SOCKET}


def error_event(error: HarnessError) -> Object:
    """What is said in the place of an HTTP error."""
    return {"type": "error", "status": error.http_status, "error": error_object(error)}


def steer_failed(event: Object) -> Object:
    """The answer to steering: what a chat completion has begun to say, nothing can be added to."""
    error = {
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "The harness cannot steer a response: a chat completion takes no more input once it has begun.",
    }
    steer = {name: event[name] for name in _STEERING if name in event}
    return {"type": "response.steer.failed", "sequence_number": 0, "error": error, "steer": steer}
