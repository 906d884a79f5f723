"""Recordings changed on purpose: noise that means nothing, and words that mean something else."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Document = dict[str, Any]

_SAID = frozenset("content reasoning_content reasoning refusal text arguments partial_json thinking delta".split())
_AROUND = frozenset("logprobs error __type__ usage annotations instructions tools metadata type".split())
_NOISE: dict[str, Callable[[Random], Any]] = {
    "id": lambda draw: f"chatcmpl-{draw.getrandbits(60):x}",
    "item_id": lambda draw: f"msg_{draw.getrandbits(60):x}",
    "call_id": lambda draw: f"call_{draw.getrandbits(60):x}",
    "container_id": lambda draw: f"cntr_{draw.getrandbits(60):x}",
    "file_id": lambda draw: f"file-{draw.getrandbits(60):x}",
    "created": lambda draw: draw.randrange(2_000_000_000),
    "created_at": lambda draw: draw.randrange(2_000_000_000),
    "completed_at": lambda draw: draw.randrange(2_000_000_000),
    "system_fingerprint": lambda draw: f"fp_{draw.getrandbits(40):x}",
    "obfuscation": lambda draw: "x" * draw.randrange(1, 9),
    "service_tier": lambda draw: draw.choice(["default", "auto", None]),
    "sequence_number": lambda draw: draw.randrange(100),
    "prompt_tokens": lambda draw: draw.randrange(5000),
    "output_tokens": lambda draw: draw.randrange(5000),
    "logprob": lambda draw: -draw.random(),
}


def with_noise(document: Document, draw: Random) -> Document:
    """The recording of another call that was answered the same: other ids, times, figures, order, nulls or none."""
    changed = copy.deepcopy(document)
    changed["response"]["body"] = _noisy(changed["response"].get("body"), draw)
    return changed


def with_other_words(document: Document, draw: Random) -> Document | None:
    """A recording in which one word that the model said is another; None where it said none."""
    changed = copy.deepcopy(document)
    events = _events(changed["response"].get("body"))
    spots = list(_spots(events, event=None))
    if not spots:
        return None
    holder, name = draw.choice(spots)
    holder[name] = _other(name, holder[name], draw)
    changed["response"]["body"] = _as_before(document["response"]["body"], events)
    return changed


def _other(name: str, text: str, draw: Random) -> str:
    if name not in ("arguments", "partial_json"):
        at = draw.randrange(len(text) + 1)
        return text[:at] + draw.choice(["x", "é", "\n", " "]) + text[at:]
    # A letter or digit is another one; the JSON stays JSON.
    at = draw.choice([at for at, one in enumerate(text) if one.isalnum()])
    return text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]


def _noisy(value: Any, draw: Random) -> Any:
    if isinstance(value, str) and value.startswith("data: {"):
        return f"data: {json.dumps(_noisy(json.loads(value[5:]), draw))}"
    if isinstance(value, list):
        return [_noisy(item, draw) for item in value]
    if not isinstance(value, dict):
        return value
    names = list(value)
    draw.shuffle(names)
    changed = {}
    for name in names:
        item = value[name]
        if name in _NOISE and isinstance(item, str | int | float) and value.get("object") != "model":
            changed[name] = _NOISE[name](draw)
        elif name == "arguments" and isinstance(item, str):
            changed[name] = _spaced(item, draw)
        elif item is not None or draw.random() < 0.5:
            changed[name] = item if name in ("input", "metadata") else _noisy(item, draw)
    return changed


def _spaced(arguments: str, draw: Random) -> str:
    try:
        value = json.loads(arguments)
    except ValueError:
        return arguments  # A piece of a stream.
    return json.dumps(value, indent=draw.choice([None, 1, 2])) if isinstance(value, dict) else arguments


def _events(body: Any) -> Any:
    if isinstance(body, list) and any(isinstance(line, str) for line in body):
        return [json.loads(line[5:]) if line.startswith("data: {") else line for line in body]
    return body


def _as_before(body: Any, events: Any) -> Any:
    if isinstance(body, list) and any(isinstance(line, str) for line in body):
        return [event if isinstance(event, str) else f"data: {json.dumps(event)}" for event in events]
    return events


def _spots(value: Any, event: str | None) -> Iterator[tuple[dict[str, Any], str]]:
    """Every string that the model authored, by its holder and name.

    Together says the text of a chunk a second time beside its delta; Responses say everything again in the events
    before the last: such copies are no words of their own.
    """
    if isinstance(value, list):
        for item in value:
            yield from _spots(item, event)
    elif isinstance(value, dict):
        event = event or (value.get("type") if "sequence_number" in value else None)
        if event not in (None, "response.completed"):
            return
        for name, item in value.items():
            if name in _AROUND or (name == "text" and "delta" in value):
                continue
            if isinstance(item, str):
                if name in _SAID and any(map(str.isalnum, item)):
                    yield value, name
            else:
                yield from _spots(item, event)
