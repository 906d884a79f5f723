"""Taking secrets out of what is saved.

The key is computed after redaction, on both sides, so redacting is a function of the text and of what is configured,
and leaves ordinary text untouched. Redacting twice is redacting once.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias
from urllib.parse import quote

from harness.recording.model import Exchange, Json, Request
from harness.recording.pieces import Edit, Editor, edited, edited_stream, in_chunks
from harness.recording.secret_patterns import FIELDS, HEADERS, PATTERNS, SecretPattern, field_patterns

PLACEHOLDER = "[redacted]"

_SHORTEST = 8
"""Shorter texts are no secrets, whatever they are called; shorter known ones would be found everywhere."""

_SHORTEST_SHAPE = 6
"""No built-in shape, and no known secret, is found in a shorter text."""

_HIDDEN = re.compile(re.escape(PLACEHOLDER))
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{40,}\r?\n)+[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9+/_-]{24,}={0,2}")
_READABLE = re.compile(rb"[ -~]{6}")
"""What is in any secret of a built-in shape, and in hardly anything that was no text before it was encoded."""
_PERCENT = re.compile(r"[^\s\"'<>]*%[0-9A-Fa-f]{2}[^\s\"'<>]*")
_PERCENT_BYTE = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_DEEPEST = 2
"""How often one encoding may stand inside another."""
_LONGEST_SHIFTED = 4096
"""Longer runs of base64 are files, and begin where they begin; before shorter ones a word may stand."""

_Span: TypeAlias = tuple[int, int, str]
"""Where a secret begins and ends, and what kind it is."""


@dataclass(frozen=True)
class Redactor:
    """Knows what is secret: the built-in shapes, and what ``[tool.harness.redact]`` adds.

    ``patterns`` are shapes of the user's, ``fields`` names of JSON fields, query parameters or headers whose values are
    secrets (in lower case), ``values`` secrets that are known by their values. Record and replay share one instance.
    """

    patterns: tuple[SecretPattern, ...] = ()
    fields: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()

    def redact(self, value: Json, known: Iterable[str] = ()) -> Json:
        """``value`` with every secret in it replaced by ``[redacted]``.

        ``known`` are secrets that are at hand (the upstream's key), whatever they look like. A value without secrets
        comes back as it is, not copied.
        """
        editor = self._editor(known)
        return _settled(value, lambda old: _forget_tokens(old, edited(self._without_fields(old, editor), editor)))

    def stream(self, chunks: list[Json], known: Iterable[str] = ()) -> list[Json]:
        """The chunks of a stream without secrets, those included that it spells out piece by piece."""
        editor = self._editor(known)

        def once(body: Json) -> Json:
            named = in_chunks(body, lambda value: self._without_fields(value, editor))
            return _forget_tokens(body, edited_stream(named, editor))

        settled: list[Json] = _settled(chunks, once)
        return settled

    def request(self, request: Request, known: Iterable[str] = ()) -> Request:
        """A request as it may be written down: what its key and its fingerprint are computed over."""
        parts = [request.path, request.query, request.scope, request.body]
        path, query, scope, body = self.redact(parts, known)
        return replace(request, path=path, query=query, scope=scope, body=body)

    def exchange(self, exchange: Exchange, known: Iterable[str] = ()) -> Exchange:
        """An exchange as it may be written down."""
        known, response = tuple(known), exchange.response
        clean = self.stream if response.is_streaming and isinstance(response.body, list) else self.redact
        return replace(
            exchange,
            request=self.request(exchange.request, known),
            response=replace(
                response, body=clean(response.body, known), headers=self.redact(dict(response.headers), known)
            ),
            provider=self.redact(exchange.provider, known),
            metadata=self.redact(exchange.metadata, known),
            ids=self.redact(dict(exchange.ids), known),
        )

    def secrets(self, text: str) -> list[str]:
        """The kinds of secrets that a text holds, each once."""
        return list(dict.fromkeys(kind for _, _, kind in self._spans(text, (), _DEEPEST)))

    def _editor(self, known: Iterable[str]) -> Editor:
        texts = _spellings([*known, *self.values])

        def edits(text: str) -> list[Edit]:
            return _all_edits(text, lambda current: self._spans(current, texts, _DEEPEST))

        return edits

    def _spans(self, text: str, known: tuple[str, ...], depth: int) -> list[_Span]:
        """Every secret in a text outside of what is redacted already; some may overlap."""
        if len(text) < _SHORTEST_SHAPE and not self.patterns and not self.fields:
            return []
        found = [*self._plain(text, known)]
        if depth:
            found += self._in_percent(text, known, depth)
            found += self._in_base64(text, known, depth)
        return found

    def _plain(self, text: str, known: tuple[str, ...]) -> Iterator[_Span]:
        folded = text.lower()
        hinted = [shape for hint, shape in self._hints if hint in folded]
        shapes = [*self._unhinted, *dict.fromkeys(hinted)]
        shown = _shown(text) if shapes or known else ()
        for secret in known:
            for start, end in shown if secret in text else ():
                at = text.find(secret, start, end)
                while at >= 0:
                    yield at, at + len(secret), "known secret"
                    at = text.find(secret, at + len(secret), end)
        for shape in shapes:
            group = "secret" if "secret" in shape.expression.groupindex else 0
            for start, end in shown:
                for match in shape.expression.finditer(text, start, end):
                    if match[group]:
                        yield *match.span(group), shape.name

    def _in_percent(self, text: str, known: tuple[str, ...], depth: int) -> Iterator[_Span]:
        """Secrets that come out when ``%2D`` is a dash."""
        for run in _PERCENT.finditer(text) if "%" in text else ():
            cells = list(_PERCENT_BYTE.finditer(run[0]))
            plain = "".join(chr(int(cell[0][1:], 16)) if len(cell[0]) == 3 else cell[0] for cell in cells)
            for start, end, kind in self._spans(plain, known, depth - 1):
                first, last = run.start() + cells[start].start(), run.start() + cells[end - 1].end()
                if not _HIDDEN.search(text, first, last):
                    yield first, last, kind

    def _in_base64(self, text: str, known: tuple[str, ...], depth: int) -> Iterator[_Span]:
        """Runs of base64 that hold a secret, as a whole: what is cut out of them could not be put back in place."""
        for run in _BASE64.finditer(text):
            for data in _decodings(run[0]):
                if not self.patterns and not self.fields and not _READABLE.search(data):
                    continue
                inner = self._spans(data.decode("latin-1"), known, depth - 1)
                if inner:
                    yield run.start(), run.end(), f"{inner[0][2]}, in base64"
                    break

    def _without_fields(self, value: Json, editor: Editor) -> Json:
        """``value`` without the values of fields that are secret by their names, and without those in binary bodies."""
        if isinstance(value, list):
            items = [self._without_fields(item, editor) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if not isinstance(value, dict):
            return value
        pairs = {name: self._field(name, item, editor) for name, item in value.items()}
        return pairs if any(new is not value[name] for name, new in pairs.items()) else value

    def _field(self, name: str, value: Json, editor: Editor) -> Json:
        folded = name.lower()
        if name == "__binary__" and isinstance(value, dict) and isinstance(value.get("base64"), str):
            return _binary(value, editor)
        if folded in self.fields:
            return _hidden(value)
        if folded in FIELDS and isinstance(value, str) and len(value) >= _SHORTEST and value != PLACEHOLDER:
            token = re.fullmatch(r"(?=\S*\d)\S+", value) is not None
            return PLACEHOLDER if folded in HEADERS or token else value
        return self._without_fields(value, editor)

    @cached_property
    def _hints(self) -> list[tuple[str, SecretPattern]]:
        shapes = (*PATTERNS, *_FIELDS_IN_TEXT, *field_patterns(self.fields, 1))
        return [(hint, shape) for shape in shapes for hint in shape.hints]

    @cached_property
    def _unhinted(self) -> list[SecretPattern]:
        return [shape for shape in self.patterns if not shape.hints]


_FIELDS_IN_TEXT = tuple(field_patterns(FIELDS - {"cookie", "set-cookie"}, _SHORTEST, with_digit=True))

BUILT_IN = Redactor()
"""What is secret where nothing is configured."""


def redact(value: Json, known: Iterable[str] = ()) -> Json:
    """``value`` without secrets of the built-in shapes and without ``known`` ones."""
    return BUILT_IN.redact(value, known)


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """What a request's own headers give away: keys and tokens, without the word before them; names in lower case."""
    values = [value.strip() for name, value in headers.items() if name in HEADERS]
    return [secret for value in values for secret in (value, value.partition(" ")[2].strip()) if secret]


def _settled(value: Json, once: Callable[[Json], Json]) -> Json:
    """``value`` after ``once``, again and again until nothing changes: what is taken out may bring together a rest."""
    while (changed := once(value)) is not value:
        value = changed
    return value


def _spellings(known: Iterable[str]) -> tuple[str, ...]:
    """Known secrets as they may be spelled in a text; the longest first, for one may be part of another."""
    texts = {secret for secret in known if len(secret) >= _SHORTEST and secret not in PLACEHOLDER}
    texts |= {quote(secret, safe="") for secret in texts} | {json.dumps(secret)[1:-1] for secret in texts}
    texts |= {secret.replace("/", "\\/") for secret in texts}
    return tuple(sorted(texts, key=lambda secret: (-len(secret), secret)))


def _shown(text: str) -> list[tuple[int, int]]:
    """The parts of a text between what is redacted already."""
    starts, ends = [0], []
    for hidden in _HIDDEN.finditer(text):
        ends.append(hidden.start())
        starts.append(hidden.end())
    return [(start, end) for start, end in zip(starts, [*ends, len(text)], strict=True) if start < end]


def _all_edits(text: str, spans: Callable[[str], list[_Span]]) -> list[Edit]:
    """The edits that take every secret out of a text, those included that show only when others are gone."""
    edits: list[Edit] = []
    while True:
        current, kept = _after(text, edits)
        found = [Edit(_back(start, kept), _back(end - 1, kept) + 1, PLACEHOLDER) for start, end, _ in spans(current)]
        if not found:
            return edits
        edits = _merged([*edits, *found])


def _after(text: str, edits: list[Edit]) -> tuple[str, list[tuple[int, int]]]:
    """A text after edits, and for each part that stayed where it begins in the new text and where in the old one."""
    made, kept, at = "", [], 0
    for edit in [*edits, Edit(len(text), len(text), "")]:
        kept.append((len(made), at))
        made += text[at : edit.start] + edit.text
        at = edit.end
    return made, kept


def _back(position: int, kept: list[tuple[int, int]]) -> int:
    new, old = max(part for part in kept if part[0] <= position)
    return old + position - new


def _merged(edits: list[Edit]) -> list[Edit]:
    """Edits in order, those that overlap made one."""
    merged: list[Edit] = []
    for edit in sorted(edits):
        if merged and edit.start < merged[-1].end:
            merged[-1] = Edit(merged[-1].start, max(merged[-1].end, edit.end), PLACEHOLDER)
        else:
            merged.append(edit)
    return merged


def _decodings(run: str) -> Iterator[bytes]:
    """What a run of base64 may say, wherever in it the encoded part begins."""
    letters = re.sub(r"[\r\n=]", "", run).replace("-", "+").replace("_", "/")
    for shift in range(4) if len(letters) <= _LONGEST_SHIFTED else (0,):
        part = letters[shift:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            yield base64.b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue


def _binary(value: dict[str, Json], editor: Editor) -> Json:
    """A binary body whose bytes have no secret; what is not base64 at all stays for the other rules."""
    try:
        data = base64.b64decode(value["base64"], validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return value
    clean = edited(data, editor)
    return value if clean is data else {**value, "base64": base64.b64encode(clean.encode("latin-1")).decode()}


def _hidden(value: Json) -> Json:
    """A field's value by a name of the user's: scalars go, in lists too; an object is more than a value."""
    if isinstance(value, list):
        items = [_hidden(item) for item in value]
        return items if items != value else value
    if value is None or isinstance(value, bool | dict) or value in ("", PLACEHOLDER):
        return value
    return PLACEHOLDER


def _forget_tokens(old: Json, new: Json) -> Json:
    """``new`` without the log probabilities of texts that changed: their tokens spell out what was there."""
    if new == old:
        return old
    if isinstance(new, list) and isinstance(old, list):
        return [_forget_tokens(was, now) for was, now in zip(old, new, strict=True)]
    if isinstance(new, dict) and isinstance(old, dict):
        kept = {name: _forget_tokens(old.get(name), value) for name, value in new.items()}
        return {**kept, "logprobs": None} if kept.get("logprobs") else kept
    return new
