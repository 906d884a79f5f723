"""Texts compared word by word."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.words import Segment, segments, similarity

TEXTS = st.text(st.sampled_from("ab ,.\n\té東京"), max_size=40) | st.text(max_size=30)


@given(TEXTS, TEXTS)
def test_joined_segments_are_the_texts_again(old: str, new: str) -> None:
    parts = segments(old, new)
    assert "".join(part.old for part in parts) == old
    assert "".join(part.new for part in parts) == new
    assert all(one.same != two.same for one, two in pairwise(parts))


@given(TEXTS, TEXTS)
def test_similarity_is_a_share_and_all_of_it_only_for_the_same(old: str, new: str) -> None:
    assert 0 <= similarity(segments(old, new)) <= 1
    assert (similarity(segments(old, new)) == 1) == (old == new)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("The sky is blue.", "The sky is red.", [("The sky is ",), ("blue", "red"), (".",)]),
        ("in Rome, Italy", "in Oslo, Norway", [("in ",), ("Rome, Italy", "Oslo, Norway")]),
        ("東京は晴れ", "京都は晴れ", [("東京", "京都"), ("は晴れ",)]),
        ("", "Yes", [("", "Yes")]),
    ],
)
def test_what_differs_is_found_by_words(old: str, new: str, parts: list[tuple[str, ...]]) -> None:
    assert segments(old, new) == tuple(Segment(part[0], part[-1]) for part in parts)


def test_very_long_texts_are_compared_by_their_ends() -> None:
    old, new = ("same " + f"{word} " * 30_000 + "end" for word in ("one", "two"))
    assert [part.same for part in segments(old, new)] == [True, False, True]
