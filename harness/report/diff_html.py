"""A diff as one page: everything in one file, no network, nothing that a recording says can become markup or code.

The page's data is JSON inside it, and its script makes nodes of text from it, never markup. A content security policy
allows that one script, by its hash, and nothing else.
"""

import base64
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.recording.dialogue import Bubble
from harness.recording.diff import Dialogue, Diff, Pair
from harness.recording.differences import Difference
from harness.recording.figures import Figures
from harness.recording.model import Json
from harness.recording.places import ABSENT, Place
from harness.recording.words import Segment
from harness.report.wording import NO_TEST, compared, figures, short_name, totals, worst_first

_HERE = Path(__file__).parent
_IN_SCRIPT = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
_LONGEST = 30_000


def render_html(diff: Diff) -> str:
    """The page."""
    style, script = ((_HERE / name).read_text("utf-8") for name in ("diff_page.css", "diff_page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = json.dumps(_data(diff), ensure_ascii=False).translate(_IN_SCRIPT)
    page = (_HERE / "diff_page.html").read_text("utf-8")
    # The data last: what it says is not looked at again.
    for mark, text in (("%HASH%", digest), ("%STYLE%", style), ("%SCRIPT%", script), ("%DATA%", data)):
        before, _, after = page.partition(mark)
        page = before + text + after
    # A half of a surrogate pair, which JSON can hold, is no character.
    return page.encode("utf-8", "replace").decode()


def _data(diff: Diff) -> dict[str, Any]:
    changed = worst_first(diff)
    equal = [pair for pair in diff.pairs if pair.cls == "equal"]
    return {
        "title": totals(diff),
        "figures": figures(*diff.totals, diff.currency),
        "currency": diff.currency,
        "counts": {**diff.summary, "added": len(diff.added), "removed": len(diff.removed)},
        "drift": [asdict(one) for one in diff.drift],
        "pairs": [_pair(pair) for pair in (*changed, *equal)],
        "singles": [
            {"cls": word, "name": short_name(one.name), "test": one.test_id or NO_TEST}
            for word, singles in (("removed", diff.removed), ("added", diff.added))
            for one in singles
        ],
        "unreadable": list(diff.unreadable),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "cls": pair.cls,
        "name": short_name(pair.name),
        "newName": short_name(pair.new_name),
        "test": pair.test_id or NO_TEST,
        "model": pair.model,
        "endpoint": pair.endpoint,
        "how": pair.how,
        "similarity": pair.similarity,
        "remark": pair.remark,
        "request": [_place(one) for one in pair.request],
        "differences": [_difference(one) for one in pair.differences],
        "old": _figures(pair.old),
        "new": _figures(pair.new),
        "dialogue": _dialogue(pair.dialogue) if pair.dialogue else None,
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {**_place(Place(one.path, one.old, one.new)), "cls": one.cls, "note": one.note}


def _place(one: Place) -> dict[str, Any]:
    """Texts as segments of words; objects and lists as they are, for a tree."""
    trees = {side: _value(value) for side, value in (("old", one.old), ("new", one.new)) if _is_tree(value)}
    return {"path": one.path, "words": [_segment(part) for part in compared(one.old, one.new)], **trees}


def _is_tree(value: Json) -> bool:
    return isinstance(value, dict | list) and value is not ABSENT


def _value(value: Json) -> Json:
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _segment(part: Segment) -> list[str]:
    """One text where both sides have it, else both."""
    return [part.old] if part.same else [_cut(part.old), _cut(part.new)]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _figures(one: Figures) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if value is not None}


def _dialogue(dialogue: Dialogue) -> dict[str, Any]:
    return {
        "asked": [_bubble(one) for one in dialogue.asked],
        "old": [_bubble(one) for one in dialogue.old],
        "new": [_bubble(one) for one in dialogue.new],
    }


def _bubble(bubble: Bubble) -> dict[str, Any]:
    calls = [{"name": call.name, "arguments": _value(call.arguments)} for call in bubble.calls]
    return {"role": bubble.role, "text": bubble.text, **({"calls": calls} if calls else {})}
