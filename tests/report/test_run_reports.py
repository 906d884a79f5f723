"""Reports of runs: one log, told in several forms; logs of several processes as one."""

import json
from collections.abc import Iterable
from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.near_miss import record_tests_command
from harness.report import run_json, run_junit, run_markdown, run_terminal
from harness.report.run_log import BY_PLACE, Asked, RunLog, merge

texts = st.text(max_size=30)
asked = st.builds(
    Asked,
    st.sampled_from(["replayed", "recorded", "missed", "failed"]),
    st.none() | texts,
    texts,
    texts,
    texts,
    st.none() | texts,
    st.none() | texts,
    texts,
    st.just({}),
    st.none() | texts,
    st.none() | texts,
    st.sampled_from(["", "--record-mode=new_episodes"]),
    st.lists(texts, max_size=2),
)


def record(tests: Iterable[str], flags: Iterable[str], _: Iterable[str]) -> str:
    return " ".join(["record", *filter(None, dict.fromkeys(flags)), *tests])


logs = st.builds(
    RunLog,
    st.just("replay"),
    st.just(record),
    st.lists(asked, max_size=5),
    st.dictionaries(texts, st.sampled_from(["passed", "failed"]), max_size=3),
    st.none() | st.lists(texts, max_size=3),
)


@given(logs)
def test_a_log_goes_from_process_to_process_unchanged(log: RunLog) -> None:
    there = merge([json.loads(json.dumps(log.as_json()))], RunLog("", log.record_command))
    assert (there.mode, there.tests) == (log.mode, log.tests)
    assert there.asked == sorted(log.asked, key=lambda one: one.who)


@given(logs)
def test_whatever_was_asked_can_be_told_in_every_form(log: RunLog) -> None:
    assert json.loads(run_json.render(log))["counts"] == log.counts()
    assert ET.fromstring(run_junit.render(log)).tag == "testsuite"  # noqa: S314 - rendered one line above
    assert run_markdown.render(log).startswith("## harness, mode replay\n")
    assert run_terminal.lines(log)[0].count(",") >= 2


@given(st.lists(logs, max_size=4), st.randoms())
def test_the_order_of_the_processes_does_not_matter_to_the_counts(parts: list[RunLog], chance: Random) -> None:
    told = [part.as_json() for part in parts]
    shuffled = list(told)
    chance.shuffle(shuffled)
    one, other = (merge(some, RunLog("replay", record)) for some in (told, shuffled))
    assert one.counts() == other.counts()
    assert one.failures() == other.failures()
    assert one.used() == other.used()


@pytest.mark.parametrize(
    ("tests", "command"),
    [
        ([], None),
        (["b.py::c", "a.py::c", "b.py::c"], "record a.py::c b.py::c"),
        (["a.py::c", None], "record"),
    ],
)
def test_the_command_records_what_was_missed(tests: list[str | None], command: str | None) -> None:
    missed = [Asked("missed", "s", "/", "m", "r", error="No.", test=test) for test in tests]
    log = RunLog("replay", record, asked=missed)
    assert log.command() == command


def test_what_vcrpy_misses_is_recorded_by_its_flag() -> None:
    missed = [Asked("missed", "s", "/", "m", "r", error="No.", test="b.py::c", flag="--record-mode=new_episodes")]
    log = RunLog(
        "vcr none",
        lambda tests, flags, _: record_tests_command(tests, "pytest", "--harness-vcr", flags=flags),
        asked=missed,
    )
    assert log.command() == 'OPENAI_API_KEY=… pytest --record-mode=new_episodes "b.py::c" --harness-vcr'
    missed.append(Asked("missed", "s", "/", "m", "r", error="No.", test="a.py::c"))
    told = log.command()
    assert told is not None
    assert told.startswith("HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest --record-mode=new_episodes ")


def test_what_was_by_place_is_in_every_report() -> None:
    differs = ['  model  "gpt-4"  ->  "gpt-5"']
    asked = [
        Asked(BY_PLACE, f"a.py::t{number:02}", "/v1/x", "m", "r", "chat/" + "ab" * 32, test=f"a.py::t{number:02}",
              differs=differs, details={"nearest": {"differences": []}})
        for number in range(12)
    ]  # fmt: skip
    log = RunLog("vcr none", record, asked=[*asked, *asked])
    lines = run_terminal.lines(log)
    assert lines[0] == "0 replayed, 0 recorded, 0 missed, 24 replayed by place"
    assert lines[3:5] == ["  a.py::t00: abababababab", '    model  "gpt-4"  ->  "gpt-5"']
    assert lines[-1] == "  and 2 more: --harness-report FILE has all of them"
    assert run_markdown.render(log).count(differs[0]) == 12
    assert len(json.loads(run_json.render(log))["by_place"]) == 12
    assert "gpt-5" in run_junit.render(log)


def test_markdown_keeps_what_looks_like_markdown_as_it_is() -> None:
    log = RunLog("replay", record, asked=[Asked("missed", "`a`", "/", "m", "r", error="```\n# no heading")])
    told = run_markdown.render(log)
    assert "### Missed: `` `a` ``" in told
    assert "````text\n```\n# no heading\n````" in told
