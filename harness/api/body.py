"""The body of a request as JSON."""

import json
from typing import Any

from harness.errors import InvalidRequest


def parse_object(raw: bytes) -> dict[str, Any]:
    """Bytes as a JSON object; nothing is an empty one. Raises InvalidRequest when they are neither."""
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"We could not parse the JSON body of your request: {error}", code="invalid_json"
        ) from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body of the request must be a JSON object.", code="invalid_type")
    return body
