"""The near miss: of all recordings the one that comes closest to a request that none answers, and the error's text."""

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import RecordingNotFound
from harness.recording import mcp
from harness.recording.canonical import Canonicalizer, bare_model, endpoint_of
from harness.recording.key import key_of_clean
from harness.recording.key_variables import DEFAULT_VARIABLE, KeyVariables, assignments
from harness.recording.lookup import Entry
from harness.recording.model import Json, Request
from harness.recording.places import ABSENT, Place, places

_LIKELY = 50
"""How many recordings are compared with a request that none answers: those that look most like it."""

OF_OPENAI = KeyVariables()
"""Where keys come from as long as nothing is configured."""

_SHOWN_PLACES = 5
_SHOWN_TEXT = 60


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The closest recording, and where its canonical request differs from the one that was asked."""

    name: str
    scope: str | None
    places: Sequence[Place]

    def lines(self) -> list[str]:
        """The difference as aligned lines, at most six of them."""
        shown = [_shown(place) for place in self.places[:_SHOWN_PLACES]]
        widths = [max((len(row[column]) for row in shown), default=0) for column in (0, 1)]
        lines = [f"  {path:<{widths[0]}}  {old:<{widths[1]}}  ->  {new}" for path, old, new in shown]
        if len(self.places) > _SHOWN_PLACES:
            lines.append(f"  and {len(self.places) - _SHOWN_PLACES} places more")
        return lines

    def as_json(self) -> dict[str, Json]:
        """The same for programs; a side of a difference that is absent has no key."""
        differences = [
            {"path": place.path}
            | {side: value for side, value in (("old", place.old), ("new", place.new)) if value is not ABSENT}
            for place in self.places
        ]
        return {"recording": self.name, "scope": self.scope, "differences": differences}


def near_miss(request: Request, entries: Iterable[Entry], canonicalizer: Canonicalizer) -> NearMiss | None:
    """The recording whose canonical request differs least from ``request``; None when none has its endpoint.

    Fewest places first, then the most alike texts, then a recording of the request's own scope, then the lower name.
    """
    asked = canonicalizer.canonical(request)
    endpoint = endpoint_of(request.path)
    rows = [(entry, entry.request) for entry in entries if endpoint_of(entry.path) == endpoint]
    if not rows:
        return None
    counted = [(_places(canonicalizer.canonical(recorded), asked), entry) for entry, recorded in rows]
    fewest = min(len(found) for found, _ in counted)
    closest = [(found, entry) for found, entry in counted if len(found) == fewest]
    found, entry = min(closest, key=lambda row: (-_likeness(row[0]), row[1].scope != request.scope, row[1].name))
    return NearMiss(entry.name, entry.scope, found)


def _places(old: dict[str, Json], new: dict[str, Json]) -> list[Place]:
    """Where two canonical requests of one endpoint differ: in their bodies, in their queries."""
    before, after = ({name: asked[name] for name in ("query",) if name in asked} for asked in (old, new))
    return [*places(old["body"], new["body"]), *places(before, after)]


def _likeness(found: Sequence[Place]) -> float:
    ratios = [
        difflib.SequenceMatcher(None, place.old[:500], place.new[:500]).ratio()
        for place in found
        if isinstance(place.old, str) and isinstance(place.new, str)
    ]
    return sum(ratios)


class Searched(Protocol):
    """Where an answer was looked for: a store (``harness.stores.protocol``), as far as a miss tells of it."""

    where: str

    def entries(self) -> Sequence[Entry]: ...

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]: ...

    def broken(self) -> Sequence[str]: ...


def miss_error(
    request: Request, store: Searched, canonicalizer: Canonicalizer, variables: KeyVariables = OF_OPENAI
) -> RecordingNotFound:
    """The error of a miss: what was asked, where it was looked for, the near miss, and the command that records it.

    The request has no secrets; ``variables`` are those that keys come from. One more line names files of the store that
    could not be read.
    """
    key, upstreams, entries, broken = key_of_clean(request), canonicalizer.upstreams, store.entries(), store.broken()
    nearest = near_miss(request, store.nearest(request, _LIKELY), canonicalizer)
    what = f"model {request.model}" if request.model else mcp.named(request)
    lines = [
        f"No recording for {request.method} {request.path}{f' ({what})' if what else ''}, key {key[:12]}.",
        f"Looked in {store.where}: {_count(len(entries), 'recording')}, {_alike(request, entries, upstreams)}, "
        + (f"scope {request.scope}." if request.scope else "no scope."),
        *_unknown_model(request, entries, upstreams),
    ]
    if nearest is not None:
        of = f" ({nearest.scope})" if nearest.scope else ""
        how = "differs in" if nearest.places else "means the same, but is not the very same request"
        lines += [f"Nearest: {nearest.name[:12]}{of}, which {how}", *nearest.lines()]
    if broken:
        lines.append(f"Could not be read: {', '.join(broken[:3])}{' …' if len(broken) > 3 else ''}")
    ways = [f"Record it:  {record_command(request, variables)}"]
    if not _is_of_pytest(request.scope):
        ways.append(f"or          {_with_key(request, variables, 'harness run --mode record-if-missing -- COMMAND')}")
    if live := live_command(request):
        ways.append(f"Or ask the server itself, every time:  {live}")
    error = RecordingNotFound("\n".join(lines), hint="\n".join(ways))
    error.key_variable = variables.of(request.path, request.model)
    error.details = {"method": request.method, "key": key, "nearest": nearest.as_json() if nearest else None}
    return error


def record_command(request: Request, variables: KeyVariables = OF_OPENAI) -> str:
    """The command that records what ``request`` misses."""
    if request.scope and _is_of_pytest(request.scope):
        return record_tests_command([request.scope], variables=[variables.of(request.path, request.model)])
    return _with_key(request, variables, "harness serve --mode record-if-missing")


def _with_key(request: Request, variables: KeyVariables, command: str) -> str:
    return " ".join([*assignments([variables.of(request.path, request.model)]), command])


def live_command(request: Request) -> str | None:
    """The command by which an MCP server is asked whatever the mode of the model is; None for any other request."""
    if mcp.named(request) is None:
        return None
    scope = request.scope
    if scope and _is_of_pytest(scope):
        return f"HARNESS_MCP_MODE=live pytest {_quoted(scope)}"
    return "harness serve --mcp-mode live"


def _is_of_pytest(scope: str | None) -> bool:
    return scope is not None and ".py" in scope


def record_tests_command(
    tests: Iterable[str],
    program: str = "pytest",
    carried: str = "",
    *,
    flags: Iterable[str] = ("",),
    variables: Iterable[str] = (DEFAULT_VARIABLE,),
) -> str:
    """The command that records what these tests miss, and nothing else.

    ``carried`` are arguments that the run had, as a shell takes them. ``flags`` are those by which the tests record: of
    another plugin, or an empty one for the harness's own mode. ``variables`` are those that their keys come from.
    """
    given = list(dict.fromkeys(flags))
    mode = ["HARNESS_MODE=record-if-missing"] if "" in given else []
    return " ".join([*mode, *assignments(variables), program, *filter(None, (*given, *map(_quoted, tests), carried))])


def _quoted(scope: str) -> str:
    return shlex.quote(scope) if re.search(r'["$`\\!]', scope) else f'"{scope}"'


def _alike(request: Request, entries: Sequence[Entry], upstreams: Sequence[str]) -> str:
    """How many recordings are of the same model, or of the same endpoint where there is none."""
    if request.model:
        return f"{_of_model(request.model, entries, upstreams)} for this model"
    endpoint = endpoint_of(request.path)
    return f"{sum(endpoint_of(entry.path) == endpoint for entry in entries)} for this endpoint"


def _unknown_model(request: Request, entries: Sequence[Entry], upstreams: Sequence[str]) -> list[str]:
    """A line for a model of which nothing is recorded, where something is: OGX's words, which its clients know."""
    if not entries or not request.model or _of_model(request.model, entries, upstreams):
        return []
    return [
        f"In these recordings: Model '{request.model}' not found. Use 'client.models.list()' to list available Models."
    ]


def _of_model(model: str, entries: Sequence[Entry], upstreams: Sequence[str]) -> int:
    asked = bare_model(model, upstreams)
    return sum(bare_model(entry.model, upstreams) == asked for entry in entries)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _shown(place: Place) -> tuple[str, str, str]:
    old, new = _text(place.old), _text(place.new)
    if isinstance(place.old, str) and isinstance(place.new, str):
        # Long texts are shown from where they part.
        pairs = enumerate(zip(place.old, place.new, strict=False))
        start = next((at for at, (one, other) in pairs if one != other), min(len(place.old), len(place.new)))
        if start > _SHOWN_TEXT // 2:
            old = _text("…" + place.old[start - 10 :])
            new = _text("…" + place.new[start - 10 :])
    return place.path, _cut(old), _cut(new)


def _text(value: Json) -> str:
    return repr(ABSENT) if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"
