"""Which recordings a command is about: by test, model, endpoint and key."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from harness.recording.canonical import endpoint_of
from harness.recording.key import parse_stem
from harness.recording.model import Exchange

_NUMBERED = re.compile(r"([0-9a-f]{4,64})-([1-9][0-9]*)")

SHARED = "shared"
"""The word for the recordings of no test."""

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user picked. Of one kind any word will do, and every kind that has words must; no words take everything.

    ``tests`` are scopes (pytest node ids), what a scope begins with (a folder, a file, a class, a test without its
    parameters), or ``shared``. ``models`` go with or without the prefix of their upstream. ``endpoints`` are paths or
    their beginnings, with or without ``/v1/`` (``embeddings``, ``chat``). In all of these ``*`` and ``?`` stand for
    other characters; brackets are brackets, as node ids have them. ``keys`` are names of recordings: ``KEY.json`` that
    one alone, else whatever begins so (a key takes its whole sequence).
    """

    tests: Sequence[str] = ()
    models: Sequence[str] = ()
    endpoints: Sequence[str] = ()
    keys: Sequence[str] = ()

    def takes(self, name: str, exchange: Exchange) -> bool:
        """Whether the recording called ``name`` (its file without ``.json``, perhaps behind folders) is one of them."""
        request = exchange.request
        return (
            self.takes_name(name)
            and _any(self.tests, lambda word: _is_of_test(request.scope, word))
            and _any(self.models, lambda word: is_of_model(request.model or deployment_of(request.path), word))
            and _any(self.endpoints, lambda word: _is_below(endpoint_of(request.path), word))
        )

    def takes_name(self, name: str) -> bool:
        """What can be said without reading the recording: False when its name alone rules it out."""
        return _any(self.keys, lambda word: _is_named(name, word))

    @property
    def words(self) -> Sequence[str]:
        """Every word of it, for messages."""
        return (*self.keys, *self.tests, *self.models, *self.endpoints)


def _any(words: Sequence[str], holds: Callable[[str], bool]) -> bool:
    return not words or any(map(holds, words))


def _is_of_test(scope: str | None, word: str) -> bool:
    if scope is None:
        return word == SHARED
    bare = word.rstrip("/")
    return _fits(scope, word) or scope.startswith((f"{bare}/", f"{bare}::", f"{bare}["))


def is_of_model(model: str, word: str) -> bool:
    """Whether ``word`` means this model: its name, with or without what is before a slash, or a pattern of it."""
    return _fits(model, word) or _fits(model.partition("/")[2], word)


def deployment_of(path: str) -> str:
    """The model that Azure's paths name; empty for any other path."""
    found = _DEPLOYMENT.search(path)
    return found[1] if found else ""


def _is_below(endpoint: str, word: str) -> bool:
    path = "/" + word.strip("/")
    path = path if path.startswith("/v1/") or not endpoint.startswith("/v1/") else f"/v1{path}"
    return _fits(endpoint, path) or endpoint.startswith(f"{path}/")


def _is_named(name: str, word: str) -> bool:
    stem = name.rpartition("/")[2]
    if word.endswith(".json"):
        exact = word.removesuffix(".json")
        return exact in (name, stem)
    match = _NUMBERED.fullmatch(word)
    if match is not None:
        # Of KEY-2 the number is part of the name; KEY-2 does not begin KEY-20.
        base, number = parse_stem(stem)
        return base.startswith(match[1]) and number == int(match[2])
    return stem.startswith(word) or name.startswith(word)


def _fits(text: str, pattern: str) -> bool:
    return text == pattern or (bool(text) and _expression(pattern).fullmatch(text) is not None)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)
