"""An explanation for people: rule by rule, what the request comes to, what answers it. Made for 80 columns.

Names of tests and commands are there to be copied: they stay in one piece, on a line of their own where they are long.
"""

import json
from collections.abc import Iterator, Sequence

from harness.recording.explain import Explanation, Hit, Way, changes
from harness.recording.key_variables import KeyVariables
from harness.recording.near_miss import NearMiss, live_command, record_command
from harness.recording.places import Place
from harness.report.wording import plural, short_name, value_text, visible

_SHOWN_PLACES = 12

_WORDS = {
    Way.KEY: "found by its key",
    Way.SCOPE: "found by its fingerprint, in its scope",
    Way.SHARED: "found by its fingerprint, among shared recordings",
    Way.OTHER: "found by its fingerprint, in another scope",
}


def render_explanation(found: Explanation, width: int, variables: KeyVariables) -> str:
    """The text, with a newline at its end; values are cut to ``width`` columns, the request is broken into lines.

    ``variables`` are those that upstreams' keys come from.
    """
    return "\n".join(_lines(found, width, variables)) + "\n"


def _lines(found: Explanation, width: int, variables: KeyVariables) -> Iterator[str]:
    request = found.request
    query = f"?{request.query}" if request.query else ""
    yield from _broken(f"{request.method} {visible(request.path)}{visible(query)}", width, "")
    yield from _named("scope", visible(request.scope) if request.scope else "none", width)
    for path in found.redacted:
        yield from _named("redacted", visible(path), width)
    yield ""
    yield "Rules that change it" if found.steps else "No rule changes it."
    for step in found.steps:
        yield from _broken(visible(step.rule), width, "  ")
        yield from _places(changes(step), width)
    yield ""
    yield "Canonical request"
    text = json.dumps(found.canonical, indent=2, ensure_ascii=False)
    for line in text.split("\n"):
        yield from _broken(visible(line), width, "  ")
    yield ""
    yield f"key          {found.key}"
    yield f"fingerprint  {found.fingerprint}"
    yield ""
    yield from _hit(found, width, variables)


def _hit(found: Explanation, width: int, variables: KeyVariables) -> Iterator[str]:
    hit = found.hit
    if hit.way is Way.NONE:
        yield "Nothing answers it."
        yield from _nearest(hit.nearest, width)
        yield from _named("Record it:", record_command(found.request, variables), width)
        if live := live_command(found.request):
            yield from _named("Or ask it:", live, width)
        return
    yield from _told(f"Answered by {short_name(hit.names[0])},", f"{_WORDS[hit.way]}.", width)
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
    yield from _told(f"Nearest: {short_name(nearest.name)},", f"which {how}", width)
    if nearest.scope:
        yield f"  of {visible(nearest.scope)}"
    yield from _places(nearest.places, width)


def _places(places: Sequence[Place], width: int) -> Iterator[str]:
    for place in places[:_SHOWN_PLACES]:
        yield from _broken(visible(place.path) or "(all of it)", width, "    ")
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


def _named(name: str, text: str, width: int) -> Iterator[str]:
    """A name and what it stands for, in one piece: on the next line where both would be too long for one."""
    line = f"{name:<11}  {text}"
    yield from [line] if len(line) <= width else [name, f"  {text}"]


def _told(beginning: str, rest: str, width: int) -> Iterator[str]:
    """A sentence on one line, or on two."""
    line = f"{beginning} {rest}"
    yield from [line] if len(line) <= width else [beginning, f"  {rest}"]


def _broken(text: str, width: int, indent: str) -> Iterator[str]:
    """A long line as several, all of its characters kept; what follows the first stands further in than it began."""
    first = len(text) - len(text.lstrip())
    further = " " * (first + 4)
    room = max(width - len(indent), 20)
    yield indent + text[:room]
    rest, step = text[room:], max(room - len(further), 16)
    for at in range(0, len(rest), step):
        yield indent + further + rest[at : at + step]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
