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


def replacing(pattern: str, placeholder: str, endpoint: str = EVERYWHERE) -> Rule:
    """A rule that puts ``placeholder`` in place of what a regular expression finds in any string of the body.

    Raises SettingsError when the pattern is not a regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"[tool.harness.match] replace: {pattern!r} is not a regular expression: {error}",
            hint="Change the pattern in pyproject.toml.",
        ) from error

    def walk(value: Json) -> Json:
        if isinstance(value, str):
            return compiled.sub(lambda _: placeholder, value)
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    def found(body: Body) -> list[str]:
        return [match[0] for text in texts(body) for match in compiled.finditer(text) if match[0]]

    return Rule(f"replace {pattern} by {placeholder}", walk, endpoint, found)


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
    steps = [step for step in re.split(r"\.|(?=\[)", json_path.removeprefix("$")) if step]
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
