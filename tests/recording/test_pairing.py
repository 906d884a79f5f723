"""Which recordings belong together."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.recording.canonical import Canonicalizer
from harness.recording.model import Request
from harness.recording.pairing import Card, Matching, by_meaning, by_name, card

CANONICALIZER = Canonicalizer()


def of(name: str, *said: str, scope: str | None = None, path: str = "/v1/chat/completions", **more: Any) -> Card:
    body = {"model": "m", "messages": [{"role": "user", "content": text} for text in said], **more}
    return card(name, Request("POST", path, body, scope), CANONICALIZER)


def found(matching: Matching) -> dict[str, tuple[str, str]]:
    return {match.old: (match.new, match.how) for match in matching.matches}


def test_the_turns_of_a_test_pair_in_order_when_its_prompt_changed() -> None:
    old = [of("a", "Be kind.", "Hi", scope="t"), of("b", "Be kind.", "Hi", "Hello!", "Bye", scope="t")]
    new = [of("y", "Be brief.", "Hi", "Hello!", "Bye", scope="t"), of("z", "Be brief.", "Hi", scope="t")]
    assert found(by_meaning(old, new)) == {"a": ("z", "test and order"), "b": ("y", "test and order")}


def test_of_several_requests_of_one_depth_the_most_alike_pair() -> None:
    old = [of("a", "Be kind.", "The weather in Rome today?", scope="t"), of("b", "Be kind.", "2 + 2?", scope="t")]
    new = [of("y", "Be brief.", "2 + 2?", scope="t"), of("z", "Be brief.", "The weather in Rome today?", scope="t")]
    assert found(by_meaning(old, new)) == {"a": ("z", "test and order"), "b": ("y", "test and order")}


def test_a_near_miss_pairs_across_tests_when_enough_is_the_same() -> None:
    text = "Tell me what the weather will be like in Rome, hour by hour, and what to wear"
    old = [of("a", text, scope="t::old"), of("b", "Something else entirely, about tax law", scope="t::b")]
    new = [of("z", f"{text}, please", scope="t::new"), of("y", "Write a poem on autumn leaves", scope="t::y")]
    matching = by_meaning(old, new)
    assert found(matching) == {"a": ("z", "near miss")}
    assert (matching.removed, matching.added) == (("b",), ("y",))


def test_nothing_pairs_across_endpoints() -> None:
    old, new = of("a", "Hi", scope="t"), of("z", "Hi", scope="t", path="/v1/messages")
    assert by_meaning([old], [new]).matches == ()


def test_names_pair_by_themselves() -> None:
    matches, left, right = by_name(["b", "a", "x"], ["a", "b", "y"])
    assert [match.old for match in matches] == ["a", "b"]
    assert (left, right) == (["x"], ["y"])


CARDS = st.lists(st.tuples(st.sampled_from(["Hi", "Bye", "Hi there you all"]), st.sampled_from([None, "t", "u"])))


@given(CARDS, CARDS)
def test_no_recording_is_lost_or_used_twice(
    old: list[tuple[str, str | None]], new: list[tuple[str, str | None]]
) -> None:
    sides = [
        [of(f"{prefix}{at}", text, scope=scope) for at, (text, scope) in enumerate(side)]
        for prefix, side in (("o", old), ("n", new))
    ]
    matching = by_meaning(*sides)
    assert sorted([*(match.old for match in matching.matches), *matching.removed]) == sorted(c.name for c in sides[0])
    assert sorted([*(match.new for match in matching.matches), *matching.added]) == sorted(c.name for c in sides[1])


def test_a_large_test_pairs_in_order() -> None:
    old = [of(f"o{at:03}", *["Hi"] * (at + 1), scope="t") for at in range(70)]
    new = [of(f"n{at:03}", *["Hello"] * (at + 1), scope="t") for at in range(70)]
    assert found(by_meaning(old, new))["o007"] == ("n007", "test and order")
