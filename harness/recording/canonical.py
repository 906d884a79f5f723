"""The canonical request, and its fingerprint: what two requests share when they mean the same.

A list of rules, each a pure function from body to body, applied in order. What may change the answer is left alone:
numbers are not rounded, text is not trimmed, a default is not guessed.
"""

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.errors import SettingsError
from harness.recording.model import Json, Request

Rule: TypeAlias = Callable[[dict[str, Json]], dict[str, Json]]

_UNREAD = ("user", "metadata", "store", "safety_identifier", "prompt_cache_key")
CHUNKED = ("/v1/chat/completions", "/v1/completions")
"""Where a stream can answer a whole request and the reverse."""
JSON_ENDPOINTS = (*CHUNKED, "/v1/embeddings", "/v1/messages", "/v1/models")
"""What answers in JSON, whatever a server calls it."""
_DEPLOYMENT = re.compile(r"^.*/openai/deployments/[^/]+/")
_SCHEMAS = ("parameters", "schema", "input_schema")


def endpoint_of(path: str) -> str:
    """The path below the last ``/v1``: ``/openai/v1/v1/models`` and ``/v1/models`` are both ``/v1/models``.

    What Azure has below a deployment (``/openai/deployments/gpt-4o/chat/completions``) is there as well.
    """
    _, found, rest = _DEPLOYMENT.sub("/v1/", path).rpartition("/v1/")
    return f"/v1/{rest}" if found else path


@dataclass(frozen=True)
class Canonicalizer:
    """Makes requests canonical by the built-in rules and then the user's.

    ``upstreams`` are the names that may stand before a model's name (``openai/gpt-4o``); ``rules`` come from
    ``[tool.harness.match]``. Record and replay share one instance.
    """

    upstreams: Sequence[str] = ("openai",)
    rules: Sequence[Rule] = ()

    def canonical(self, request: Request) -> dict[str, Json]:
        """``{"method", "endpoint", "body"}`` of a request, free of what no model reads. The scope is not part of it.

        Where the URL has a query, there is a ``query`` as well.
        """
        body, endpoint = copy.deepcopy(request.body), endpoint_of(request.path)
        if isinstance(body, dict):
            either_way = (_either_way,) if endpoint in CHUNKED else ()
            for rule in (*_RULES, *either_way, self._bare_model, *self.rules):
                body = rule(body)
        query = {"query": request.query} if request.query else {}
        return {"method": request.method, "endpoint": endpoint, "body": body, **query}

    def fingerprint(self, request: Request) -> str:
        """SHA-256 of the canonical request, 64 hex digits."""
        return fingerprint_of(self.canonical(request))

    def _bare_model(self, body: dict[str, Json]) -> dict[str, Json]:
        model = body.get("model")
        if isinstance(model, str):
            body["model"] = bare_model(model, self.upstreams)
        return body


def fingerprint_of(canonical: Json) -> str:
    """The fingerprint of a request that is canonical already."""
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def bare_model(model: str, upstreams: Iterable[str]) -> str:
    """A model's name without the prefix that names a configured upstream (``openai/gpt-4o`` is ``gpt-4o``)."""
    prefix, slash, rest = model.partition("/")
    return rest if slash and rest and prefix in upstreams else model


def _flatten_extra_body(body: dict[str, Json]) -> dict[str, Json]:
    """Recordings taken inside a client hold its ``extra_body`` argument; on the wire those are keys like any other."""
    extra = body.pop("extra_body", None)
    return {**extra, **body} if isinstance(extra, dict) else body


def _drop_unread(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if name not in _UNREAD}


