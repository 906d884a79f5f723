"""Ids that an upstream makes: where they stand, what they are called instead, and the way there and back.

An upstream that keeps things (responses, conversations, files) names them at random. A client that quotes such a name
would ask something else in every run, so each gets a *normalized* id before the client reads it: one that follows from
the key of the exchange that brought it. A key has its scope in it, so ids of two scopes are never the same, and they do
not depend on what else is asked meanwhile. From an id the recording that gave it can be found.

An id is made by the upstream where the name of its field says that it is one, and it looks like one or is that of an
object which an upstream keeps. Known ids are replaced in every string but in *texts*: what a model reads and says is
content, cut anywhere by a stream, and stays as it is in both directions. So does whatever a client says that was not
given to it.
"""

import re
from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from harness.recording.bodies import BINARY, TEXT
from harness.recording.model import Json

Lookup: TypeAlias = Callable[[str], str | None]
"""What an id is called on the other side; None for what is not known there."""

COMPLETION, CALL, UUID, BARE = "rec-", "call_", "uuid", ""
"""Kinds of ids: as a rule what they begin with, its hyphen or underscore included."""

_TEXTS = frozenset({
    *("text", "content", "arguments", "delta", "input", "output", "refusal", "instructions", "summary", "code", "logs"),
    *("transcript", "reasoning", "reasoning_content", "thinking", "output_text", "prompt", "query", "queries"),
    *("partial_json", "description", "encrypted_content", "signature", "thought_signature", TEXT, BINARY),
})  # fmt: skip
"""Fields whose strings are said to a model, by it, or beside it; objects there are looked into."""

_OPAQUE = frozenset({"metadata", "attributes", "parameters", "schema", "input_schema", "logprobs", "embedding"})
"""Where whatever looks like an id was put by the client, or is none."""

_ID_NAME = re.compile(r"(?:.*_)?ids?|.*[a-z]Ids?")
_MORE_NAMES = frozenset({"conversation", "training_file", "validation_file", "result_files"})
_CURSORS = frozenset({"next_page", "next_cursor", "next_page_token", "nextPageToken"})
_ITEM = re.compile(r"message|reasoning|.*_(?:call|output|request|response|tools|use|result)")
"""Types of the items of a conversation, and of the blocks of a message that have ids."""

_NAMED, _KEPT = "(named)", "(kept)"
"""Places of ids: in an object that somebody named, in one that an upstream keeps."""

_CLIENTS_NAMES = frozenset({"custom_id", "model_id", "user_id", "client_id", "provider_id", "tenant_id"})
"""Ids that nobody makes at random."""

_NAMES_OF = frozenset({"model", "engine", "deployment"})
"""Kinds of objects whose ids are names."""

_PREFIXES = (
    *("response", "conversation", "message", "reasoning", "function_call", "completion", "assistant"),
    *("resp", "conv", "msg", "item", "rs", "fc", "fco", "call", "ws", "fs", "ci", "ig", "cu", "sh", "cmp", "ctc"),
    *("cto", "mcp", "mcpl", "mcpr", "mcpa", "file", "vs", "vsf", "vsfb", "batch", "batch_req", "ftjob", "ftevent"),
    *("ftckpt", "chatcmpl", "cmpl", "modr", "run", "step", "thread", "asst", "cntr", "cfile", "upload", "part", "eval"),
    *("evalrun", "outputitem", "req", "sess", "event", "embd", "gen", "toolu", "srvtoolu", "msgbatch", "video"),
)  # fmt: skip
_KNOWN_PREFIX = re.compile(rf"(?:{'|'.join(sorted(_PREFIXES, key=len, reverse=True))})[-_]")
_ANY_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}[-_]")
_SHORT_HEX = re.compile(r"(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}")
_LONG_RUN = re.compile(r"(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{16,}")
_UUID_SHAPE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNLIKE_WORDS = re.compile(rf"{_UUID_SHAPE.pattern}|{_SHORT_HEX.pattern}")
_LONG_ENOUGH = 12
"""From this length on what stands behind a known prefix is no word, digits or not."""

_WORD = re.compile(r"%[0-9A-Fa-f]{2}|[A-Za-z0-9_-]+")
"""A word of a string or a URL: no part of a longer one, and what is percent-encoded is none."""
_LONGEST = 4096
"""Longer strings are documents and encoded files: content, whatever their field is called."""

_KEY_DIGITS, _SHORT_KEY = 16, 12
_MADE = re.compile(
    rf"rec-(?P<short>[0-9a-f]{{{_SHORT_KEY}}})(?:-\d+)?"
    r"|(?:[A-Za-z][A-Za-z0-9_-]*[-_])?(?P<key>[0-9a-f]{16})[0-9a-f]{8}"
    r"|(?P<a>[0-9a-f]{8})-(?P<b>[0-9a-f]{4})-4(?P<c>[0-9a-f]{3})-8(?P<d>[0-9a-f])[0-9a-f]{2}-[0-9a-f]{6}0{6}"
)


