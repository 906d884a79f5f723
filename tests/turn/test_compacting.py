"""What the model is sent once the context was made short, and when that is."""

from typing import Any

import pytest

from harness.turn.compacting import context
from harness.turn.tokens import Threshold

CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "blue"}
FIRST, SECOND = ({"type": "compaction", "id": f"cmp_{number}"} for number in (1, 2))


def says(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


RULE, ONE, TWO, SAID = says("developer", "Be exact."), says("user", "1"), says("user", "2"), says("assistant", "So.")


@pytest.mark.parametrize(
    ("before", "output", "sent"),
    [
        ([RULE, ONE, SAID, TWO], [], [RULE, ONE, SAID, TWO]),
        # What the user wants now is behind the summary.
        ([RULE, ONE, SAID, TWO], [FIRST], [RULE, ONE, FIRST, TWO]),
        # So it is where tools have answered since; what they said is in the summary.
        ([RULE, ONE, CALL, OUTPUT], [FIRST], [RULE, FIRST, ONE]),
        ([ONE, FIRST, SAID, TWO], [SECOND, CALL], [ONE, SECOND, TWO, CALL]),
        # A later turn has all of it before itself, and what followed the summary.
        ([ONE, CALL, OUTPUT, TWO, FIRST, SAID, ONE], [], [ONE, TWO, FIRST, SAID, ONE]),
        ([ONE, FIRST, TWO, SECOND], [SAID], [ONE, TWO, SECOND, SAID]),
        ([RULE], [FIRST], [RULE, FIRST]),
    ],
)
def test_all_but_what_users_said_gives_way_to_the_last_summary(before: Any, output: Any, sent: Any) -> None:
    assert context(before, output) == sent


def test_what_cannot_be_too_long_is_not_counted() -> None:
    def count(text: str) -> int:
        counted.append(text)
        return len(text.split())

    counted: list[str] = []
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 1000}}
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "one two three four"}, image]}]}
    assert not Threshold(1000, count).is_passed(body)
    assert counted == []
    assert [Threshold(most, count).is_passed(body) for most in (11, 10)] == [False, True]
    assert counted[:2] == ["user", "one two three four"]
