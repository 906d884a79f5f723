"""Responses in the background: what a client may ask of one, how it ends, and the event that tells of its end."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from harness.api.errors import invalid_value
from harness.api.listing import IncludeQuery, query_fields
from harness.api.responses import failure_object
from harness.api.validation import parse
from harness.errors import HarnessError, InvalidRequest

_RUNNING = ("queued", "in_progress")

CANCELLED: dict[str, Any] = {"status": "cancelled"}
"""What changes in a response that is cancelled."""


class RetrieveQuery(IncludeQuery):
    """The query of a request that shows one response."""

    stream: bool = False
    starting_after: Annotated[int, Field(ge=0)] | None = None


def parse_retrieve_query(pairs: Iterable[tuple[str, str]]) -> RetrieveQuery:
    """The names and values of a URL's query. Raises InvalidRequest; passes over unknown names."""
    query = parse(RetrieveQuery, query_fields(pairs))
    if query.starting_after is not None and not query.stream:
        raise invalid_value(
            "starting_after", "The 'starting_after' parameter is only allowed when 'stream' is enabled."
        )
    return query


def is_running(response: Mapping[str, Any] | None) -> bool:
    """Whether a response is there, and yet to end."""
    return response is not None and response["status"] in _RUNNING


def failure(error: HarnessError) -> dict[str, Any]:
    """What changes in a response that fails."""
    return {"status": "failed", "error": failure_object(error)}


def abandoned() -> HarnessError:
    """Why a response failed that nobody works on any more."""
    return HarnessError(
        "The server that ran this response ended before the response did.",
        hint="Nothing of it was added to a conversation: create it again.",
    )


def last_event(response: Mapping[str, Any], number: int) -> dict[str, Any] | None:
    """The event that ends the stream of a response that has ended; None for a cancelled one: no event says that."""
    if response["status"] == "cancelled":
        return None
    return {"type": f"response.{response['status']}", "sequence_number": number, "response": dict(response)}


def is_last(event: Mapping[str, Any]) -> bool:
    """Whether an event is one that ``last_event`` gives."""
    return event["type"] in ("response.completed", "response.incomplete", "response.failed")


def not_cancellable() -> InvalidRequest:
    """Only what runs in the background can be cancelled."""
    return InvalidRequest("Cannot cancel a synchronous response.", hint="Create it with background=true.")


def not_streamable() -> InvalidRequest:
    """Only of what ran in the background the events are kept."""
    return invalid_value(
        "stream", "This response cannot be streamed because it was not created with 'background=true'."
    )