def _either_way(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def _drop_nulls(body: dict[str, Json]) -> dict[str, Json]:
    dropped: dict[str, Json] = _without_nulls(body)
    return dropped


def _without_nulls(value: Json) -> Json:
    """Null is absent, but not inside a JSON schema, where ``"default": null`` says something."""
    if isinstance(value, dict):
        return {
            name: item if name in _SCHEMAS else _without_nulls(item) for name, item in value.items() if item is not None
        }
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _whole_numbers(body: dict[str, Json]) -> dict[str, Json]:
    whole: dict[str, Json] = _with_whole_numbers(body)
    return whole


def _with_whole_numbers(value: Json) -> Json:
    """JSON has one kind of number: a client in another language writes ``0`` where Python writes ``0.0``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return value


def _one_choice(body: dict[str, Json]) -> dict[str, Json]:
    if body.get("n") == 1:
        del body["n"]
    return body


def _parallel_calls(body: dict[str, Json]) -> dict[str, Json]:
    """OpenAI's default is ``true``: OGX writes it down, where the Responses layer leaves out what its client did."""
    if body.get("parallel_tool_calls") is True:
        del body["parallel_tool_calls"]
    return body


def _one_name_for_the_limit(body: dict[str, Json]) -> dict[str, Json]:
    if "max_tokens" in body and "max_completion_tokens" not in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    return body


def _bare_text(body: dict[str, Json]) -> dict[str, Json]:
    for message in _messages(body):
        content = message.get("content")
        if isinstance(content, list) and len(content) == 1 and _is_plain_text(content[0]):
            message["content"] = content[0]["text"]
    return body


def _is_plain_text(part: Json) -> bool:
    return isinstance(part, dict) and set(part) == {"type", "text"} and part["type"] == "text"


def _plain_functions(body: dict[str, Json]) -> dict[str, Json]:
    """A tool says its type outside; some servers say it again inside ``function``."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("type") == "function":
            del function["type"]
    return body


def _plain_calls(body: dict[str, Json]) -> dict[str, Json]:
    """Beside tool calls, no content is an empty text, null or absent, and some servers keep a stream's ``index``."""
    for message in _messages(body):
        calls = message.get("tool_calls")
        if isinstance(calls, list) and calls and message.get("content") == "":
            del message["content"]
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                call.pop("index", None)
    return body


def _numbered_calls(body: dict[str, Json]) -> dict[str, Json]:
    """Tool-call ids are random: they become ``call_0``, ``call_1``, … in order of appearance."""
    names: dict[str, str] = {}

    def rename(holder: dict[str, Json], field: str) -> None:
        if isinstance(holder.get(field), str):
            holder[field] = names.setdefault(holder[field], f"call_{len(names)}")

    for message in _messages(body):
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                rename(call, "id")
        rename(message, "tool_call_id")
    return body


def _messages(body: dict[str, Json]) -> list[dict[str, Json]]:
    messages = body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


_RULES: tuple[Rule, ...] = (
    _flatten_extra_body,
    _drop_unread,
    _drop_nulls,
    _whole_numbers,
    _one_choice,
    _parallel_calls,
    _one_name_for_the_limit,
    _bare_text,
    _plain_functions,
    _plain_calls,
    _numbered_calls,
)


def replacing(pattern: str, placeholder: str) -> Rule:
    """A rule that puts ``placeholder`` in place of what a regular expression finds in any string of the body.

    Raises SettingsError when the pattern is not a regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"[tool.harness.match] replace: {pattern!r} is not a regular expression: {error}",
            hint="Change the pattern in pyproject.toml.",
        ) from error

    def walk(value: Json) -> Json:
        if isinstance(value, str):
            return compiled.sub(lambda _: placeholder, value)
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    return walk


def ignoring(json_path: str) -> Rule:
    """A rule that leaves out what a JSON path names: ``metadata.run``, ``messages[*].name``, ``$.tools[0]``.

    Names, ``[n]`` and ``[*]`` are understood. Raises SettingsError for any other path.
    """
    steps = [step for step in re.split(r"\.|(?=\[)", json_path.removeprefix("$")) if step]
    parsed: list[str | int | None] = []
    for step in steps:
        index = re.fullmatch(r"\[(\d+|\*)\]", step)
        if index is None and not re.fullmatch(r"[\w-]+", step):
            parsed.clear()
            break
        parsed.append(step if index is None else None if index[1] == "*" else int(index[1]))
    if not parsed:
        raise SettingsError(
            f"[tool.harness.match] ignore: {json_path!r} is not a path.",
            hint='Write names, [n] and [*]: ignore = ["metadata.run", "messages[*].name"]',
        )

    def rule(body: dict[str, Json]) -> dict[str, Json]:
        _remove(body, parsed)
        return body

    return rule


def _remove(value: Json, steps: list[str | int | None]) -> None:
    step, rest = steps[0], steps[1:]
    for target in _targets(value, step):
        if rest:
            _remove(value[target], rest)
        else:
            del value[target]


def _targets(value: Json, step: str | int | None) -> Iterable[Json]:
    """The names or indices that a step means in ``value``; none when it has no such thing."""
    if isinstance(step, str):
        return [step] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    if step is None:
        # Backwards, so that removing one does not move the next.
        return range(len(value) - 1, -1, -1)
    return [step] if step < len(value) else []
