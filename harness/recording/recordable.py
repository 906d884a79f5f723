"""Which answers are worth a recording."""

from harness.recording.model import Json

_NOT_RECORDED = (401, 403, 408, 409, 429)
"""An upstream's refusals that say nothing about the request; with every 5xx they are passed on, not kept."""


def is_recordable(status: int) -> bool:
    """Whether an answer of this status says something about the request, rather than about the day."""
    return status not in _NOT_RECORDED and status < 500


def says_failure(body: Json) -> bool:
    """Whether the JSON of an answer is but an error, whatever its status: some upstreams fail with a 200."""
    return isinstance(body, dict) and bool(body.get("error")) and not body.keys() & {"object", "choices", "data"}
