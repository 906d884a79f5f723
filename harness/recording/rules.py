"""Rules: pure functions from body to body that make a request canonical, and those that a user writes.

A rule of the user's is a JSON path to ignore, or a regular expression and the placeholder that stands for what it
finds. A placeholder's rule can also say what it found, in an order that is the same for all requests that mean the
same: that is how what stood in the recorded request is put in its place in the answer (``placeholders``).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from harness.errors import SettingsError
from harness.recording.model import Json
from harness.recording.patterns import Compiled, Pattern

Body: TypeAlias = dict[str, Json]

EVERYWHERE = "*"


@dataclass(frozen=True)
class Rule:
    """One rule: its name in plain words, what it does to a body, and the endpoint for which it holds.

    ``endpoint`` may have ``*`` in it (``/v1/vector_stores/*/search``). The body that ``apply`` is given is the rule's
    own to change. ``found`` lists what a rule of placeholders would replace, in order; other rules have none.
    """

    name: str
    apply: Callable[[Body], Body]
    endpoint: str = EVERYWHERE
    found: Callable[[Body], list[str]] | None = None

    def holds_for(self, endpoint: str) -> bool:
        return self.endpoint == EVERYWHERE or fnmatchcase(endpoint, self.endpoint)


def replacing(pattern: str | re.Pattern[str], placeholder: str, endpoint: str = EVERYWHERE) -> Rule:
    """A rule that puts ``placeholder`` in place of what a regular expression finds in any string of the body.

    A text is an expression of the user's (:mod:`harness.recording.patterns`). Raises SettingsError when it is none.
    """
    compiled: Compiled = Pattern(pattern, "[tool.harness.match] replace") if isinstance(pattern, str) else pattern
    name = pattern if isinstance(pattern, str) else pattern.pattern

    def walk(value: Json) -> Json:
        if isinstance(value, str):
            return _replaced(value, compiled, placeholder)
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    def found(body: Body) -> list[str]:
        return [match[0] for text in texts(body) for match in compiled.finditer(text) if match[0]]

    return Rule(f"replace {name} by {placeholder}", walk, endpoint, found)


def _replaced(text: str, pattern: Compiled, placeholder: str) -> str:
    parts, at = [], 0
    for match in pattern.finditer(text):
        # The empty text is everywhere.
        if match[0]:
            parts += [text[at : match.start()], placeholder]
            at = match.end()
    return "".join([*parts, text[at:]]) if parts else text


def texts(value: Json) -> Iterator[str]:
    """Every string of a JSON value, objects in the order of their names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in sorted(value):
            yield from texts(value[name])
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def ignoring(json_path: str, endpoint: str = EVERYWHERE) -> Rule:
    """A rule that leaves out what a JSON path names: ``metadata.run``, ``messages[*].name``, ``$.tools[0]``.

    Names, ``[n]`` and ``[*]`` are understood. Raises SettingsError for any other path.
    """
    steps = re.split(r"\.|(?=\[)", re.sub(r"^\$\.?", "", json_path))
    steps = steps[1:] if steps[0] == "" and len(steps) > 1 and steps[1].startswith("[") else steps
    parsed: list[str | int | None] = []
    for step in steps:
        index = re.fullmatch(r"\[(\d+|\*)\]", step)
        if index is None and not re.fullmatch(r"[\w-]+", step):
            parsed.clear()
            break
        parsed.append(step if index is None else None if index[1] == "*" else int(index[1]))
    if not parsed:
        raise SettingsError(
            f"[tool.harness.match] ignore: {json_path!r} is not a path.",
            hint='Write names, [n] and [*]: ignore = ["metadata.run", "messages[*].name"]',
        )

    def without(body: Body) -> Body:
        _remove(body, parsed)
        return body

    return Rule(f"ignore {json_path}", without, endpoint)


def _remove(value: Json, steps: list[str | int | None]) -> None:
    step, rest = steps[0], steps[1:]
    for target in _targets(value, step):
        if rest:
            _remove(value[target], rest)
        else:
            del value[target]


def _targets(value: Json, step: str | int | None) -> Iterable[Json]:
    """The names or indices that a step means in ``value``; none when it has no such thing."""
    if isinstance(step, str):
        return [step] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    if step is None:
        # Backwards, so that removing one does not move the next.
        return range(len(value) - 1, -1, -1)
    return [step] if step < len(value) else []
