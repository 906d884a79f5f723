"""Changing texts of a JSON value, also where a stream has cut them across its chunks.

What a stream spells out is read as one text, changed as one text and put back into the pieces that it was cut into: the
change goes where it begins, the rest of what was there is taken out of the pieces behind it. What nothing touches
stays as it is.
"""

import copy
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from harness.api.body import compact
from harness.recording.model import Json, Response


class Edit(NamedTuple):
    """Put ``text`` in place of ``start:end``."""

    start: int
    end: int
    text: str


Editor: TypeAlias = Callable[[str], Sequence[Edit]]
"""The edits of a text, in order, none reaching into the next."""

_SAID_AGAIN = frozenset({
    *("role", "id", "type", "name", "object", "format", "model", "system_fingerprint", "service_tier", "status"),
    *("finish_reason", "stop_reason", "item_id", "call_id", "event", "obfuscation", "provider", "top_logprobs"),
    "signature",
})  # fmt: skip
"""Strings of chunks that are said whole each time: put end to end they spell nothing."""

_DATA = "data:"
"""What a line of an event stream begins with that has data."""

_NUMBERS = ("index", "output_index", "content_index", "summary_index")
"""What tells the texts of one chunk apart from those of another; so does the type of an event."""

_ANSWERS = ("response", "message")
"""Where an event of a stream holds an answer that has such fields as well."""

_Path: TypeAlias = tuple[str | int, ...]


class _Piece(NamedTuple):
    """One string of a chunk: the number of the chunk, where in it, what it says."""

    chunk: int
    path: _Path
    text: str


def edited(value: Json, editor: Editor, but: Collection[str] = ()) -> Json:
    """``value`` with every string changed; the value itself, not a copy, when nothing is.

    ``but`` are fields of an answer that stay as they are: its own, not those of what it holds.
    """
    if isinstance(value, str):
        return applied(value, editor)
    if isinstance(value, list):
        items = [edited(item, editor) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        pairs = {
            applied(name, editor): item if name in but else edited(item, editor, but if name in _ANSWERS else ())
            for name, item in value.items()
        }
        same = all(new is old for new, old in zip(pairs.values(), value.values(), strict=False))
        return value if same and list(pairs) == list(value) else pairs
    return value


def applied(text: str, editor: Editor) -> str:
    """``text`` after its edits."""
    edits = editor(text)
    return _spread([text], edits)[0] if edits else text


def edited_stream(chunks: list[Json], editor: Editor, but: Collection[str] = ()) -> list[Json]:
    """The chunks of a stream with every text changed, whole or in pieces; the list itself when nothing is.

    Chunks are JSON objects, or the lines of an event stream as text (``data: {…}``).
    """
    values = [_decoded(chunk) for chunk in chunks]
    changed: list[Json] = list(values)
    copied: set[int] = set()
    for pieces in _texts(values):
        before = [piece.text for piece in pieces]
        for piece, was, now in zip(pieces, before, _spread(before, editor("".join(before))), strict=True):
            if was != now:
                if piece.chunk not in copied:
                    copied.add(piece.chunk)
                    changed[piece.chunk] = copy.deepcopy(values[piece.chunk])
                _put(changed[piece.chunk], piece.path, now)
    done = [edited(value, editor, but) for value in changed]
    if all(new is old for new, old in zip(done, values, strict=True)):
        return chunks
    rows = zip(chunks, values, done, strict=True)
    return [chunk if new is old else _encoded(chunk, new) for chunk, old, new in rows]


def edited_response(response: Response, editor: Editor, but: Collection[str] = ()) -> Json:
    """The body of a response with every text changed."""
    if response.is_streaming and isinstance(response.body, list):
        return edited_stream(response.body, editor, but)
    return edited(response.body, editor, but)


def in_chunks(body: Json, change: Callable[[Json], Json]) -> Json:
    """``body`` changed as JSON, the lines of an event stream in it as well; ``body`` itself when nothing changes."""
    if not isinstance(body, list):
        return change(body)
    values = [_decoded(chunk) for chunk in body]
    done = [change(value) for value in values]
    rows = zip(body, values, done, strict=True)
    changed = [chunk if new is old else _encoded(chunk, new) for chunk, old, new in rows]
    return changed if any(new is not old for new, old in zip(changed, body, strict=True)) else body


def spelled_out(chunks: list[Json]) -> Iterator[str]:
    """The texts that a stream spells out in pieces."""
    for pieces in _texts([_decoded(chunk) for chunk in chunks]):
        yield "".join(piece.text for piece in pieces)


def _texts(values: list[Json]) -> list[list[_Piece]]:
    texts: dict[object, list[_Piece]] = {}
    for number, value in enumerate(values):
        # A line of text that is no data is no piece of anything.
        if not isinstance(value, str):
            for track, path, text in _strings(value, (), ()):
                texts.setdefault(track, []).append(_Piece(number, path, text))
    return [pieces for pieces in texts.values() if len(pieces) > 1]


def _strings(value: Json, track: tuple[Json, ...], path: _Path) -> Iterator[tuple[object, _Path, str]]:
    """The strings of a chunk that may go on in the next: the track on which they do, where they are, what they say."""
    if isinstance(value, str):
        yield track, path, value
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _strings(item, track, (*path, position))
    elif isinstance(value, dict):
        names = _NUMBERS if path else (*_NUMBERS, "type")
        marks = tuple((name, value[name]) for name in names if isinstance(value.get(name), str | int))
        for name, item in value.items():
            if name not in _SAID_AGAIN:
                yield from _strings(item, (*track, marks, name), (*path, name))


def _spread(pieces: list[str], edits: Sequence[Edit]) -> list[str]:
    """The pieces of a text after edits of the whole."""
    changed, start = [], 0
    for piece in pieces:
        end, kept, at = start + len(piece), "", start
        for edit in edits:
            if edit.start < end and edit.end > start:
                kept += piece[at - start : max(edit.start, start) - start]
                kept += edit.text if edit.start >= start else ""
                at = min(edit.end, end)
        changed.append(kept + piece[at - start :])
        start = end
    return changed


def _put(value: Json, path: _Path, text: str) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = text


def _decoded(chunk: Json) -> Json:
    """A chunk as JSON; a line of an event stream whose data is a text as an object with that text."""
    if not isinstance(chunk, str) or not chunk.startswith(_DATA):
        return chunk
    text = chunk.removeprefix(_DATA).removeprefix(" ")
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict | list) else {_DATA: text}


def _encoded(chunk: Json, value: Json) -> Json:
    if not isinstance(chunk, str) or isinstance(value, str):
        return value
    is_text = isinstance(value, dict) and list(value) == [_DATA]
    return f"{_DATA} {value[_DATA] if is_text else compact(value)}"
