"""JSON to a pydantic model, and pydantic's complaints to OpenAI's: one path, one code, one sentence for each."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from harness.api.errors import invalid_value, missing
from harness.errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)

ErrorDetails: TypeAlias = Mapping[str, Any]
"""One complaint of pydantic's: ``type``, ``loc``, ``msg``, ``input``, and sometimes ``ctx``."""

ID_PATTERN = r"^[!-~]+$"
MAX_ID = 256
"""An id is visible ASCII, and not too much of it: that fits into a path, and into a key of any database."""

_SHOWN = 64
"""How many characters of a client's own text a message repeats."""

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}
"""What pydantic's type errors wanted, in JSON's words."""

_GIVEN: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def parse(model: type[M], value: Any, prefix: str = "") -> M:
    """``value`` as ``model``. ``prefix`` is the path of ``value`` in the request (``items[3]``), empty for its body.

    Raises InvalidRequest, which names the path at fault and carries OpenAI's code for the fault.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), value, prefix) from None


def is_id(text: str) -> bool:
    """Whether a text can be an id of anything at all. What cannot is not worth asking a store for."""
    return len(text) <= MAX_ID and re.fullmatch(ID_PATTERN, text) is not None and "\n" not in text


def explain(errors: Sequence[ErrorDetails], value: Any, prefix: str = "") -> InvalidRequest:
    """The one complaint among pydantic's that says most: of the first field at fault, the deepest.

    Where a union is at fault, pydantic lists what every member has against the value; the member that got furthest
    into it is the one that the client meant.
    """
    first = errors[0]["loc"][:1]
    placed = [(_steps(error, value), error) for error in errors if error["loc"][:1] == first]
    deepest = max(len(steps) for steps, _ in placed)
    steps = next(steps for steps, _ in placed if len(steps) == deepest)
    return _complaint(path_of(steps, prefix), [error for other, error in placed if other == steps])


def path_of(steps: Sequence[str | int], prefix: str = "") -> str:
    """Keys and indexes as OpenAI writes them: ``items[3].content[0].type``."""
    path = prefix
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{_short(step)}" if path else _short(step)
    return path


def wrong_type(param: str, expected: Sequence[str], given: Any) -> InvalidRequest:
    """A value of another JSON type than the API takes; ``expected`` is like ``["a string", "an array"]``."""
    wanted = expected[0] if len(expected) == 1 else f"one of {', '.join(expected[:-1])} or {expected[-1]}"
    return InvalidRequest(
        f"Invalid type{_for(param)}: expected {wanted}, but got {_type_name(given)} instead.",
        param=param or None,
        code="invalid_type",
    )


def unsupported(param: str, given: Any, supported: Sequence[str]) -> InvalidRequest:
    """A value that is none of the few that the API knows."""
    quoted = [f"'{value}'" for value in supported]
    known = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    return invalid_value(param, f"Invalid value: {_quoted(given)}. Supported values are: {known}.")


def _steps(error: ErrorDetails, value: Any) -> tuple[str | int, ...]:
    """Where the error stands in ``value``. Pydantic's location names members of unions as well: they are left out."""
    steps: list[str | int] = []
    location = error["loc"]
    for place, step in enumerate(location):
        absent = error["type"] == "missing" and place == len(location) - 1
        if absent or _has(value, step):
            steps.append(step)
            value = None if absent else value[step]
    return tuple(steps)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, dict) and step in value


def _complaint(param: str, errors: Sequence[ErrorDetails]) -> InvalidRequest:
    first = errors[0]
    expected = list(dict.fromkeys(_EXPECTED[error["type"]] for error in errors if error["type"] in _EXPECTED))
    if len(expected) == len(errors) or first["type"] in _EXPECTED:
        return wrong_type(param, expected, first["input"])
    speak = _SENTENCES.get(first["type"])
    if speak is None:
        message = f"Invalid value{_for(param)}: {first['msg']}."
        return InvalidRequest(message, param=param or None, code="invalid_value")
    return speak(param, first, first.get("ctx", {}))


