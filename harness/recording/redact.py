"""Taking secrets out of what is saved.

The key is computed after redaction, on both sides, so redacting is a function of the text and of what is configured,
and leaves ordinary text untouched. Redacting twice is redacting once.
"""

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias
from urllib.parse import quote

from harness.recording.bodies import BINARY
from harness.recording.encoded import in_base64, unescaped, with_texts
from harness.recording.model import MULTIPART, Exchange, Json, Request
from harness.recording.pieces import Edit, Editor, applied, edited, edited_stream, in_chunks
from harness.recording.secret_patterns import HEADERS, PATTERNS, SecretPattern, field_patterns, is_secret_field

PLACEHOLDER = "[redacted]"

_SHORTEST = 8
"""Shorter texts are no secrets, whatever they are called; shorter known ones would be found everywhere."""

_SHORTEST_SHAPE = 6
"""No built-in shape, and no known secret, is found in a shorter text."""

_HIDDEN = re.compile(re.escape(PLACEHOLDER))
_DEEPEST = 2
"""How often one encoding may stand inside another."""

_WORD, _MOST_WORDS = 256, 4096
"""How long a text is that may come again and again (a name, a test's node id), and how many of them are remembered."""

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
        texts = _spellings((*known, *self.values))
        if self._is_clean(value, texts):
            return value
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
        # Step by step: a path with all of its slashes may be taken for base64.
        parts = [request.path.split("/"), request.query, request.scope, request.body]
        clean = self.redact(parts, known)
        if clean is parts:
            return request
        steps, query, scope, body = clean
        return replace(request, path="/".join(steps), query=query, scope=scope, body=body)

    def exchange(self, exchange: Exchange, known: Iterable[str] = ()) -> Exchange:
        """An exchange as it may be written down."""
        known = tuple(known)
        return self.answered(replace(exchange, request=self.request(exchange.request, known)), known)

    def answered(self, exchange: Exchange, known: Iterable[str] = ()) -> Exchange:
        """The same for one whose request has no secrets (any more)."""
        known, response = tuple(known), exchange.response
        clean = self.stream if response.is_streaming and isinstance(response.body, list) else self.redact
        return replace(
            exchange,
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
        texts = _spellings((*known, *self.values))

        def edits(text: str) -> list[Edit]:
            return _all_edits(text, lambda current: self._spans(current, texts, _DEEPEST))

        return edits

    def _spans(self, text: str, known: tuple[str, ...], depth: int) -> list[_Span]:
        """Every secret in a text outside of what is redacted already; some may overlap."""
        if len(text) < _SHORTEST_SHAPE and not self.patterns and not self.fields:
            return []
        if text in self._innocent and not (known and any(secret in text for secret in known)):
            return []
        found = [*self._plain(text, known)]
        if depth:
            found += self._in_percent(text, known, depth)
            found += self._in_base64(text, known, depth)
        if not found and depth == _DEEPEST and len(text) <= _WORD and len(self._innocent) < _MOST_WORDS:
            self._innocent.add(text)
        return found

    def _is_clean(self, value: Json, known: tuple[str, ...]) -> bool:
        """Whether nothing in a value can be a secret, by its name or its text: quickly said, and true of most."""
        innocent, names, rest = self._innocent, self._plain_names, [value]
        while rest:
            item = rest.pop()
            if isinstance(item, dict):
                if not all(name in names or self._is_plain_name(name) for name in item):
                    return False
                rest += [*item, *item.values()]
            elif isinstance(item, list):
                rest += item
            elif isinstance(item, str) and (known or item not in innocent) and self._spans(item, known, _DEEPEST):
                return False
        return True

    def _is_plain_name(self, name: str) -> bool:
        """Whether the value of a field is to be read as any other."""
        is_plain = not (name.lower() in self.fields or is_secret_field(name) or name in (BINARY, MULTIPART))
        if is_plain and len(name) <= _WORD and len(self._plain_names) < _MOST_WORDS:
            self._plain_names.add(name)
        return is_plain

    @cached_property
    def _plain_names(self) -> set[str]:
        """Names of fields that are plain ones, for the same reason as ``_innocent``."""
        return set()

    def _plain(self, text: str, known: tuple[str, ...]) -> Iterator[_Span]:
        shapes = [*self._unhinted, *self._hinted(text)]
        shown = _shown(text) if shapes or known else ()
        for secret in known:
            for start, end in shown if secret in text else ():
                at = text.find(secret, start, end)
                while at >= 0:
                    yield at, at + len(secret), "known secret"
                    at = text.find(secret, at + len(secret), end)
        for shape in shapes:
            for start, end in shown:
                yield from ((*span, shape.name) for span in shape.spans(text, start, end))

    def _hinted(self, text: str) -> list[SecretPattern]:
        """The shapes that may be in a text, each once."""
        folded = text.lower()
        found = [
            shape
            for sign, hints in self._hints.items()
            if sign in text
            for hint, shape in hints
            if hint in (folded if shape.ignores_case else text)
        ]
        return list(dict.fromkeys(found))

    def _in_percent(self, text: str, known: tuple[str, ...], depth: int) -> Iterator[_Span]:
        """Secrets that come out when ``%2D`` is a dash."""
        for run in unescaped(text):
            for start, end, kind in self._spans(run.text, known, depth - 1):
                first, last = run.at(start), run.at(end)
                if not _HIDDEN.search(text, first, last):
                    yield first, last, kind

    def _in_base64(self, text: str, known: tuple[str, ...], depth: int) -> Iterator[_Span]:
        """Runs of base64 that hold a secret, as a whole: what is cut out of them could not be put back in place."""
        for start, end, texts in in_base64(text):
            kinds = (kind for said in texts for _, _, kind in self._spans(said, known, depth - 1))
            kind = next(kinds, None)
            if kind is not None:
                yield start, end, f"{kind}, in base64"

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
        if name == BINARY and isinstance(value, dict) and isinstance(value.get("base64"), str):
            return _binary(value, editor)
        if name == MULTIPART and isinstance(value, list):
            parts = [self._part(part, editor) for part in value]
            return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
        if name.lower() in self.fields:
            return _hidden(value)
        if isinstance(value, str) and is_secret_field(name):
            return PLACEHOLDER if _looks_secret(name.lower(), value) else value
        return self._without_fields(value, editor)

    def _part(self, part: Json, editor: Editor) -> Json:
        """A part of a form: its name and its value stand beside each other."""
        if not isinstance(part, dict) or not isinstance(part.get("name"), str) or "value" not in part:
            return part
        value = self._field(part["name"], part["value"], editor)
        return part if value is part["value"] else {**part, "value": value}

    @cached_property
    def _innocent(self) -> set[str]:
        """Short texts that hold no secret of any shape: names of fields, roles and types come each time."""
        return set()

    @cached_property
    def _hints(self) -> dict[str, list[tuple[str, SecretPattern]]]:
        """The hints by a sign in them that not every text has: it is looked for once for all of them."""
        hints: defaultdict[str, list[tuple[str, SecretPattern]]] = defaultdict(list)
        for shape in (*PATTERNS, *field_patterns(self.fields)):
            for hint in shape.hints:
                hints[_sign(hint)].append((hint, shape))
        return dict(hints)

    @cached_property
    def _unhinted(self) -> list[SecretPattern]:
        return [shape for shape in self.patterns if not shape.hints]


BUILT_IN = Redactor()
"""What is secret where nothing is configured."""


def redact(value: Json, known: Iterable[str] = ()) -> Json:
    """``value`` without secrets of the built-in shapes and without ``known`` ones."""
    return BUILT_IN.redact(value, known)


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """What a request's own headers give away: keys and tokens, without the word before them; names in lower case."""
    values = [value.strip() for name, value in headers.items() if name in HEADERS]
    return [secret for value in values if (secret := value.rpartition(" ")[2])]


def _sign(hint: str) -> str:
    """What is in a hint, whatever its case, and not in every text; an empty text is in all of them."""
    return next((sign for sign in "_-=:." if sign in hint), "")


def _settled(value: Json, once: Callable[[Json], Json]) -> Json:
    """``value`` after ``once``, again and again until nothing changes: what is taken out may bring together a rest."""
    while (changed := once(value)) is not value:
        value = changed
    return value


@lru_cache(maxsize=16)
def _spellings(known: tuple[str, ...]) -> tuple[str, ...]:
    """Known secrets as they may be spelled in a text; the longest first, for one may be part of another."""
    texts = {secret for secret in known if len(secret) >= _SHORTEST and secret not in PLACEHOLDER}
    # Bytes of a header that are not UTF-8 arrive as lone surrogates.
    texts |= {quote(secret, safe="", errors="surrogateescape") for secret in texts}
    texts |= {json.dumps(secret)[1:-1] for secret in texts}
    texts |= {secret.replace("/", "\\/") for secret in texts}
    texts |= {secret.encode(errors="surrogateescape").hex() for secret in texts}
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
    found = spans(text)
    while found:
        _, *parts = _after(text, edits)
        more = [Edit(_back(start, *parts), _back(end - 1, *parts) + 1, PLACEHOLDER) for start, end, _ in found]
        edits = _merged([*edits, *more])
        found = spans(_after(text, edits)[0])
    return edits


def _after(text: str, edits: list[Edit]) -> tuple[str, list[int], list[int]]:
    """A text after edits, and of each part that stayed where it begins, in the new text and in the old one."""
    made, news, olds, at, length = [], [], [], 0, 0
    for edit in [*edits, Edit(len(text), len(text), "")]:
        news.append(length)
        olds.append(at)
        made += [text[at : edit.start], edit.text]
        length += edit.start - at + len(edit.text)
        at = edit.end
    return "".join(made), news, olds


def _back(position: int, news: list[int], olds: list[int]) -> int:
    part = bisect_right(news, position) - 1
    return olds[part] + position - news[part]


def _merged(edits: list[Edit]) -> list[Edit]:
    """Edits in order, those that overlap made one."""
    merged: list[Edit] = []
    for edit in sorted(edits):
        if merged and edit.start < merged[-1].end:
            merged[-1] = Edit(merged[-1].start, max(merged[-1].end, edit.end), PLACEHOLDER)
        else:
            merged.append(edit)
    return merged


def _binary(value: dict[str, Json], editor: Editor) -> Json:
    """A binary body whose bytes have no secret; what is not base64 at all stays for the other rules."""
    try:
        data = base64.b64decode(value["base64"], validate=True)
    except (binascii.Error, ValueError):
        return value
    clean = with_texts(data, lambda text: applied(text, editor))
    return value if clean is data else {**value, "base64": base64.b64encode(clean).decode()}


def _looks_secret(name: str, value: str) -> bool:
    """Whether a field of this name (in lower case) holds a secret, and not a word or a sentence."""
    if len(value) < _SHORTEST or value == PLACEHOLDER:
        return False
    if name not in HEADERS:
        return re.fullmatch(r"(?=\S*\d)\S+", value) is not None
    return "=" in value or ("cookie" not in name and len(value.split()) <= 2)


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
    if new is old or new == old:
        return old
    if isinstance(new, list) and isinstance(old, list):
        return [_forget_tokens(was, now) for was, now in zip(old, new, strict=True)]
    if isinstance(new, dict) and isinstance(old, dict):
        kept = {name: _forget_tokens(old.get(name), value) for name, value in new.items()}
        return {**kept, "logprobs": None} if kept.get("logprobs") else kept
    return new
