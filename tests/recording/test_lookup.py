"""The fall-back look-up: which scope comes first, which shape wins, and the order of a sequence."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.lookup import Entry, distance, in_order, nth, select
from harness.recording.model import Request
from harness.recording.places import ABSENT, Place, places

LAW = settings(deadline=None)
A, B, C = "a" * 64, "b" * 64, "c" * 64

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def request(body: Any = None, scope: str | None = "t::one", path: str = "/v1/chat/completions") -> Request:
    return Request("POST", path, {"model": "m", **(body or {})}, scope)


def entry(name: str, body: Any = None, scope: str | None = "t::one") -> Entry:
    return Entry(name, request(body, scope), "f")


def names(found: Sequence[Entry]) -> list[str]:
    return [entry.name for entry in found]


def test_the_same_test_with_another_parameter_comes_before_other_tests() -> None:
    other, sibling, spelled = entry(A, scope="t::other"), entry(B, scope="t.py::two"), entry(C, scope="t.py::two[a-b]")
    asks = request(scope="t.py::two[a/b]")

    assert names(select(asks, [other, sibling, spelled])) == [C]
    assert names(select(asks, [other, sibling])) == [B]
    assert names(select(asks, [other, sibling, entry("d" * 64, scope=None)])) == ["d" * 64]


def test_the_own_scope_comes_first_then_shared_then_any_other() -> None:
    own, shared, other = entry(C, scope="t::one"), entry(B, scope=None), entry(A, scope="t::two")

    assert names(select(request(), [other, shared, own])) == [C]
    assert names(select(request(), [other, shared])) == [B]
    assert names(select(request(), [other])) == [A]
    assert select(request(), []) == []


def test_a_request_without_a_scope_prefers_what_is_shared() -> None:
    assert names(select(request(scope=None), [entry(A, scope="t::two"), entry(B, scope=None)])) == [B]


def test_the_shape_that_differs_in_fewest_places_wins_then_the_lower_name() -> None:
    asked = request({"stream": True, "n": 1})
    far, near = entry(A, {"max_tokens": None}), entry(B, {"stream": True})

    assert names(select(asked, [far, near])) == [B]
    assert names(select(asked, [entry(C, {"stream": True}), near])) == [B]


def test_the_scope_weighs_more_than_the_shape() -> None:
    assert names(select(request(), [entry(A, {"stream": True}), entry(B, scope=None)])) == [A]


def test_a_sequence_is_found_whole_and_in_the_order_of_its_numbers() -> None:
    sequence = [entry(f"{A}-{number}") for number in (10, 2, 3)] + [entry(A)]

    assert names(select(request(), [*sequence, entry(f"{B}-2")])) == [A, f"{A}-2", f"{A}-3", f"{A}-10"]


@LAW
@given(
    st.permutations(
        [entry(A), entry(f"{A}-2"), entry(B, {"n": 1}), entry(C, scope=None), entry("d" * 64, scope="t::two")]
    ),
    st.sampled_from(["t::one", "t::two", "t::three", None]),
)
def test_the_answer_does_not_depend_on_the_order_of_the_index(entries: list[Entry], scope: str | None) -> None:
    assert select(request(scope=scope), entries) == select(request(scope=scope), sorted(entries, key=lambda e: e.name))


@LAW
@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(1, 9))
def test_past_the_last_comes_the_last_again(sequence: list[int], number: int) -> None:
    assert nth(sequence, number) == (sequence[number - 1] if number <= len(sequence) else sequence[-1])


def test_a_name_that_is_no_key_is_a_sequence_of_one() -> None:
    assert [(e.base, e.number) for e in in_order([entry("hello-2"), entry(f"{A}-2")])] == [("hello-2", 1), (A, 2)]


@LAW
@given(values, values)
def test_distance_is_zero_for_the_same_and_the_same_both_ways(one: Any, other: Any) -> None:
    left, right = Request("POST", "/v1/x", one), Request("POST", "/v1/x", other)

    assert distance(left, left) == 0
    assert distance(left, right) == distance(right, left)
    assert distance(left, Request("GET", "/v1/y", one)) == 2


@LAW
@given(values, values)
def test_places_tell_whether_values_differ_and_how(old: Any, new: Any) -> None:
    found = places(old, new)

    assert (found == []) == (repr_of(old) == repr_of(new))
    assert found == [Place(place.path, place.old, place.new) for place in found]
    assert places(new, old) == [] or len(places(new, old)) == len(found)


def repr_of(value: Any) -> Any:
    """A value that equals another only when both are the same JSON: true is not 1, and the order of keys is nothing."""
    if isinstance(value, dict):
        return {name: repr_of(item) for name, item in value.items()}
    return [repr_of(item) for item in value] if isinstance(value, list) else repr(value)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [Place("a.b[1]", 2, 3)]),
        ({"a": None}, {}, [Place("a", None, ABSENT)]),
        ({}, {"a": {"b": 1}}, [Place("a", ABSENT, {"b": 1})]),
        ([1], [1, 2], [Place("[1]", ABSENT, 2)]),
        ({"a": True}, {"a": 1}, [Place("a", True, 1)]),
        ({"a": "x"}, {"a": ["x"]}, [Place("a", "x", ["x"])]),
    ],
)
def test_a_place_is_named_by_its_path(old: Any, new: Any, found: list[Place]) -> None:
    assert places(old, new) == found