def _unknown(param: str, _error: ErrorDetails, _limits: Mapping[str, Any]) -> InvalidRequest:
    return InvalidRequest(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def _choice(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    known = str(limits.get("expected", "")).replace(" or ", " and ")
    return invalid_value(param, f"Invalid value: {_quoted(error['input'])}. Supported values are: {known}.")


def _string_long(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    wanted = f"a string with maximum length {limits['max_length']}"
    return _limit(param, "string too long", wanted, _length("a string", error), "string_above_max_length")


def _string_short(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    wanted = f"a string with minimum length {limits['min_length']}"
    if not error["input"]:
        return _limit(param, "empty string", wanted, "an empty string", "empty_string")
    return _limit(param, "string too short", wanted, _length("a string", error), "string_below_min_length")


def _pattern(param: str, _error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    wanted = f"Expected a string that matches the pattern '{limits['pattern']}'."
    return invalid_value(param, f"Invalid '{param}': string does not match pattern. {wanted}")


def _long(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    most = limits["max_length"]
    if isinstance(error["input"], dict):
        wanted, given = f"an object with at most {most} properties", f"an object with {len(error['input'])} properties"
        return _limit(param, "too many properties", wanted, given, "object_above_max_properties")
    wanted = f"an array with maximum length {most}"
    return _limit(param, "array too long", wanted, _length("an array", error), "array_above_max_length")


def _short_list(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    wanted = f"an array with minimum length {limits['min_length']}"
    return _limit(param, "array too short", wanted, _length("an array", error), "array_below_min_length")


def _below(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    least = limits.get("ge", limits.get("gt"))
    kind = _number(least)
    wanted = f"a value {'>=' if 'ge' in limits else '>'} {least:g}"
    code = f"{kind}_below_min_value"
    return _limit(param, f"{kind} below minimum value", wanted, _bare(error["input"]), code, hint=f"{error['msg']}.")


def _above(param: str, error: ErrorDetails, limits: Mapping[str, Any]) -> InvalidRequest:
    most = limits.get("le", limits.get("lt"))
    kind = _number(most)
    wanted = f"a value {'<=' if 'le' in limits else '<'} {most:g}"
    code = f"{kind}_above_max_value"
    return _limit(param, f"{kind} above maximum value", wanted, _bare(error["input"]), code, hint=f"{error['msg']}.")


def _limit(param: str, fault: str, wanted: str, given: str, code: str, *, hint: str = "") -> InvalidRequest:
    """A limit in OpenAI's words. ``hint`` is pydantic's sentence, by which clients of OGX know a number's limit."""
    message = f"Invalid '{param}': {fault}. Expected {wanted}, but got {given} instead."
    return InvalidRequest(message, hint=hint, param=param, code=code)


_SENTENCES: dict[str, Callable[[str, ErrorDetails, Mapping[str, Any]], InvalidRequest]] = {
    "missing": lambda param, _error, _limits: missing(param),
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "enum": _choice,
    "string_too_long": _string_long,
    "string_too_short": _string_short,
    "string_pattern_mismatch": _pattern,
    "too_long": _long,
    "too_short": _short_list,
    "greater_than": _below,
    "greater_than_equal": _below,
    "less_than": _above,
    "less_than_equal": _above,
}


def _length(kind: str, error: ErrorDetails) -> str:
    return f"{kind} with length {len(error['input'])}"


def _number(limit: Any) -> str:
    return "decimal" if isinstance(limit, float) else "integer"


def _for(param: str) -> str:
    return f" for '{param}'" if param else ""


def _type_name(value: Any) -> str:
    return next((name for kind, name in _GIVEN if isinstance(value, kind)), "null")


def _quoted(value: Any) -> str:
    return f"'{_bare(value)}'" if isinstance(value, str) else _bare(value)


def _bare(value: Any) -> str:
    """A scalar as the client wrote it, or the name of its type: messages do not repeat whole documents."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return _short(str(value))
    return _type_name(value)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
