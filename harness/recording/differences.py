"""Where two answers differ by meaning, place by place, each with its class."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from harness.recording.classes import Class, Path, class_of, rank, written
from harness.recording.meaning import Answer, Block, answer, parsed, same
from harness.recording.model import Exchange, Json
from harness.recording.places import ABSENT
from harness.recording.schemas import misfit, schema_of, wants_json


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a pair differs: its path by meaning, both values (``ABSENT`` where there is none), its class.

    ``note`` says why, where the values alone do not.
    """

    path: str
    old: Json
    new: Json
    cls: Class
    note: str = ""


def differences(old: Exchange, new: Exchange) -> tuple[Difference, ...]:
    """Where the answers of two exchanges differ by meaning, worst first; noise is no difference."""
    left, right = answer(old.response), answer(new.response)
    if left.failed != right.failed:
        before, after = (one.value if one.failed else ABSENT for one in (left, right))
        return (Difference("error", before, after, "error"),)
    if same(left.value, right.value):
        return ()
    bodies = old.request.body, new.request.body
    schema = schema_of(bodies[1]) or schema_of(bodies[0])
    broken = dict(_with_json(left, right, schema)) if any(map(wants_json, bodies)) else {}
    as_json = schema is None and any(map(wants_json, bodies))
    found = []
    for path, before, after in _compared(left.value, right.value):
        where = written(path)
        note = broken.get(where, "")
        cls = "structure" if note else class_of(right.shape, path, before, after, as_json=as_json)
        found.append((rank(cls), _order(path), Difference(where, before, after, cls, note)))
    return tuple(difference for *_, difference in sorted(found, key=lambda row: row[:2]))


def _order(path: Path) -> list[tuple[bool, str | int]]:
    return [(isinstance(step, str), step) for step in path]


def _compared(old: Json, new: Json) -> Iterator[tuple[Path, Json, Json]]:
    """Every place at which two values differ, as deepdiff finds them."""
    # Heavy to import, and not needed where everything is equal.
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    tree = DeepDiff(
        old, new, view="tree", zip_ordered_iterables=True, threshold_to_diff_deeper=0, ignore_private_variables=False
    )
    for levels in tree.values():
        for level in levels:
            before, after = (
                ABSENT if value is notpresent else json.loads(value) if isinstance(value, Block) else value
                for value in (level.t1, level.t2)
            )
            yield level.path(output_format="list"), before, after


def _with_json(old: Answer, new: Answer, schema: Json) -> Iterator[tuple[str, str]]:
    """Parse the texts of both answers in place, where their values differ as JSON; the paths that no longer fit.

    A text that fits the schema no more, though the other one does, stays as it was said, and its path is given with
    the reason.
    """
    ours, theirs = _texts(old), _texts(new)
    for path in [path for path in ours if path in theirs]:
        (one, name), (two, _) = ours[path], theirs[path]
        if not one[name] or not two[name] or one[name] == two[name]:
            continue
        if schema is not None:
            why = misfit(two[name], schema)
            if why or misfit(one[name], schema):
                if why and not misfit(one[name], schema):
                    yield path, f"no longer fits the request's JSON schema: {why}"
                continue
        values = parsed(one[name]), parsed(two[name])
        if not same(*values):
            one[name], two[name] = values


def _texts(found: Answer) -> dict[str, tuple[dict[str, Json], str]]:
    """Where an answer says something, by its path: the object that holds the text, and under which name."""
    value = found.value
    places: list[tuple[str, Json, str]] = []
    if found.shape == "chat":
        for at, choice in enumerate(value["choices"]):
            places.append((f"choices[{at}].message.content", choice.get("message"), "content"))
    elif found.shape == "message":
        places += [(f"content[{at}].text", block, "text") for at, block in enumerate(value["content"])]
    elif found.shape == "response":
        for at, item in enumerate(value["output"]):
            parts = item.get("content") if isinstance(item, dict) else None
            for inner, part in enumerate(parts if isinstance(parts, list) else ()):
                places.append((f"output[{at}].content[{inner}].text", part, "text"))
    return {
        path: (holder, name)
        for path, holder, name in places
        if isinstance(holder, dict) and isinstance(holder.get(name), str)
    }
