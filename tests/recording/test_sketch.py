"""Sketches: the same for the same, and further apart the more places differ."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.places import places
from harness.recording.sketch import sketch, unlike

LAW = settings(deadline=None)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@LAW
@given(values, values)
def test_two_values_have_one_sketch_when_they_are_the_same(one: Any, other: Any) -> None:
    assert (sketch(one) == sketch(other)) == (places(one, other) == [])
    assert unlike(sketch(one))(sketch(other)) == unlike(sketch(other))(sketch(one))


def test_each_place_counts() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.2}
    near = asked | {"temperature": 0.7}
    far = near | {"model": "another", "messages": []}
    assert [unlike(sketch(asked))(sketch(body)) for body in (asked, near)] == [0, 2]
    assert unlike(sketch(asked))(sketch(far)) > 2


def test_a_sketch_is_small_however_large_the_request_is() -> None:
    assert len(sketch({"input": list(range(100_000))})) == len(sketch({"input": list(range(1000))})) <= 1024
