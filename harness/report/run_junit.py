"""A run as JUnit's XML: a test case for each test that asked, with what it asked as properties."""

import re
from xml.etree import ElementTree as ET

from harness.report.run_log import Asked, RunLog

_OURS = "harness"
"""What the names of properties begin with."""

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def properties(asked: list[Asked]) -> list[tuple[str, str]]:
    """What a test asked: how often each outcome, which recordings, what was missed."""
    counts: dict[str, int] = {}
    for one in asked:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    found = [(f"{_OURS}.{outcome}", str(number)) for outcome, number in counts.items()]
    found += [(f"{_OURS}.recording", name) for name in dict.fromkeys(one.recording for one in asked) if name]
    found += [(f"{_OURS}.by_place", "\n".join([one.recording or "", *one.differs])) for one in asked if one.differs]
    return found + [(f"{_OURS}.miss", text) for text in dict.fromkeys(one.why for one in asked) if text]


def render(log: RunLog) -> str:
    tests: dict[str, list[Asked]] = {name: [] for name in log.tests}
    for one in log.asked:
        tests.setdefault(one.who, []).append(one)
    failed = [name for name in tests if log.tests.get(name) == "failed"]
    suite = ET.Element("testsuite", name="harness", tests=str(len(tests)), failures=str(len(failed)))
    shared = [(f"{_OURS}.mode", log.mode), *((f"{_OURS}.{what}", str(count)) for what, count in log.counts().items())]
    if command := log.command():
        shared.append((f"{_OURS}.command", command))
    _add(suite, shared + [(f"{_OURS}.unused", file) for file in log.unused or ()])
    for name, asked in tests.items():
        where, _, short = name.rpartition("::")
        case = ET.SubElement(suite, "testcase", classname=_clean(where), name=_clean(short))
        _add(case, properties(asked))
        if name in failed:
            told = [one.why for one in asked if one.error]
            failure = ET.SubElement(case, "failure", message=_clean(told[0].partition("\n")[0] if told else "failed"))
            failure.text = _clean("\n\n".join(told))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(parent: ET.Element, pairs: list[tuple[str, str]]) -> None:
    if pairs:
        group = ET.SubElement(parent, "properties")
        for name, value in pairs:
            ET.SubElement(group, "property", name=name, value=_clean(value))


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
