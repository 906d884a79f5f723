"""Compaction in the middle of a turn: ``context_management``.

When what the model would be sent passes a threshold, it is asked for a summary first, as ``/v1/responses/compact`` asks
it. From then on it is sent the summary in place of all that came before, but for what users said, word for word, and
for what instructs it.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from harness.api.compaction import pack, request_item
from harness.api.create_response import CreateResponse
from harness.errors import UpstreamError
from harness.turn.delta import Reader
from harness.turn.ids import Ids
from harness.turn.question import chat_body
from harness.turn.tokens import Threshold
from harness.turn.toolbox import Toolbox

Item: TypeAlias = dict[str, Any]

_KEPT_ROLES = ("user", "system", "developer")


class Compacting:
    """Whether a turn's context is too long, and the summary that is then being said."""

    def __init__(self, wanted: CreateResponse, threshold: Threshold | None) -> None:
        self._wanted, self._threshold = wanted, threshold
        self._is_done = False
        self._reader, self._summary = Reader(), ""
        self.usage: dict[str, Any] | None = None

    def is_due(self, body: dict[str, Any]) -> bool:
        """Whether this chat completion is too long. A context that was just made short stays as it is.

        Raises HarnessError where that cannot be counted.
        """
        due = self._threshold is not None and not self._is_done and self._threshold.is_passed(body)
        self._is_done = False
        return due

    def body(self, items: Sequence[Item]) -> dict[str, Any]:
        """The chat completion that asks for the summary of these items."""
        self._reader, self._summary, self.usage = Reader(), "", None
        asked = CreateResponse(
            model=self._wanted.model,
            instructions=self._wanted.instructions,
            prompt_cache_key=self._wanted.prompt_cache_key,
            service_tier=self._wanted.service_tier,
            extra_body=self._wanted.extra_body,
        )
        return chat_body(asked, [*items, request_item("")], Toolbox(None, None))

    def read(self, chunk: dict[str, Any]) -> None:
        """Take in a chunk of the summary. Raises UpstreamError."""
        delta = self._reader.read(chunk)
        self._summary += delta.text
        self.usage = delta.usage or self.usage

    def item(self, ids: Ids) -> Item:
        """The compaction that carries the summary, now that all of it is said. Raises UpstreamError for none."""
        if not self._summary.strip():
            raise UpstreamError("The model gave no summary of the context: It said nothing.", hint="Ask again.")
        self._is_done = True
        return pack(ids.new("cmp"), self._summary.strip())


def context(before: Sequence[Item], output: Sequence[Item]) -> list[Item]:
    """What the model is sent of the items before a turn's output, and of the output: what the last compaction left.

    The turn that compacts has what the user wants now behind the summary: some servers would carry on with a summary
    that comes last, as if it were the beginning of their answer.
    """
    place = _last_compaction(output)
    if place is None:
        earlier = _last_compaction(before)
        rest = before if earlier is None else [*_kept(before[:earlier]), *before[earlier:]]
        return [*rest, *output]
    kept = _kept(before)
    wanted = next((at for at in reversed(range(len(kept))) if kept[at]["role"] == "user"), len(kept))
    return [*kept[:wanted], output[place], *kept[wanted:], *output[place + 1 :]]


def _last_compaction(items: Sequence[Item]) -> int | None:
    return next((at for at in reversed(range(len(items))) if items[at].get("type") == "compaction"), None)


def _kept(items: Sequence[Item]) -> list[Item]:
    """What stays beside a summary, word for word."""
    return [item for item in items if item.get("type", "message") == "message" and item["role"] in _KEPT_ROLES]
