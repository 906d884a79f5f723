"""A recorded request as code that makes it again: for a shell, or for Python.

Where it goes is the reader's environment to say: ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``, as the clients have it
(``ANTHROPIC_…`` for messages). A recording says little of its provider: the hosts of one machine are not in it.
"""

import json
import pprint
import re
import shlex
from dataclasses import dataclass

from harness.errors import RecordingError
from harness.recording.bodies import BINARY, TEXT
from harness.recording.canonical import endpoint_of
from harness.recording.model import JSON_TYPE, MULTIPART, Json, Request
from harness.recording.snippet_form import curl_arguments, files_needed, python_lines

_WIDTH = 80

_CHAT = """
    messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key store stream
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
    """
_TEXT = """
    model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream
    stream_options suffix temperature top_p user
    """
_OPENAI = {
    "/v1/chat/completions": ("chat.completions", _CHAT.split()),
    "/v1/completions": ("completions", _TEXT.split()),
    "/v1/embeddings": ("embeddings", ["input", "model", "dimensions", "encoding_format", "user"]),
}
"""Where OpenAI's client has an endpoint, and what its ``create`` takes by name; the rest goes as ``extra_body``."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes: variables of the reader's, a default, and headers (a value with ``$`` is the key)."""

    base: str
    default: str
    key: str
    path: str
    headers: tuple[tuple[str, str], ...]


def _target(request: Request) -> _Target:
    endpoint = endpoint_of(request.path)
    query = f"?{request.query}" if request.query else ""
    if endpoint.startswith("/v1/messages"):
        headers = (("x-api-key", "$"), ("anthropic-version", "2023-06-01"))
        return _Target(
            "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "ANTHROPIC_API_KEY", endpoint + query, headers
        )
    below = endpoint.removeprefix("/v1") if endpoint.startswith("/v1/") else endpoint
    bearer = (("Authorization", "Bearer $"),)
    return _Target("OPENAI_BASE_URL", "https://api.openai.com/v1", "OPENAI_API_KEY", below + query, bearer)


def curl(request: Request) -> str:
    """A command for a POSIX shell. Raises RecordingError for a body of which only the digest was kept."""
    target, form = _target(request), _form(request)
    body = None if form else _body(request)
    lines = [f'curl -sS "${{{target.base}:-{target.default}}}"{shlex.quote(target.path)}']
    if request.method.upper() != ("GET" if body is None and not form else "POST"):
        lines.append(f"-X {shlex.quote(request.method.upper())}")
    lines += [f'-H "{name}: {value.replace("$", f"${{{target.key}:-none}}")}"' for name, value in target.headers]
    if body is None:
        command = " \\\n  ".join([*lines, *curl_arguments(form)])
        return "\n".join([*files_needed(form), command, ""])
    lines.append(shlex.join(["-H", f"Content-Type: {request.media_type}"]))
    lines += ["--no-buffer"] if request.wants_stream else []
    end = "JSON"
    while end in body.split("\n"):
        end += "_"
    return " \\\n  ".join([*lines, f"--data-binary @- <<'{end}'"]) + f"\n{body}\n{end}\n"


def python(request: Request) -> str:
    """A script: with OpenAI's client where that has the endpoint, with the standard library where it has not.

    Raises RecordingError for a body of which only the digest was kept.
    """
    endpoint = endpoint_of(request.path)
    known = _OPENAI.get(endpoint)
    is_object = isinstance(request.body, dict) and request.method.upper() == "POST"
    # Where no encoding is asked for, OpenAI's client asks for one: that would be another request.
    is_itself = endpoint != "/v1/embeddings" or (is_object and "encoding_format" in request.body)
    if known is not None and is_object and is_itself:
        return _with_client(request.body, *known, stream=request.wants_stream)
    return _with_urllib(request)


def _with_client(body: dict[str, Json], resource: str, takes: list[str], *, stream: bool) -> str:
    others = {name: value for name, value in body.items() if name not in takes}
    arguments = {name: value for name, value in body.items() if name in takes} | (
        {"extra_body": others} if others else {}
    )
    given = "\n".join(f"    {name}={_literal(value, 4 + len(name) + 1)}," for name, value in arguments.items())
    show = ["for chunk in answer:", "    print(chunk.to_json(indent=None))"] if stream else ["print(answer.to_json())"]
    return "\n".join(
        [
            "from openai import OpenAI",
            "",
            "client = OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY say where",
            f"answer = client.{resource}.create(",
            given,
            ")",
            *show,
            "",
        ]
    )


def _with_urllib(request: Request) -> str:
    target, form = _target(request), _form(request)
    body = None if form else _body(request)
    is_json = request.media_type == JSON_TYPE
    headers = {name: repr(value) for name, value in target.headers if "$" not in value}
    if form:
        headers["Content-Type"] = 'f"multipart/form-data; boundary={boundary}"'
    elif body is not None:
        headers["Content-Type"] = repr(request.media_type)
    for name, value in target.headers:
        if "$" in value:
            headers[name] = f"{value.replace('$', '')!r} + os.environ.get({target.key!r}, 'none')"
    data = "body" if form else "None" if body is None else "json.dumps(body).encode()" if is_json else "body.encode()"
    return "\n".join(
        [
            *(["import json"] if "json." in data else []),
            "import os",
            "import sys",
            "import urllib.request",
            *(["import uuid"] if form else []),
            "",
            *files_needed(form),
            f'base = os.environ.get("{target.base}", "{target.default}")',
            *([] if body is None else [f"body = {_literal(request.body if is_json else body, 7)}"]),
            *(python_lines(form) if form else []),
            "request = urllib.request.Request(",
            f"    base + {target.path!r},",
            f"    method={request.method.upper()!r},",
            f"    data={data},",
            "    headers={",
            *(f"        {name!r}: {value}," for name, value in headers.items()),
            "    },",
            ")",
            "with urllib.request.urlopen(request) as answer:",
            "    for line in answer:",
            "        sys.stdout.buffer.write(line)",
            "",
        ]
    )


def _literal(value: Json, column: int) -> str:
    """A value as Python writes it, its lines behind the first moved to ``column``."""
    lines = pprint.pformat(value, width=max(_WIDTH - column, 40), sort_dicts=False).split("\n")
    return f"\n{' ' * column}".join(lines)


def _form(request: Request) -> list[dict[str, Json]]:
    """The parts of a form; none for any other body."""
    parts = request.body.get(MULTIPART) if isinstance(request.body, dict) else None
    return [part for part in parts if isinstance(part, dict) and "name" in part] if isinstance(parts, list) else []


def _body(request: Request) -> str | None:
    """The body as text; None for none."""
    body = request.body
    if isinstance(body, dict) and BINARY in body:
        raise RecordingError(
            "of the bytes of this request only the digest was recorded: no code can make it again.",
            hint="Look at it with harness show, and send your own file.",
        )
    if isinstance(body, dict) and TEXT in body:
        return str(body[TEXT])
    if body in (None, {}):
        return None
    text = json.dumps(body, indent=2, ensure_ascii=False)
    # Half of a pair of surrogates is no character that a file could hold.
    return text if text.isascii() or not re.search(r"[\ud800-\udfff]", text) else json.dumps(body, indent=2)