def made_id(kind: str, key: str, answer: int, number: int) -> str:
    """The normalized id that is the ``number``-th of its kind in the ``answer``-th answer to ``key``, both from 1."""
    if kind == COMPLETION:
        # There is one in each answer.
        return completion_id(key) if answer == 1 else f"{completion_id(key)}-{answer}"
    digits = f"{key[:_KEY_DIGITS]}{answer:04x}{number:04x}"
    if kind == UUID:
        return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-8{digits[15:18]}-{digits[18:]}000000"
    return kind + digits


def completion_id(key: str) -> str:
    """The normalized id of a completion: ``rec-`` and the key's first twelve digits."""
    return f"{COMPLETION}{key[:_SHORT_KEY]}"


def key_beginning(text: str) -> str | None:
    """The first digits of the key whose recording gave ``text``, if it is an id that was made here; else None."""
    found = _MADE.fullmatch(text)
    if found is None:
        return None
    return found["short"] or found["key"] or found["a"] + found["b"] + found["c"] + found["d"]


def is_brought_by(text: str, name: str) -> bool:
    """Whether a normalized id says that the recording ``name`` brought it."""
    beginning = key_beginning(text)
    return bool(beginning) and name.rpartition("/")[2].startswith(beginning or "-")


def kind_of(text: str) -> str | None:
    """The kind of an id that some upstream made; None for what does not look like one."""
    if _UUID_SHAPE.fullmatch(text):
        return UUID
    if not _WORD.fullmatch(text) or text.startswith("%"):
        return None
    known = _KNOWN_PREFIX.match(text)
    if known:
        rest = text[known.end() :]
        return known[0] if len(rest) >= _LONG_ENOUGH or any(map(str.isdigit, rest)) else None
    other = _ANY_PREFIX.match(text)
    if other and (_LONG_RUN.search(text, other.end()) or _UNLIKE_WORDS.fullmatch(text, other.end())):
        return other[0]
    return BARE if _LONG_RUN.fullmatch(text) else None


class Given(NamedTuple):
    """An id in an answer: the name of its field, the id, its kind."""

    name: str
    id: str
    kind: str


def given(value: Json, name: str = "", place: str = "") -> Iterator[Given]:
    """The ids in an answer that its upstream made, in order, as often as they stand there.

    ``name`` is that of the field whose value this is, ``place`` says what has that field (``_place``).
    """
    if isinstance(value, str):
        kind = _kind_at(name, place, value)
        if kind is not None:
            yield Given(name, value, kind)
    elif isinstance(value, list):
        for item in value:
            yield from given(item, name, place)
    elif isinstance(value, dict):
        inside = _place(value, name)
        for field, item in value.items():
            if field not in _OPAQUE:
                yield from given(item, field, inside)


def _place(value: dict[str, Json], name: str) -> str:
    """What bears on the id of an object: the field that it is in, or the kind of object that it says to be."""
    kind = value.get("object", value.get("type"))
    if name == "tool_calls" or not isinstance(kind, str):
        return name
    if kind in _NAMES_OF:
        return _NAMED
    return _KEPT if "object" in value or _ITEM.fullmatch(kind) else name


def _says_id(name: str) -> bool:
    return name in _MORE_NAMES or name in _CURSORS or (bool(_ID_NAME.fullmatch(name)) and name not in _CLIENTS_NAMES)


def _kind_at(name: str, place: str, text: str) -> str | None:
    if not text or not _says_id(name) or (name == "id" and place == _NAMED):
        return None
    if name in ("call_id", "tool_call_id") or (name == "id" and place == "tool_calls"):
        # Models make these up, in any shape.
        return CALL
    if name in _CURSORS:
        return None if "/" in text else "cursor_"
    kind = kind_of(text)
    if kind is None and name == "id" and place == _KEPT and re.search(r"\d", text):
        # Any server may have a way of its own to name what it keeps.
        other = _ANY_PREFIX.match(text)
        return other[0] if other else BARE
    return kind


