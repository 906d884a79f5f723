"""Making the volatile values of an answer stable, before anyone reads it.

Ids follow from the key (``harness.recording.ids``), the times of what has such an id are 0, padding goes, and timings
of the upstream's machine are 0. What the model said is not touched.
"""

import re
from collections.abc import Callable

from harness.recording.ids import AnswerIds
from harness.recording.model import Json

_NEVER = "1970-01-01T00:00:00Z"
_TIME = re.compile(r"created|.*_at")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


def normalizer(ids: AnswerIds | None) -> Callable[[Json], Json]:
    """A function that normalizes one answer: call it with the whole, or with each chunk in order.

    ``ids`` remembers what it has seen, so that every chunk says the same id; make a new one for every answer. Without
    (model lists, what is no provider's) ids stay. Of embeddings and errors nothing changes but ids; of events the
    padding goes, and what llama.cpp's and Ollama's own APIs say of the hour and of their machines.
    """

    def normalize(value: Json) -> Json:
        if not isinstance(value, dict):
            return value if ids is None else _without_times(value, ids.renamed(value))
        if ids is None or not isinstance(value.get("choices"), list):
            stable = _without_noise(value)
        else:
            stable = _completion(value, ids)
        return stable if ids is None else _without_times(value, ids.renamed(stable))

    return normalize


def without_padding(value: Json) -> Json:
    """An answer, or an event of one, without the padding that hides its length."""
    if isinstance(value, dict) and "obfuscation" in value and ("type" in value or "choices" in value):
        return {name: item for name, item in value.items() if name != "obfuscation"}
    return value


def _completion(value: dict[str, Json], ids: AnswerIds) -> dict[str, Json]:
    stable: dict[str, Json] = dict(without_padding(value))
    if "id" in stable:
        stable["id"] = ids.completion(str(stable["id"]))
    if "created" in stable:
        stable["created"] = 0
    if isinstance(stable.get("timings"), dict):
        stable["timings"] = dict.fromkeys(stable["timings"], 0)
    return stable


def _without_noise(value: dict[str, Json]) -> dict[str, Json]:
    if isinstance(value.get("timings"), dict):
        value = {**value, "timings": dict.fromkeys(value["timings"], 0)}
    if "type" in value and "obfuscation" in value:
        return {name: item for name, item in value.items() if name != "obfuscation"}
    if ("done" in value and isinstance(value.get("created_at"), str)) or "total_duration" in value:
        return {name: _NEVER if name == "created_at" else 0 if name.endswith("_duration") else item
                for name, item in value.items()}  # fmt: skip
    return value


def _without_times(old: Json, new: Json) -> Json:
    """``new`` without the times of every object whose id is another than in ``old``: the upstream made it just then."""
    if new is old:
        return new
    if isinstance(new, list):
        return [_without_times(was, now) for was, now in zip(old, new, strict=True)]
    if not isinstance(new, dict):
        return new
    is_made = new.get("id") != old.get("id")
    return {
        name: _timeless(item) if is_made and _TIME.fullmatch(name) else _without_times(old[name], item)
        for name, item in new.items()
    }


def _timeless(value: Json) -> Json:
    if isinstance(value, str):
        return _NEVER if _DATE_TIME.fullmatch(value) else value
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
