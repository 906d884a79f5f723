"""Expressions of the user's: what is none, and what takes for ever, is told."""

import pytest

from harness.errors import SettingsError
from harness.recording.patterns import Pattern
from harness.recording.redact import PLACEHOLDER, Redactor
from harness.recording.rules import replacing
from harness.recording.secret_patterns import secret_shape


@pytest.mark.parametrize("pattern", ["(", "[", "*a", "(?P<a>x)(?P<a>y)", "a{2,1}"])
def test_what_is_no_expression_is_told_with_its_setting(pattern: str) -> None:
    for make, setting in ((replacing, "match] replace"), (secret_shape, "redact] patterns")):
        with pytest.raises(SettingsError, match="is not a regular expression") as raised:
            make(pattern, *(["x"] if make is replacing else []))
        assert f"[tool.harness.{setting}: {pattern!r}" in raised.value.message


def test_an_expression_that_takes_for_ever_is_given_up_and_named() -> None:
    slow = Pattern(r"(a|aa)+$", "[tool.harness.match] replace", seconds=0.05)

    with pytest.raises(SettingsError, match=r"takes more than 0.05 s for a text of 61 characters") as raised:
        list(slow.finditer("a" * 60 + "b"))

    assert "(a|aa)+$" in raised.value.message
    assert raised.value.hint


def test_an_expression_that_finds_the_empty_text_finds_no_more_than_what_is_there() -> None:
    assert replacing(r"x*", "y").apply({"a": "axxb"}) == {"a": "ayb"}
    assert Redactor((secret_shape(r"x*"),)).redact({"a": "axxbcdefgh"}) == {"a": f"a{PLACEHOLDER}bcdefgh"}


def test_the_parts_between_start_and_end_alone_are_looked_at() -> None:
    assert [match.span(0) for match in Pattern(r"\d", "x").finditer("1 2 3 4", 1, 5)] == [(2, 3), (4, 5)]