def replaced(value: Json, words: Lookup, whole: Lookup, name: str = "") -> Json:
    """``value`` with every known id replaced, outside of texts; the value itself, not a copy, when there is none.

    Where the name of a field says that its value is an id, that is looked up as a ``whole``; inside of other strings (a
    URL, the message of an error) ``words`` are.
    """
    if isinstance(value, str):
        if name in _TEXTS or len(value) > _LONGEST:
            return value
        return (whole(value) if _says_id(name) else None) or replaced_words(value, words)
    if isinstance(value, list):
        items = [replaced(item, words, whole, name) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        fields = {field: replaced(item, words, whole, field) for field, item in value.items()}
        return fields if any(new is not value[field] for field, new in fields.items()) else value
    return value


def turned_back(value: Json, lookup: Lookup) -> Json:
    """A request's body with the upstream's ids; the value itself, not a copy, when nothing in it is known."""

    def word(text: str) -> str | None:
        # What could not be told from any word on its way back stays as the client says it.
        found = lookup(text)
        return found if found is not None and kind_of(found) is not None else None

    return replaced(value, word, lookup)


def turned_back_in_url(text: str, lookup: Lookup) -> str:
    """A path or a query, as it stands in a URL, with the upstream's ids, percent-encoded where they must be."""

    def encoded(word: str) -> str | None:
        found = lookup(word)
        return None if found is None else quote(found, safe="")

    return replaced_words(text, encoded)


def replaced_words(text: str, lookup: Lookup) -> str:
    """A string with every word replaced that is a known id; the string itself when there is none."""
    changed = _WORD.sub(lambda word: lookup(word[0]) or word[0], text)
    return text if changed == text else changed


def quoted(value: Json, name: str = "") -> Iterator[str]:
    """Everything in a request that is an id by its field or by its looks, texts left out."""
    if isinstance(value, str):
        if name not in _TEXTS and len(value) <= _LONGEST:
            yield from (word for word in _WORD.findall(value) if kind_of(word) is not None)
            if _says_id(name):
                yield value
    elif isinstance(value, list):
        for item in value:
            yield from quoted(item, name)
    elif isinstance(value, dict):
        for field, item in value.items():
            yield from quoted(item, field)


def quoted_in_url(text: str) -> Iterator[str]:
    """Everything in a path or a query that may be an id."""
    yield from (word for word in _WORD.findall(text) if re.search(r"\d", word))


class AnswerIds:
    """The ids of one answer, whole or in pieces: those that are known keep their names, new ones get theirs.

    ``names`` (the upstream's id to the normalized one) is what is known, and where new ones go; ``upstream_ids`` is the
    way back. ``number`` says which answer to its key this is, counted from 1; it is asked when a new id first needs it.
    What ``stays`` (a field, its value) is the client's own, or left to those who take secrets out. An answer that
    ``completes`` is a completion made just then: another one, even if its upstream calls it as it did an earlier one.
    """

    def __init__(
        self,
        key: str,
        names: MutableMapping[str, str] | None = None,
        upstream_ids: MutableMapping[str, str] | None = None,
        *,
        completes: bool = True,
        number: Callable[[], int] = lambda: 1,
        stays: Callable[[str, str], bool] = lambda _, __: False,
    ) -> None:
        self._key, self._number, self._stays = key, number, stays
        self._names = {} if names is None else names
        self._upstream_ids = {} if upstream_ids is None else upstream_ids
        self._completes, self._answer = completes, 0
        self._counts: dict[str, int] = {}
        self._completion: str | None = None
        self.seen: dict[str, str] = {}
        """The normalized ids that stand in this answer, in order, each with the upstream's."""
        self.made: set[str] = set()
        """Those of them that it was the first to bring."""

    def completion(self, upstream_id: str) -> str:
        """The id of the completion that the answer is: one for all its chunks, whatever the upstream calls each."""
        if self._completion is None:
            known = None if self._completes else self._names.get(upstream_id)
            self._completion = known or self._new(upstream_id, COMPLETION)
            self.seen[self._completion] = upstream_id
        return self._completion

    def renamed(self, value: Json) -> Json:
        """A piece of the answer with normalized ids."""
        staying = set()
        for field, text, kind in given(value):
            if text in self._upstream_ids or self._stays(field, text):
                staying.add(text)
            elif text not in self._names:
                self._new(text, kind)

        def normalized(text: str) -> str | None:
            name = None if text in staying else self._names.get(text)
            if name is not None:
                self.seen[name] = text
            return name

        def word(text: str) -> str | None:
            # What does not look like an id may be any word.
            return normalized(text) if text in self._names and kind_of(text) is not None else None

        return replaced(value, word, normalized)

    def _new(self, upstream_id: str, kind: str) -> str:
        self._answer = self._answer or self._number()
        self._counts[kind] = self._counts.get(kind, 0) + 1
        normalized = made_id(kind, self._key, self._answer, self._counts[kind])
        if kind != COMPLETION or kind_of(upstream_id) is not None:
            # Some servers call every completion the same, or nothing.
            self._names[upstream_id] = normalized
        self._upstream_ids[normalized] = upstream_id
        self.made.add(normalized)
        return normalized
