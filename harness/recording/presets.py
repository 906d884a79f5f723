"""Presets: rules for what changes from run to run in most projects, to be chosen by name.

Each is a list of regular expressions with their placeholders; ``file-search`` also puts the passages of a file search
that are pasted into a prompt into an order of their own, for equal scores have none.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.errors import SettingsError
from harness.recording.model import Json
from harness.recording.rules import EVERYWHERE, Body, Rule, ignoring, replacing

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? )"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
_HALF = r"(?: ?[AaPp](?:[Mm]\b|\.[Mm]\.))"
_OFFSET = r"[+-]\d{2}(?::?\d{2})?(?!\d)"
_PLACES = r"(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[\w+/-]+"
_ABBREVIATED = (
    r"(?:[AECMP][SD]T|AK[SD]T|HST|AE[SD]T|AC[SD]T|AWST|NZ[SD]T|CES?T|EES?T|WES?T|BST|IST|JST|KST|SGT|HKT|MSK|SAST)\b"
)
_ZONE = (
    rf"(?: ?(?:Z\b|(?:UTC|GMT)(?:{_OFFSET}|[+-]\d{{1,2}}\b|\b)|{_OFFSET}|{_ABBREVIATED}|{_PLACES}))?"
    rf"(?:\[{_PLACES}\]| ?\([A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+)* Time\))?"
)
_TIME = rf"(?:(?:[T _]|, ?| at )(?:{_CLOCK}{_HALF}?|\d{{1,2}}{_HALF}|\d{{2}}-\d{{2}}-\d{{2}}(?!\d)){_ZONE})"
_DATES = (
    rf"(?<!\w){_DAY}?{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK}{_HALF}?{_ZONE} \d{{4}}(?!\d)",
    rf"(?<![\d.]){_DAY}?\d{{4}}([-/.])\d{{1,2}}\1\d{{1,2}}(?!\d|\.\d){_TIME}?",
    rf"(?<![\d.]){_DAY}?\d{{1,2}}([-/.])\d{{1,2}}\1\d{{4}}(?!\d|\.\d){_TIME}?",
    rf"(?<!\w){_DAY}?{_MONTH}\.? {_NTH},? \d{{4}}(?!\d){_TIME}?",
    rf"(?<!\w){_DAY}?{_NTH}(?: of)?[ -]?{_MONTH}\.?,?[ -]?\d{{4}}(?!\d){_TIME}?",
    r"(?<!\d)\d{4}-W\d{2}(?:-\d)?(?!\d)",
    r"(?<!\w)(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d{6}(?:\.\d+)?Z?)?(?!\w)",
    r"\d{4}年\d{1,2}月\d{1,2}日",
    rf"(?<![\d:.])\d{{1,2}}:\d{{2}}:\d{{2}}(?:[.,]\d+)?(?![\d:]){_HALF}?{_ZONE}",
)

_UUIDS = (
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])",
    # Without hyphens, as programs write them: versions 4 and 7, told from other numbers by RFC 9562's fixed digits.
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{12}[47][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}(?![0-9A-Za-z])",
)

_NAME = r"[\w.@+~=-]*[\w@+~=-]"
_ROOTS = (
    r"(?:/private)?/(?:tmp|var/tmp|var/folders|dev/shm|run/user|home|Users|root|mnt/[a-z]/Users|usr/src/app"
    r"|builds|workspaces?|github/workspace|__w|var/lib/jenkins|bitrise/src|codebuild/output|opt/atlassian/pipelines)"
)
_FILE = rf"(?=/(?!tmp){_NAME}\.\w{{1,8}}(?![\w/]))"
_BEHIND = r"(?:(?<![\w./~-])|(?<=file://)|(?<=\\[nrt]))"
"""Also behind an escaped line break, as JSON in a text has it."""
_UNIX = rf"{_BEHIND}{_ROOTS}(?:(?:/{_NAME})+?{_FILE}|(?:/{_NAME})+)"
_BACK = r"(?:\\{1,4}|/)"
_DRIVES = rf"(?:Users|Temp|Windows{_BACK}Temp|a(?={_BACK}{_NAME}{_BACK}))"
_WINDOWS_FILE = rf"(?={_BACK}(?!tmp){_NAME}\.\w{{1,8}}(?![\w\\/]))"
_WINDOWS = (
    rf"(?:(?<!\w)|(?<=\\[nrt]))[A-Za-z]:{_BACK}{_DRIVES}"
    rf"(?:(?:{_BACK}{_NAME})+?{_WINDOWS_FILE}|(?:{_BACK}{_NAME})+)"
)
# A drive first: what follows it may look like a path of its own.
_PATHS = (_WINDOWS, _UNIX)
"""A temporary or working directory as a whole; the name of a file in it stays: ``<path>/report.txt``."""

_SCORE = "<score>"
"""What stands for a score is not put back into answers: another number there may well be the same."""
_ID = r"[A-Za-z0-9][\w-]*"
_SEARCHED = (
    # The number behind a score, as text has it and as JSON in a text has it.
    (r"(?i)(?<=score: )\d+(?:\.\d+)?(?:e-?\d+)?|(?<=score\": )\d+(?:\.\d+)?(?:e-?\d+)?", _SCORE),
    (rf"(?i)(?<=document_id: ){_ID}|(?<=document_id\": \"){_ID}|(?<=chunk_id\": \"){_ID}", "<document>"),
    (r"(?<!\w)file[-_](?=[\w-]*\d)[A-Za-z0-9][A-Za-z0-9-]{5,}", "<file>"),
    (r"(?<!\w)vs_(?=[\w-]*\d)[A-Za-z0-9][A-Za-z0-9-]{5,}", "<vector store>"),
)
_PASSAGE = re.compile(r"(?m)^\[\d+\] (?=document_id|.*<\|)")


def preset(name: str, endpoint: str = EVERYWHERE) -> list[Rule]:
    """The rules of a preset. Raises SettingsError for a name that is none."""
    if name not in PRESETS:
        raise SettingsError(
            f"[tool.harness.match] presets: {name!r} is none.", hint=f"Use one of: {', '.join(PRESETS)}."
        )
    return PRESETS[name](endpoint)


def _placeholders(name: str, pairs: Sequence[tuple[str, str]]) -> Callable[[str], list[Rule]]:
    def rules(endpoint: str) -> list[Rule]:
        made = [replacing(re.compile(pattern), placeholder, endpoint) for pattern, placeholder in pairs]
        return [
            _beside_model(Rule(f"{name}: {word}", rule.apply, endpoint, None if word == _SCORE else rule.found))
            for rule, (_, word) in zip(made, pairs, strict=True)
        ]

    return rules


def _beside_model(rule: Rule) -> Rule:
    """The rule, for all but the model's name: there a date says which model it is."""

    def others(body: Body) -> Body:
        return {name: value for name, value in body.items() if name != "model"}

    def apply(body: Body) -> Body:
        return rule.apply(others(body)) | {name: value for name, value in body.items() if name == "model"}

    found = rule.found
    return replace(rule, apply=apply, found=None if found is None else lambda body: found(others(body)))


