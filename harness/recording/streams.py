"""Recorded streams, put together: chunks of chats and of legacy completions, Anthropic's events, those of Responses."""

import copy
import json
from collections.abc import Iterable

from harness.recording.chunks import aggregate
from harness.recording.model import Json


def whole(stream: Json) -> Json:
    """What a recorded stream spells out; a stream of no kind that we know comes back as it is."""
    pieces = stream if isinstance(stream, list) else []
    events = [event for event in events_of(pieces) if isinstance(event, dict)]
    if any(isinstance(event.get("choices"), list) for event in events):
        return _completion(events)
    if any(event.get("type") == "message_start" for event in events):
        return _message_of(events)
    if any(isinstance(event.get("response"), dict) for event in events):
        return _response_of(events)
    if any(is_ollama(event) for event in events):
        return _ollama_of(events)
    if any(is_google(event) for event in events):
        return _google_of(events)
    failures = [event for event in events if event.get("error")]
    if failures:
        return failures[0]
    # Lines of SSE text: what they hold can be compared, the letters of JSON cannot.
    return events if events and any(isinstance(piece, str) for piece in pieces) else stream


def events_of(pieces: list[Json]) -> Iterable[Json]:
    """A stream's chunks as they are; of lines of SSE text, the JSON that stands behind ``data:``."""
    for piece in pieces:
        if not isinstance(piece, str):
            yield piece
            continue
        for line in piece.splitlines():
            data = line.removeprefix("data:").strip()
            if line.startswith("data:") and data.startswith("{"):
                yield json.loads(data)


def _completion(chunks: list[dict[str, Json]]) -> Json:
    """Chunks of a chat or of a legacy text completion, whose pieces of text are aggregated like a chat's content."""
    legacy = not any("delta" in choice for chunk in chunks for choice in choices_of(chunk))
    completion = aggregate(_slim(chunk, legacy=legacy) for chunk in chunks)
    for choice in completion["choices"] if legacy else ():
        choice["text"] = choice.pop("message").get("content", "")
    return completion


def choices_of(chunk: dict[str, Json]) -> list[dict[str, Json]]:
    choices = chunk.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _slim(chunk: dict[str, Json], *, legacy: bool) -> dict[str, Json]:
    """A chunk without its nulls: most of a stream is the same few empty fields, said again and again."""
    slim = _without_nulls(chunk)
    slim["choices"] = []
    for choice in choices_of(chunk):
        kept = _without_nulls(choice)
        # Together's chunks of a chat carry the piece of text a second time.
        text = kept.pop("text", "")
        kept["delta"] = {"content": text} if legacy else _without_nulls(kept.get("delta") or {})
        slim["choices"].append(kept)
    return slim


def _without_nulls(value: dict[str, Json]) -> dict[str, Json]:
    return {name: item for name, item in value.items() if item is not None}


def is_event_text(text: str) -> bool:
    """Whether a text is a stream of server-sent events, kept as one piece."""
    return text.startswith(("event:", "data:", ":", "id:")) and "data:" in text


def _response_of(events: list[dict[str, Json]]) -> Json:
    """The events of Responses: the last state of the response, and where the stream broke off, what had been said."""
    response = [event["response"] for event in events if isinstance(event.get("response"), dict)][-1]
    failed = next((event for event in events if event.get("type") == "error"), None)
    if failed is not None:
        response = {**response, "error": failed.get("error") or failed}
    if response.get("output"):
        return response
    items: dict[int, dict[str, Json]] = {}
    for event in events:
        kind, index = str(event.get("type")), event.get("output_index", 0)
        if kind in ("response.output_item.added", "response.output_item.done") and isinstance(event.get("item"), dict):
            items[index] = copy.deepcopy(event["item"])
        elif kind.endswith(".delta") and isinstance(event.get("delta"), str):
            _continue_item(items.setdefault(index, {}), kind.split(".")[-2], event)
    return {**response, "output": [items[index] for index in sorted(items)]}


def _continue_item(item: dict[str, Json], kind: str, event: dict[str, Json]) -> None:
    """Add a delta to an item that has not been given whole."""
    if kind.endswith(("arguments", "input")):
        field = "input" if kind.endswith("input") else "arguments"
        item[field] = str(item.get(field) or "") + event["delta"]
        return
    field = "refusal" if kind == "refusal" else "text"
    holder = "summary" if kind == "reasoning_summary_text" else "content"
    parts: list[Json] = item.get(holder) or []
    index = event["summary_index"] if "summary_index" in event else event.get("content_index", 0)
    parts += [{"type": kind} for _ in range(len(parts), index + 1)]
    parts[index][field] = str(parts[index].get(field) or "") + event["delta"]
    item[holder] = parts


