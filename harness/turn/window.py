"""What of a long history a model is sent, where it cannot take all of it: ``truncation: "auto"``.

How much fits only the upstream knows. When it refuses a request as too long, the oldest items go and it is asked
again: one group of them the first time, then two more, then four, so that the asking ends soon however long the
history is.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, takewhile
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]

_CALLS = ("function_call", "custom_tool_call", "tool_search_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "tool_search_output")
_KEPT_ROLES = ("system", "developer")


class Window:
    """The items that a model is sent: a history and an input, of which the oldest can be let go.

    A group is what goes at once: what a user said and what was answered to it, or calls of tools and their outputs. The
    newest input never goes (all of it that follows the model's last word), nor do the messages that instruct the model.
    """

    def __init__(self, history: Sequence[Item], input_items: Sequence[Item]) -> None:
        items = [*history, *input_items]
        newest = len(items) - max(_newest(input_items), 1)
        self._groups = list(_groups(items))
        ends = accumulate(map(len, self._groups))
        self._may_go = sum(end <= newest for end in ends)
        self._gone, self._step = 0, 1

    @property
    def items(self) -> list[Item]:
        gone, left = self._groups[: self._gone], self._groups[self._gone :]
        return [*filter(_instructs, chain(*gone)), *chain(*left)]

    def shrink(self) -> bool:
        """Let go of the oldest items; False when none can go any more."""
        if self._gone == self._may_go:
            return False
        self._gone = min(self._gone + self._step, self._may_go)
        self._step *= 2
        return True


def _groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items in groups. No call is parted from its output, whatever stands between them."""
    group: list[Item] = []
    open_calls: set[str] = set()
    for item in items:
        kind = item.get("type", "message")
        begins = kind in (*_CALLS, "mcp_call") or (kind == "message" and item["role"] != "assistant")
        if begins and not open_calls and any(map(_counts, group)):
            yield group
            group = []
        group.append(item)
        if kind in _CALLS:
            open_calls.add(item["call_id"])
        elif kind in _OUTPUTS:
            open_calls.discard(item.get("call_id"))
    if group:
        yield group


def _newest(items: Sequence[Item]) -> int:
    """How many items there are after the model's last word."""
    return sum(1 for _ in takewhile(lambda item: not _is_models(item), reversed(items)))


def _is_models(item: Item) -> bool:
    kind = item.get("type", "message")
    return bool(item["role"] == "assistant") if kind == "message" else not kind.endswith(("_output", "_response"))


def _counts(item: Item) -> bool:
    """Whether the model is sent less without this item."""
    kind = item.get("type", "message")
    sent = (*_CALLS, *_OUTPUTS, "mcp_call", "compaction")
    return kind in sent or (kind == "message" and not _instructs(item))


def _instructs(item: Item) -> bool:
    return item.get("type", "message") == "message" and item["role"] in _KEPT_ROLES
