"""A diff as a JUnit report: one test case for each pair, for CI that shows such reports."""

import re
from xml.etree import ElementTree as ET

from harness.recording.classes import Class, rank
from harness.recording.diff import Diff, Pair
from harness.recording.words import Segment
from harness.report.wording import NO_TEST, compared, hunks, pair_name, split_test, value_text, visible

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_AROUND = 60
_LONGEST = 2_000
_SHOWN_PLACES = 20


def render_junit(diff: Diff, level: Class | None) -> str:
    """The report as XML. A pair of ``level`` or worse is a failure (None: none is), ``error`` pairs are errors."""
    suites: dict[str, list[Pair]] = {}
    for pair in diff.pairs:
        suites.setdefault(split_test(pair.test_id or NO_TEST)[0] or NO_TEST, []).append(pair)
    root = ET.Element("testsuites", name="harness diff")
    for name, pairs in sorted(suites.items()):
        failing = [pair for pair in pairs if level is not None and rank(pair.cls) <= rank(level) and not pair.is_own]
        errors = sum(pair.cls == "error" for pair in failing)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_clean(name),
            tests=str(len(pairs)),
            failures=str(len(failing) - errors),
            errors=str(errors),
        )
        for pair in pairs:
            _add_case(suite, name, pair, failed=pair in failing)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _add_case(suite: ET.Element, file: str, pair: Pair, *, failed: bool) -> None:
    test = split_test(pair.test_id or NO_TEST)[1]
    case = ET.SubElement(suite, "testcase", classname=_clean(file), name=_clean(f"{test} {pair_name(pair)}"))
    if failed:
        places = ", ".join(found.path for found in pair.differences[:_SHOWN_PLACES])
        kind = "error" if pair.cls == "error" else "failure"
        failure = ET.SubElement(case, kind, type=pair.cls, message=_clean(f"{pair.cls}: {places}"))
        failure.text = _clean("\n".join(_lines(pair)))


def _lines(pair: Pair) -> list[str]:
    lines = [f"{pair.test_id or NO_TEST} {pair_name(pair)}"]
    lines += [visible(pair.remark)] if pair.remark else []
    lines += [
        f"request {visible(found.path)}: {value_text(found.old)} -> {value_text(found.new)}"
        for found in pair.request[:_SHOWN_PLACES]
    ]
    for one in pair.differences[:_SHOWN_PLACES]:
        lines.append(f"{visible(one.path)}{f' ({one.note})' if one.note else ''}")
        for hunk in hunks(compared(one.old, one.new), _AROUND, _LONGEST):
            lines += [f"  - {_side(hunk, 0)}", f"  + {_side(hunk, 1)}"]
    return lines


def _side(hunk: list[Segment], side: int) -> str:
    return "".join((part.old, part.new)[side] for part in hunk)


def _clean(text: str) -> str:
    """Text without the characters that XML has no way to write."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
