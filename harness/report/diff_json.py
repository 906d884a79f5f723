"""A diff as one JSON object, for programs."""

import json
from typing import Any

from harness.recording.diff import Diff, Pair, Single
from harness.recording.model import Json
from harness.recording.places import ABSENT


def render_json(diff: Diff) -> str:
    """The diff as JSON text.

    ``summary`` counts the pairs of each of the five classes; ``pairs`` have ``name`` and ``new_name``
    (files of OLD and NEW), ``test_id``, ``class`` and ``differences`` (``path``, ``old``, ``new``; null where a side
    has nothing there); ``added`` and ``removed`` have ``name`` and ``test_id``.
    """
    document = {
        "summary": diff.summary,
        "pairs": [_pair(pair) for pair in diff.pairs],
        "added": [_single(single) for single in diff.added],
        "removed": [_single(single) for single in diff.removed],
    }
    return json.dumps(document, indent=2) + "\n"


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "name": f"{pair.name}.json",
        "new_name": f"{pair.new_name}.json",
        "test_id": pair.test_id,
        "class": pair.cls,
        "differences": [
            {"path": found.path, "old": _value(found.old), "new": _value(found.new)} for found in pair.differences
        ],
    }


def _single(single: Single) -> dict[str, Any]:
    return {"name": f"{single.name}.json", "test_id": single.test_id}


def _value(value: Json) -> Json:
    return None if value is ABSENT else value
