"""What a user wants otherwise in requests that are asked again: another model, other settings."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import SettingsError
from harness.recording.canonical import endpoint_of
from harness.recording.model import MULTIPART, Json, Request
from harness.recording.selection import deployment_of, is_of_model

_NOT_SAMPLED = ("/v1/embeddings", "/v1/moderations")
"""Where nothing is generated and only ``_THEIRS`` can be set: a temperature would be an error there."""
_THEIRS = ("model", "input", "dimensions", "encoding_format", "input_type", "truncate")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Changes:
    """``models`` are new names by old ones (which may hold ``*``), ``values`` new values by their dotted paths.

    ``removed`` are paths of what is left out. Values and removals are for requests that name a model and are JSON;
    embeddings and moderations, which sample nothing, take those of their own alone.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    values: Sequence[tuple[str, Json]] = ()
    removed: Sequence[str] = ()

    def apply(self, request: Request) -> Request:
        """The request as it is to be asked. Raises SettingsError for a path that leads through a text or a number."""
        changed = self._with_model(request)
        if not isinstance(changed.body, dict) or not isinstance(changed.body.get("model"), str):
            return changed
        body, samples = copy.deepcopy(changed.body), endpoint_of(changed.path) not in _NOT_SAMPLED
        for path, value in self.values:
            steps = steps_of(path)
            if samples or steps[0] in _THEIRS:
                _put(body, steps, value, path)
        for path in self.removed:
            _remove(body, steps_of(path))
        return replace(changed, body=body)

    def without_effect(self, requests: Sequence[Request]) -> list[str]:
        """Those of ``removed`` that are in no request."""
        bodies = [request.body for request in requests]
        return [path for path in self.removed if not any(_at(body, steps_of(path)) for body in bodies)]

    def _with_model(self, request: Request) -> Request:
        asked = request.model or deployment_of(request.path)
        new = next((new for old, new in self.models.items() if is_of_model(asked, old)), None)
        if new is None:
            return request
        prefix, slash, _ = asked.partition("/")
        # Who is asked stays, unless the new name says otherwise.
        name = f"{prefix}/{new}" if slash and "/" not in new else new
        path = request.path.replace(f"/deployments/{asked}/", f"/deployments/{new}/")
        return replace(request, path=path, body=_renamed(request.body, name))


def _renamed(body: Json, model: str) -> Json:
    if not isinstance(body, dict):
        return body
    if isinstance(body.get(MULTIPART), list):
        parts = [{**part, "value": model} if part.get("name") == "model" else part for part in body[MULTIPART]]
        return {**body, MULTIPART: parts}
    return {**body, "model": model} if "model" in body else body


def parse_models(words: Sequence[str]) -> dict[str, str | None]:
    """All of ``--model``, in order. Raises SettingsError for two new names of one model."""
    found: dict[str, str | None] = {}
    for old, new in map(parse_model, words):
        if new and found.get(old) not in (None, new):
            raise SettingsError(
                f"--model {old}={found[old]} and {old}={new}: one recording cannot be asked of both.",
                hint="Run it once for each, into two directories: --into DIR",
            )
        found[old] = new or found.get(old)
    return found


def parse_model(word: str) -> tuple[str, str | None]:
    """``gpt-4o=gpt-5`` as an old name and a new one; without ``=`` there is no new one. Raises SettingsError."""
    old, equals, new = word.partition("=")
    if not old or (equals and not new):
        raise SettingsError(f"--model {word} names no model.", hint="Write --model gpt-4o=gpt-5")
    return old, new if equals else None


def parse_value(word: str) -> tuple[str, Json]:
    """``temperature=0`` as a path and a value: JSON, or else the text as it stands. Raises SettingsError."""
    path, _, text = word.partition("=")
    if not text:
        hint = f"""Write --set temperature=0; for an empty text --set '{path}=""'"""
        raise SettingsError(f"--set {word} has no value.", hint=hint)
    steps_of(path)
    try:
        return path, json.loads(text, parse_constant=_no_json)
    except ValueError:
        return path, text


def _no_json(word: str) -> None:
    """NaN and Infinity, which Python alone takes for JSON."""
    raise ValueError(word)


def steps_of(path: str) -> list[str | int]:
    """``reasoning.effort`` and ``messages[0].content`` step by step. Raises SettingsError for what is no path."""
    found = list(_STEP.finditer(path))
    if not path or path.startswith(".") or "".join(match[0] for match in found) != path:
        raise SettingsError(f"{path!r} is no path into a request.", hint="Write temperature, or reasoning.effort.")
    return [int(match[2]) if match[2] else match[1] for match in found]


def _put(body: Json, steps: Sequence[str | int], value: Json, path: str) -> None:
    *way, last = steps
    holder = body
    for step in way:
        if isinstance(holder, dict) and isinstance(step, str) and holder.get(step) is None:
            holder[step] = {}
        holder = holder[step] if _has(holder, step) else None
    if not (_has(holder, last) or (isinstance(holder, dict) and isinstance(last, str))):
        raise SettingsError(
            f"{path} cannot be set: a recorded request has no place for it.",
            hint="Choose the requests that have one: --endpoint, --test, or a key.",
        )
    holder[last] = copy.deepcopy(value)


def _remove(body: Json, steps: Sequence[str | int]) -> None:
    if _at(body, steps):
        *way, last = steps
        for step in way:
            body = body[step]
        del body[last]


def _at(body: Json, steps: Sequence[str | int]) -> bool:
    """Whether a body has something at the end of a path."""
    for step in steps:
        if not _has(body, step):
            return False
        body = body[step]
    return True


def _has(holder: Json, step: str | int) -> bool:
    if isinstance(holder, list):
        return isinstance(step, int) and step < len(holder)
    return isinstance(holder, dict) and step in holder
