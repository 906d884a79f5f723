"""A recording as a person reads it: who asked what, and what came back. Made for 80 columns, and for pipes."""

import re
from collections.abc import Iterator

from rich.cells import cell_len

from harness.recording.description import call_text
from harness.recording.dialogue import Bubble, asked, said
from harness.recording.figures import figures_of
from harness.recording.meaning import settled
from harness.recording.model import Exchange, Json
from harness.report.wording import visible

_WORD = re.compile(r"(\s*)(\S+)")


def render_dialogue(file: str, exchange: Exchange, width: int) -> str:
    """The text, with a newline at its end; paragraphs are broken at ``width`` columns, and nothing is cut."""
    return "\n".join(_lines(file, exchange, width)) + "\n"


def _lines(file: str, exchange: Exchange, width: int) -> Iterator[str]:
    request, response = exchange.request, exchange.response
    query = f"?{request.query}" if request.query else ""
    yield visible(file)
    yield f"{request.method} {visible(request.path + query)}{'  ' if request.model else ''}{visible(request.model)}"
    yield visible(request.scope) if request.scope else "(no test)"
    for name, tool in _offered(request.body):
        yield from _wrapped(f"may call {name}: {tool}" if tool else f"may call {name}", width, "", "    ")
    bubbles = asked(request) if request.body else ()
    listed = _listed(response.body)
    for bubble in (*bubbles, *(listed or said(response))):
        yield ""
        yield from _bubble(bubble, width)
    yield ""
    yield _ending(exchange)


def _listed(body: Json) -> tuple[Bubble, ...]:
    """A list of things that nobody would read in full: vectors by their first numbers, the rest by their ids."""
    items = body.get("data") if isinstance(body, dict) and body.get("object") == "list" else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return ()
    lines = [_vector(item["embedding"]) if "embedding" in item else str(item.get("id", item)) for item in items]
    return (Bubble("list", "\n".join(lines)),)


def _vector(numbers: Json) -> str:
    if not isinstance(numbers, list):
        return f"a vector in base64, {len(str(numbers))} characters"
    return f"a vector of {len(numbers)} numbers: {', '.join(map(str, numbers[:3]))}…"


def _bubble(bubble: Bubble, width: int) -> Iterator[str]:
    yield f"{bubble.role}:"
    for paragraph in bubble.text.split("\n") if bubble.text else ():
        yield from _wrapped(paragraph, width, "  ", "  ")
    for call in bubble.calls:
        yield from _wrapped(f"-> {call_text(call.name, call.arguments)}", width, "  ", "     ")


def _wrapped(text: str, width: int, first: str, others: str) -> Iterator[str]:
    """A paragraph in lines of so many columns, of which wide characters take two. Words that are longer stay whole."""
    line = first
    for space, word in _WORD.findall(visible(text.expandtabs(4))):
        longer = f"{line}{space}{word}"
        if cell_len(longer) > width and line.strip():
            yield line
            longer = f"{others}{word}"
        line = longer
    yield line.rstrip()


def _offered(body: Json) -> Iterator[tuple[str, str]]:
    """The tools that a request offers, by name and first line of what they are said to do."""
    tools = body.get("tools") if isinstance(body, dict) else None
    for tool in tools if isinstance(tools, list) else ():
        inner = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(inner, dict):
            name, what = inner.get("name", inner.get("type")), inner.get("description")
            yield str(name), str(what or "").strip().partition("\n")[0]


def _ending(exchange: Exchange) -> str:
    """How it came and ended: status, stream, reason, tokens."""
    response = exchange.response
    whole = settled(response)
    body, figures = whole.body, figures_of(whole)
    choices = body.get("choices") if isinstance(body, dict) else None
    reasons = [choice.get("finish_reason") for choice in choices or () if isinstance(choice, dict)]
    reasons += [body.get("stop_reason")] if isinstance(body, dict) else []
    chunks = len(response.body) if response.is_streaming and isinstance(response.body, list) else 0
    words = [
        f"status {response.status}" if response.status != 200 else "",
        f"a stream of {chunks} pieces" if response.is_streaming else "",
        "broken off" if response.is_broken else "",
        *dict.fromkeys(f"ended by {reason}" for reason in reasons if reason),
        f"{figures.input:,} tokens in, {figures.output:,} out" if figures.input or figures.output else "",
    ]
    return f"({', '.join(filter(None, words)) or 'whole'})"