_search_placeholders = _placeholders("file-search", _SEARCHED)


def _file_search(endpoint: str) -> list[Rule]:
    return [
        ignoring("input[*].results[*].score", endpoint),
        Rule("file-search: passages in an order of their own", _in_order, endpoint),
        *_search_placeholders(endpoint),
    ]


def _in_order(body: Body) -> Body:
    """Passages that follow each other, ``[1] document_id: …``, sorted by what they say and numbered anew."""
    return {name: _sorted_passages(value) for name, value in body.items()}


def _sorted_passages(value: Json) -> Json:
    if isinstance(value, str):
        return _sort_in_text(value)
    if isinstance(value, dict):
        return {name: _sorted_passages(item) for name, item in value.items()}
    if isinstance(value, list):
        at = [place for place, item in enumerate(value) if _is_passage(item)]
        if len(at) > 1:
            # Passages as text parts of their own: the same places, filled in order.
            passages = sorted((value[place] for place in at), key=_part_key)
            for number, (place, part) in enumerate(zip(at, passages, strict=True), 1):
                value[place] = {**part, "text": _numbered(part["text"], number)}
            return value
        return [_sorted_passages(item) for item in value]
    return value


def _is_passage(item: Json) -> bool:
    text = item.get("text") if isinstance(item, dict) else None
    return isinstance(text, str) and _PASSAGE.match(text) is not None


def _part_key(part: Json) -> str:
    return _said(part["text"])


def _said(passage: str) -> str:
    """A passage without what changes: its number, score and ids."""
    body: Body = {"text": _numbered(passage, 0)}
    for rule in _search_placeholders(EVERYWHERE):
        body = rule.apply(body)
    return str(body["text"])


def _numbered(passage: str, number: int) -> str:
    return re.sub(r"\A\[\d+\]", f"[{number}]", passage)


def _sort_in_text(text: str) -> str:
    starts = [found.start() for found in _PASSAGE.finditer(text)]
    if len(starts) < 2:
        return text
    # Where the last passage ends nobody says but the line that ends the results.
    end = text.find("\nEND of", starts[-1]) + 1 or len(text)
    cuts = [*starts, end]
    passages = [text[cuts[at] : cuts[at + 1]] for at in range(len(starts))]
    ending = "" if all(passage.endswith("\n") for passage in passages) else "\n"
    whole = [passage if passage.endswith("\n") else passage + ending for passage in passages]
    ordered = "".join(_numbered(passage, number) for number, passage in enumerate(sorted(whole, key=_said), 1))
    return text[: starts[0]] + ordered.removesuffix(ending) + text[end:]


PRESETS: dict[str, Callable[[str], list[Rule]]] = {
    "dates": _placeholders("dates", [(pattern, "<date>") for pattern in _DATES]),
    "uuids": _placeholders("uuids", [(pattern, "<uuid>") for pattern in _UUIDS]),
    "paths": _placeholders("paths", [(pattern, "<path>") for pattern in _PATHS]),
    "file-search": _file_search,
}
