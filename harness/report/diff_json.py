"""A diff as one JSON object, for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.recording.diff import Diff, Pair, Single
from harness.recording.differences import Difference
from harness.recording.figures import Figures
from harness.recording.model import Json
from harness.recording.places import ABSENT, Place


def render_json(diff: Diff, beside: Mapping[str, Json] | None = None) -> str:
    """The diff as JSON text.

    ``summary`` counts the pairs of each of the five classes; ``pairs`` have ``name`` and ``new_name``
    (files of OLD and NEW), ``paired_by`` (key, fingerprint, test and order, near miss), ``test_id``, ``endpoint``,
    ``model``, ``class``, ``similarity`` (of texts, 0 to 1, else null), ``request`` and ``differences`` (``path``,
    ``old``, ``new``; null where a side has nothing there; a difference has its ``class`` and, where the values alone do
    not say it, a ``note``), and what both sides used (``old``, ``new``: tokens, seconds, cost; null where it is not
    known); ``added`` and ``removed`` have ``name`` and ``test_id``; ``drift`` has what became of the wire's shape. A
    pair of a refresh may have a ``remark``, and ``own_variation`` where the model differs from itself as much.
    ``unreadable`` are files that are no recordings, ``passed_over`` is how many are of exchanges that no HTTP API had.
    ``beside`` is what else there is to tell.
    """
    old, new = diff.totals
    document = {
        "summary": diff.summary,
        "pairs": [_pair(pair) for pair in diff.pairs],
        "added": [_single(single) for single in diff.added],
        "removed": [_single(single) for single in diff.removed],
        "drift": [asdict(one) for one in diff.drift],
        "totals": {"old": _figures(old), "new": _figures(new), "currency": diff.currency},
        "unreadable": list(diff.unreadable),
        "passed_over": diff.passed_over,
        **(beside or {}),
    }
    return json.dumps(document, indent=2) + "\n"


def _pair(pair: Pair) -> dict[str, Any]:
    remark = {"remark": pair.remark} if pair.remark else {}
    own = {"own_variation": True} if pair.is_own else {}
    return {
        "name": f"{pair.name}.json",
        "new_name": f"{pair.new_name}.json",
        "paired_by": pair.how,
        "test_id": pair.test_id,
        "endpoint": pair.endpoint,
        "model": pair.model,
        "class": pair.cls,
        "similarity": pair.similarity,
        "request": [_place(found) for found in pair.request],
        "differences": [_difference(found) for found in pair.differences],
        "old": _figures(pair.old),
        "new": _figures(pair.new),
        **remark,
        **own,
    }


def _difference(found: Difference) -> dict[str, Any]:
    note = {"note": found.note} if found.note else {}
    return {**_place(Place(found.path, found.old, found.new)), "class": found.cls, **note}


def _place(found: Place) -> dict[str, Any]:
    return {"path": found.path, "old": _value(found.old), "new": _value(found.new)}


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "input_tokens": one.input,
        "output_tokens": one.output,
        "cached_tokens": one.cached,
        "seconds": one.seconds,
        "first_byte": one.first_byte,
        "cost": one.cost,
    }


def _single(single: Single) -> dict[str, Any]:
    return {"name": f"{single.name}.json", "test_id": single.test_id}


def _value(value: Json) -> Json:
    return None if value is ABSENT else value
