"""What stood in the recorded request and stands otherwise in the present one, put in its place in the recorded answer.

The recorded request said 2025-01-03 where this one says 2026-11-22, a placeholder in both: an answer that quotes the
one has to quote the other.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from harness.recording.model import Response
from harness.recording.pieces import Edit, Editor, edited_response

_OWN = frozenset({"id", "object", "type", "model", "system_fingerprint", "service_tier"})
"""What an answer says of itself. A date in the name of a model is no date that the request quotes."""

_DEEPEST = 3
"""How often JSON may be a text inside JSON: arguments of a call are once, a body that they hold twice."""


def put_back(response: Response, placeholders: Mapping[str, str]) -> Response:
    """``response`` with every text of the recorded request replaced by the present one's.

    ``placeholders`` maps recorded to present texts (``Canonicalizer.placeholders``). Texts are replaced in wholes and
    in streams, there also where chunks cut them, and inside tool arguments, which are JSON in a text. All at once: what
    was put in is not looked at again.
    """
    return replace(response, body=edited_response(response, editor(placeholders), _OWN)) if placeholders else response


def editor(placeholders: Mapping[str, str]) -> Editor:
    """The edits of a text that put ``placeholders`` back: the longest first, and never a part of a longer word."""
    known, spelled = dict(placeholders), dict(placeholders)
    for _ in range(_DEEPEST):
        spelled = {_in_json(old): _in_json(new) for old, new in spelled.items()}
        known = spelled | known
    found = re.compile("|".join(_bounded(text) for text in sorted(known, key=len, reverse=True)))
    return lambda text: [Edit(match.start(), match.end(), known[match[0]]) for match in found.finditer(text)]


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _bounded(text: str) -> str:
    """A digit at an end may not go on as a number, a letter not as a word."""
    before, after = _kin(text[0]), _kin(text[-1])
    return (f"(?<!{before})" if before else "") + re.escape(text) + (f"(?!{after})" if after else "")


def _kin(character: str) -> str:
    if character.isdigit():
        return r"\d"
    return r"\w" if character.isalnum() else ""
