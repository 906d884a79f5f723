"""What a recording is, in a few words and figures: for lists, sums and the search for what is there twice."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.dialogue import Bubble, said
from harness.recording.figures import figures_of
from harness.recording.key import digest
from harness.recording.meaning import settled
from harness.recording.model import Exchange, Json


class Content(StrEnum):
    """What an answer has in it, and how it came; it may be several of these."""

    TEXT = "text"
    TOOLS = "tools"
    STRUCTURED = "structured"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    EMBEDDINGS = "embeddings"
    ERROR = "error"
    STREAM = "stream"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Description:
    """One recording.

    ``name`` is its file's without ``.json``, ``file`` its path; ``tokens_in`` and ``tokens_out`` are those that the
    answer says it used, ``size`` that of the file in bytes. ``question`` and ``answer`` are digests: equal ones mean
    the same. ``age`` is in days, None where it is not known.
    """

    name: str
    file: str
    test: str | None
    model: str
    endpoint: str
    content: tuple[Content, ...]
    tokens_in: int
    tokens_out: int
    size: int
    question: str
    answer: str
    age: int | None = None

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


def describe(name: str, file: str, size: int, exchange: Exchange, canonicalizer: Canonicalizer) -> Description:
    """What there is to say of a recording without a look at others."""
    whole = settled(exchange.response)
    bubbles = said(whole)
    figures = figures_of(whole)
    request = exchange.request
    return Description(
        name,
        file,
        request.scope,
        request.model,
        endpoint_of(request.path),
        tuple(_content(exchange, bubbles)),
        figures.input,
        figures.output,
        size,
        canonicalizer.fingerprint(request),
        digest([asdict(bubble) for bubble in bubbles]),
    )


def _content(exchange: Exchange, bubbles: tuple[Bubble, ...]) -> Iterator[Content]:
    endpoint, roles = endpoint_of(exchange.request.path), {bubble.role for bubble in bubbles}
    found = []
    if "error" in roles:
        found.append(Content.ERROR)
    elif endpoint == "/v1/embeddings":
        found.append(Content.EMBEDDINGS)
    elif _is_said(exchange.response.body):
        texts = any(bubble.text for bubble in bubbles if bubble.role == "assistant")
        structured = texts and _wants_structure(exchange.request.body)
        found += [Content.STRUCTURED] if structured else [Content.TEXT] if texts else []
        found += [Content.TOOLS] if any(bubble.calls for bubble in bubbles) else []
        found += [role for role in (Content.REASONING, Content.REFUSAL) if role in roles]
    yield from found or [Content.OTHER]
    if exchange.response.is_streaming:
        yield Content.STREAM


def _is_said(body: Json) -> bool:
    """Whether an answer is somebody's words at all, and not a listing, a file, an object of an API."""
    return not isinstance(body, dict) or any(name in body for name in ("choices", "content", "output", "message"))


def _wants_structure(body: Json) -> bool:
    """Whether a request asks for JSON: by chat completions' ``response_format``, or another API's own word for it."""
    if not isinstance(body, dict):
        return False
    text, output = body.get("text"), body.get("output_config")
    asked = (
        body.get("response_format"),
        text.get("format") if isinstance(text, dict) else None,
        output.get("format") if isinstance(output, dict) else None,
    )
    kinds = {one.get("type") for one in asked if isinstance(one, dict)}
    return bool(kinds & {"json_schema", "json_object", "json"}) or bool(body.get("format"))


def call_text(name: str, arguments: Json) -> str:
    """A tool's call on one line: ``get_weather({"city": "Rome"})``."""
    return f"{name}({arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)})"