def is_ollama(value: Json) -> bool:
    """Whether a value is an answer of Ollama's own API, or a piece of one."""
    said = isinstance(value, dict) and (
        isinstance(value.get("message"), dict) or isinstance(value.get("response"), str)
    )
    return said and isinstance(value.get("done"), bool)


def _ollama_of(pieces: list[dict[str, Json]]) -> Json:
    """Ollama's pieces: texts continue, calls are added, of the rest the last stands."""
    whole: dict[str, Json] = {}
    message: dict[str, Json] = {}
    for piece in pieces:
        said = piece["message"] if isinstance(piece.get("message"), dict) else {}
        for name, value in said.items():
            grows = isinstance(value, str | list) and name != "role" and isinstance(message.get(name), type(value))
            message[name] = message[name] + value if grows else value
        text = str(whole.get("response", "")) + str(piece.get("response", ""))
        whole |= {**_without_nulls(piece), **({"response": text} if "response" in piece else {})}
    return {**whole, **({"message": message} if message else {})}


def is_google(value: Json) -> bool:
    """Whether a value is an answer of Google's Gemini, or a piece of one."""
    return isinstance(value, dict) and isinstance(value.get("candidates"), list)


def _google_of(pieces: list[dict[str, Json]]) -> Json:
    """Gemini's pieces: the parts of each candidate continue, of the rest the last stands."""
    whole: dict[str, Json] = {}
    candidates: dict[int, dict[str, Json]] = {}
    for piece in pieces:
        whole |= _without_nulls(piece)
        for at, candidate in enumerate(piece["candidates"] if is_google(piece) else ()):
            if not isinstance(candidate, dict):
                continue
            known = candidates.setdefault(candidate.get("index") or at, {"content": {"parts": []}})
            content = candidate.get("content")
            known |= {name: value for name, value in _without_nulls(candidate).items() if name != "content"}
            if isinstance(content, dict):
                parts = known["content"]["parts"]
                known["content"] |= {name: value for name, value in content.items() if name != "parts"}
                for part in content.get("parts") or ():
                    _add_part(parts, part)
    return {**whole, "candidates": [candidates[at] for at in sorted(candidates)]}


def _add_part(parts: list[Json], part: Json) -> None:
    """Add a part of Gemini's: text that goes on with text of its kind is one with it."""
    before = parts[-1] if parts else None
    if (
        isinstance(part, dict) and isinstance(before, dict)
        and isinstance(part.get("text"), str) and isinstance(before.get("text"), str)
        and part.get("thought") == before.get("thought")
    ):  # fmt: skip
        parts[-1] = {**before, **part, "text": before["text"] + part["text"]}
    else:
        parts.append(part)


def _message_of(events: list[dict[str, Json]]) -> Json:
    """Anthropic's events: a message, its blocks opened and continued one after the other, an ending."""
    message: dict[str, Json] = {}
    blocks: dict[int, dict[str, Json]] = {}
    for event in events:
        kind, index = event.get("type"), event.get("index", 0)
        if kind == "message_start":
            message |= event.get("message") or {}
        elif kind == "content_block_start":
            blocks[index] = dict(event.get("content_block") or {})
        elif kind == "content_block_delta":
            _continue(blocks.setdefault(index, {}), event.get("delta") or {})
        elif kind == "message_delta":
            usage = {**(message.get("usage") or {}), **(event.get("usage") or {})}
            message |= {**(event.get("delta") or {}), "usage": usage}
        elif kind == "error":
            message["error"] = event.get("error") or event
    return {**message, "type": "message", "content": [blocks[index] for index in sorted(blocks)]}


def _continue(block: dict[str, Json], delta: dict[str, Json]) -> None:
    for name, value in delta.items():
        if name == "partial_json":
            before = block.get("input")
            block["input"] = (before if isinstance(before, str) else "") + value
        elif name == "citation":
            block["citations"] = [*(block.get("citations") or []), value]
        elif name != "type" and isinstance(value, str):
            block[name] = block.get(name, "") + value
