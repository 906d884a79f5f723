"""Which recordings that stayed must have the ids of a run in which others of their flow are new."""

import hypothesis.strategies as st
from hypothesis import given

from harness.recording.flow import Flows

SAVED = st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from("abcdef"), max_size=2)), max_size=12)


@given(SAVED)
def test_all_that_hangs_together_is_renewed_once_or_stays(saved: list[tuple[bool, set[str]]]) -> None:
    flows, renewed = Flows(), list[str]()
    for number, (is_new, ids) in enumerate(saved):
        theirs = {id: f"{id} of this run" for id in ids}
        rows = flows.wrote(theirs) if is_new else flows.stayed(f"{number}", theirs)
        assert all(row == {id: f"{id} of this run" for id in row} for row in rows.values())
        renewed += rows

    reached = {id for is_new, ids in saved if is_new for id in ids}
    for _ in saved:
        reached |= {id for _, ids in saved if ids & reached for id in ids}
    expected = [f"{number}" for number, (is_new, ids) in enumerate(saved) if not is_new and ids & reached]
    assert sorted(renewed) == sorted(expected)
