"""The classes of differences, worst first, and which class a difference has.

- ``error``: one side failed, or both did with different errors;
- ``structure``: tool calls (which, their order, names, arguments), finish reason, a refusal, the number of choices, an
  answer that no longer fits the request's JSON schema or, where JSON was asked for without one, other keys or types;
- ``text``: what was said differs in any character; so do vectors that point elsewhere and the entries of a list;
- ``usage``: the same was said, but figures around it differ: tokens, cost, time, log probabilities, the last digits of
  a vector, the name under which the model reports itself, and whatever else an upstream puts beside its answer;
- ``equal``: no difference but noise, which :mod:`harness.recording.meaning` sets aside.
"""

import json
import math
import re
from typing import Literal, TypeAlias, get_args

from harness.recording.meaning import Shape
from harness.recording.model import Json
from harness.recording.places import ABSENT
from harness.recording.vectors import SAME_DIRECTION, cosine, is_vector

Class: TypeAlias = Literal["error", "structure", "text", "usage", "equal"]
Path: TypeAlias = list[str | int]

CLASSES: tuple[Class, ...] = get_args(Class)
"""All classes, worst first."""


def rank(cls: Class) -> int:
    """How bad a class is: 0 is the worst."""
    return CLASSES.index(cls)


def written(path: Path) -> str:
    """``choices[0].message.content``; a name that is not plain is quoted: ``models["gpt-4.1"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text or "body"


_STRUCTURE: dict[Shape, str] = {
    "chat": r"choices(\[\d+\])?|choices\[\d+\]\.(finish_reason|message\.(tool_calls|function_call)\b.*)",
    "message": r"stop_reason|stop_sequence|content(\[\d+\](\.(type|name|input\b.*))?)?",
    "response": r"status|incomplete_details\b.*"
    r"|output(\[\d+\](\.(type|name|status|content\[\d+\]\.type|arguments\b.*|input\b.*))?)?",
    "embeddings": r"data\[\d+\]",
    "models": r'models(\.[\w-]+|\[".*?"\])',
    "other": r"candidates(\[\d+\](\.(finish_?[rR]eason|content\.parts\[\d+\](\.function_?[cC]all\b.*)?))?)?",
    "error": r"(?!)",
}
_TEXT: dict[Shape, str] = {
    "chat": r"choices\[\d+\]\.(message|text|thinking)\b.*|(citations|search_results|images|related_questions)\b.*",
    "message": r"content\b.*",
    "response": r"output\b.*",
    "embeddings": r"data\b.*",
    "models": r".*",
    "other": r"(?!usage\b|usage_?[mM]etadata\b|model(_?[vV]ersion)?$|candidates\[\d+\]\.avg_?[lL]ogprobs$).*",
    "error": r"(?!)",
}
_SCORES: dict[Shape, str] = {
    "response": r"output\[\d+\]\.results\[\d+\]\.score",
    "other": r"(.*\.)?(score|relevance_score|logit)|results\[\d+\]\.category_scores\b.*",
}
"""Numbers that a machine reckons and another rounds otherwise: of a search, a ranking, a moderation."""
_SCORE_TOLERANCE = 0.01
_CONTENT = re.compile(r"choices\[\d+\]\.message\.content\b")
_REFUSAL = re.compile(r"choices\[\d+\]\.message\.refusal|output\[\d+\]\.content\[\d+\](\.refusal)?")


def class_of(shape: Shape, path: Path, old: Json, new: Json, *, as_json: bool) -> Class:
    """The class of one difference. ``as_json``: whether the answer is JSON for which the request gave no schema."""
    where = written(path)
    if shape == "error":
        return "error"
    if not path or re.fullmatch(_STRUCTURE[shape], where, re.DOTALL):
        return "structure"
    if _REFUSAL.fullmatch(where) and ABSENT in (old, new) and "refusal" in (path[-1], _type(old), _type(new)):
        return "structure"
    if as_json and _CONTENT.match(where) and _reshaped(path, old, new):
        return "structure"
    if shape == "embeddings" and is_vector(old) and is_vector(new):
        if len(old) != len(new):
            return "structure"
        return "usage" if cosine(old, new) >= SAME_DIRECTION else "text"
    if re.fullmatch(_SCORES.get(shape, "(?!)"), where) and _near(old, new):
        return "usage"
    return "text" if re.fullmatch(_TEXT[shape], where, re.DOTALL) else "usage"


def _near(old: Json, new: Json) -> bool:
    numbers = all(type(value) in (int, float) for value in (old, new))
    return numbers and math.isclose(old, new, rel_tol=_SCORE_TOLERANCE, abs_tol=_SCORE_TOLERANCE)


def _type(value: Json) -> Json:
    return value.get("type") if isinstance(value, dict) else None


def _reshaped(path: Path, old: Json, new: Json) -> bool:
    """Whether a key came or went, or a value has another type. A longer list has the same shape."""
    if old is ABSENT or new is ABSENT:
        return isinstance(path[-1], str)
    return _kind(old) != _kind(new)


def _kind(value: Json) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
