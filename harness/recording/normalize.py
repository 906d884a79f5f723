"""Making the volatile values of an answer stable, before anyone reads it.

The id of a completion follows from the key, ``created`` is 0, tool-call ids follow from the key and their order of
appearance, padding goes, and timings of the upstream's machine are 0. What the model said is not touched.
"""

import hashlib
from collections.abc import Callable

from harness.recording.key import completion_id
from harness.recording.model import Json

_NEVER = "1970-01-01T00:00:00Z"


def normalizer(key: str) -> Callable[[Json], Json]:
    """A function that normalizes one answer: call it with the whole, or with each chunk in order.

    It remembers the tool calls that it has seen, so that every chunk of a call gets the same id; make a new one for
    every answer. Values that are not chat or text completions (embeddings, model lists, errors) come back unchanged,
    but for the padding of events and what llama.cpp's and Ollama's own APIs say of the hour and of their machines.
    """
    names: dict[str, str] = {}

    def call_id(upstream_id: str) -> str:
        if upstream_id not in names:
            counted = hashlib.sha256(f"{key}/call/{len(names)}".encode()).hexdigest()
            names[upstream_id] = f"call_{counted[:24]}"
        return names[upstream_id]

    def normalize(value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        if not isinstance(value.get("choices"), list):
            return _without_noise(value)
        stable = {name: item for name, item in value.items() if name != "obfuscation"}
        if "id" in stable:
            stable["id"] = completion_id(key)
        if "created" in stable:
            stable["created"] = 0
        if isinstance(stable.get("timings"), dict):
            stable["timings"] = dict.fromkeys(stable["timings"], 0)
        stable["choices"] = [_with_calls(choice, call_id) for choice in stable["choices"]]
        return stable

    return normalize


def without_padding(value: Json) -> Json:
    """An answer, or an event of one, without the padding that hides its length."""
    if isinstance(value, dict) and "obfuscation" in value and ("type" in value or "choices" in value):
        return {name: item for name, item in value.items() if name != "obfuscation"}
    return value


def _without_noise(value: dict[str, Json]) -> dict[str, Json]:
    if isinstance(value.get("timings"), dict):
        value = {**value, "timings": dict.fromkeys(value["timings"], 0)}
    if "type" in value and "obfuscation" in value:
        return {name: item for name, item in value.items() if name != "obfuscation"}
    if ("done" in value and isinstance(value.get("created_at"), str)) or "total_duration" in value:
        return {name: _NEVER if name == "created_at" else 0 if name.endswith("_duration") else item
                for name, item in value.items()}  # fmt: skip
    return value


def _with_calls(choice: Json, call_id: Callable[[str], str]) -> Json:
    if not isinstance(choice, dict):
        return choice
    for holder in ("delta", "message"):
        message = choice.get(holder)
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        if isinstance(message, dict) and isinstance(calls, list):
            renamed = [
                {**call, "id": call_id(call["id"])}
                if isinstance(call, dict) and call.get("id") and isinstance(call["id"], str)
                else call
                for call in calls
            ]
            choice = {**choice, holder: {**message, "tool_calls": renamed}}
    return choice
