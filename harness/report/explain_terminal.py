"""An explanation for people: rule by rule, what the request comes to, what answers it. Made for 80 columns."""

import json
from collections.abc import Iterator, Sequence

from harness.recording.explain import Explanation, Hit, Way, changes
from harness.recording.near_miss import NearMiss, record_command
from harness.recording.places import Place
from harness.report.wording import plural, short_name, value_text, visible

_SHOWN_PLACES = 12

_WORDS = {
    Way.KEY: "found by its key",
    Way.SCOPE: "found by its fingerprint, in its scope",
    Way.SHARED: "found by its fingerprint, among shared recordings",
    Way.OTHER: "found by its fingerprint, in another scope",
}


def render_explanation(found: Explanation, width: int) -> str:
    """The text, with a newline at its end; values are cut to ``width`` columns, keys and the request never."""
    return "\n".join(_lines(found, width)) + "\n"


def _lines(found: Explanation, width: int) -> Iterator[str]:
    request = found.request
    query = f"?{request.query}" if request.query else ""
    yield f"{request.method} {visible(request.path)}{visible(query)}"
    yield f"scope        {visible(request.scope) if request.scope else 'none'}"
    for path in found.redacted:
        yield f"redacted     {visible(path)}"
    yield ""
    yield "Rules that change it" if found.steps else "No rule changes it."
    for step in found.steps:
        yield f"  {visible(step.rule)}"
        yield from _places(changes(step), width)
    yield ""
    yield "Canonical request"
    text = json.dumps(found.canonical, indent=2, ensure_ascii=False)
    yield from (f"  {visible(line)}" for line in text.split("\n"))
    yield ""
    yield f"key          {found.key}"
    yield f"fingerprint  {found.fingerprint}"
    yield ""
    yield from _hit(found, width)


def _hit(found: Explanation, width: int) -> Iterator[str]:
    hit = found.hit
    if hit.way is Way.NONE:
        yield "Nothing answers it."
        yield from _nearest(hit.nearest, width)
        yield f"Record it:  {record_command(found.request)}"
        return
    yield f"Answered by {short_name(hit.names[0])}, {_WORDS[hit.way]}."
    if hit.way is Way.OTHER and hit.scope:
        yield f"  of {visible(hit.scope)}"
    if len(hit.names) > 1:
        yield f"  The first of {plural(len(hit.names), 'answer')}, which come in order when it is asked again."
    yield from _otherwise(hit, width)


def _otherwise(hit: Hit, width: int) -> Iterator[str]:
    if hit.places:
        yield "  It was recorded in other words (recorded -> asked):"
        yield from _places(hit.places, width)
    if hit.put_back:
        yield "  In the answer, this is put in place of what was recorded:"
        for old, new in hit.put_back:
            yield from _sides(value_text(old), value_text(new), width)


def _nearest(nearest: NearMiss | None, width: int) -> Iterator[str]:
    if nearest is None:
        yield "  No recording has its endpoint."
        return
    how = "differs in (recorded -> asked):" if nearest.places else "means the same, but is not the very same request"
    yield f"Nearest: {short_name(nearest.name)}, which {how}"
    if nearest.scope:
        yield f"  of {visible(nearest.scope)}"
    yield from _places(nearest.places, width)


def _places(places: Sequence[Place], width: int) -> Iterator[str]:
    for place in places[:_SHOWN_PLACES]:
        yield f"    {visible(place.path) or '(all of it)'}"
        yield from _sides(*_from_where_they_part(place), width)
    if len(places) > _SHOWN_PLACES:
        yield f"    and {len(places) - _SHOWN_PLACES} places more"


def _from_where_they_part(place: Place) -> tuple[str, str]:
    """Both sides as text; what two long texts begin with alike is left out."""
    old, new = value_text(place.old), value_text(place.new)
    same = next((at for at, (one, two) in enumerate(zip(old, new, strict=False)) if one != two), 0)
    start = max(same - 16, 0)
    return (old, new) if start < 16 else (f"…{old[start:]}", f"…{new[start:]}")


def _sides(old: str, new: str, width: int) -> Iterator[str]:
    yield f"         {_cut(old, width - 9)}"
    yield f"      -> {_cut(new, width - 9)}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
