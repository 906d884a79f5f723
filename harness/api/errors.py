"""The error body of OpenAI's API, ``{"error": {"message", "type", "param", "code"}}``, made and read."""

from typing import Any

from harness.errors import DO_NOT_RETRY, HarnessError, InvalidRequest, NotFound


def error_object(error: HarnessError) -> dict[str, Any]:
    """What stands inside ``error``: a message that ends with the hint, the type, the parameter, the code."""
    return {"message": str(error), "type": error.type, "param": error.param, "code": error.code}


def error_body(error: HarnessError) -> dict[str, Any]:
    """The body of an HTTP answer that says ``error``."""
    return {"error": error_object(error)}


def missing(param: str) -> InvalidRequest:
    """A parameter that the API requires was not given."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def invalid_value(param: str, message: str) -> InvalidRequest:
    """A parameter has the right type and a value that it cannot have."""
    return InvalidRequest(message, param=param, code="invalid_value")


def invalid_prefix(param: str, given: str, prefix: str) -> InvalidRequest:
    """An id of another kind of thing, or of nothing at all (``conversation="abc"``)."""
    return InvalidRequest(
        f"Invalid '{param}': '{given[:64]}'. Expected an ID that begins with '{prefix}'.",
        hint=f"Such an ID is given by the server, and looks like '{prefix}_…'.",
        param=param,
        code="invalid_id_prefix",
    )


def conversation_locked() -> InvalidRequest:
    """Another turn of the same conversation is on its way."""
    return InvalidRequest(
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
        code="conversation_locked",
    )


def not_allowed(method: str, path: str, allowed: str) -> InvalidRequest:
    """A path that is known, and not by this method; ``allowed`` are those it has."""
    return InvalidRequest(
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?) "
        f"Allowed: {allowed}.",
        code="method_not_supported",
        http_status=405,
        headers={**DO_NOT_RETRY, "Allow": allowed},
    )


def not_found(kind: str, given: str, *, code: str | None = None) -> NotFound:
    """No such conversation, response, item or model, in OpenAI's words."""
    return NotFound(f"{kind} with id '{given}' not found.", code=code)
