"""The JSON schema that a request asks its answer to fit, and whether a text fits it."""

import json
from collections.abc import Iterable

from harness.recording.model import Json


def wants_json(body: Json) -> bool:
    """Whether a request asks for JSON, with a schema or without."""
    return any(form.get("type") in ("json_schema", "json_object") for form in _forms(body)) or _bare(body) is not None


def schema_of(body: Json) -> Json:
    """The schema that a request's answer is to fit; None where it names none.

    Known are ``response_format`` (chat), ``text.format`` (Responses), ``output_format`` and ``output_config.format``
    (Anthropic), ``guided_json`` and ``structured_outputs`` (vLLM).
    """
    for form in _forms(body):
        inner = form.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, dict) else form.get("schema")
        if form.get("type") == "json_schema" and isinstance(schema, dict):
            return schema
    return _bare(body)


def misfit(text: Json, schema: Json) -> str | None:
    """Why a text does not fit a schema, in a few words; None when it does, or when the schema is none itself."""
    # Slow to import, and needed only where a request has a schema.
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import EMPTY_REGISTRY

    try:
        value = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return "not JSON"
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        # With a registry of its own, nothing that a schema refers to is fetched from anywhere.
        error = best_match(kind(schema, registry=EMPTY_REGISTRY).iter_errors(value))
    except (SchemaError, Unresolvable, RecursionError):
        return None
    return f"{error.json_path}: {_short(error.message)}" if error else None


def _forms(body: Json) -> Iterable[dict[str, Json]]:
    if not isinstance(body, dict):
        return
    text, config = body.get("text"), body.get("output_config")
    for form in (
        body.get("response_format"),
        text.get("format") if isinstance(text, dict) else None,
        body.get("output_format"),
        config.get("format") if isinstance(config, dict) else None,
    ):
        if isinstance(form, dict):
            yield form


def _bare(body: Json) -> Json:
    """A schema that stands by itself, as vLLM takes it."""
    if not isinstance(body, dict):
        return None
    outputs = body.get("structured_outputs")
    schema = body.get("guided_json") or (outputs.get("json") if isinstance(outputs, dict) else None)
    return schema if isinstance(schema, dict) else None


def _short(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:80]} … {message[-78:]}"
