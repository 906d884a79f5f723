"""The items of MCP while they come to be: a server's list of tools, a call that is run here, a request for approval."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from harness.turn.ids import Ids
from harness.turn.open_call import Key, OpenCall
from harness.turn.toolbox import Offer

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]


def list_events(item: Item, position: int) -> Iterator[Event]:
    """The events of a server's tools having been listed, or not, if the item has an error."""
    place = {"output_index": position}
    where = {"item_id": item["id"], **place}
    opening = {name: value for name, value in item.items() if name != "error"}
    yield {"type": "response.output_item.added", **place, "item": {**opening, "tools": []}}
    yield {"type": "response.mcp_list_tools.in_progress", **where}
    yield {"type": f"response.mcp_list_tools.{'failed' if 'error' in item else 'completed'}", **where}
    yield {"type": "response.output_item.done", **place, "item": dict(item)}


class McpCall:
    """A call of an MCP tool: said by the model (where it was a ``call`` before its name was known), run by us."""

    def __init__(self, server_label: str, name: str, position: int, ids: Ids, call: OpenCall | None = None) -> None:
        self._key = call.key if call else None
        self._unsaid = call.unsaid if call else ""
        self._place = {"output_index": position}
        self._is_shown = False
        self.item: Item = {"id": ids.new("mcp"), "type": "mcp_call", "server_label": server_label, "name": name}
        self.item |= {"arguments": "", "approval_request_id": None, "output": None, "error": None}

    def takes(self, key: Key) -> bool:
        return key == self._key

    def say(self, text: str) -> Iterator[Event]:
        if not self._is_shown:
            self._is_shown = True
            opening = {**self.item, "status": "in_progress"}
            yield {"type": "response.output_item.added", **self._place, "item": opening}
            yield {"type": "response.mcp_call.in_progress", **self._where()}
        text, self._unsaid = self._unsaid + text, ""
        if text:
            self.item["arguments"] += text
            yield {"type": "response.mcp_call_arguments.delta", **self._where(), "delta": text}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], **self._place}

    def end(self, status: str) -> Iterator[Event]:
        """All is said. Unless it was cut off, ``finish`` has the last word on the status."""
        self.item["status"] = status
        yield {"type": "response.mcp_call_arguments.done", **self._where(), "arguments": self.item["arguments"]}

    def finish(self, output: str | None, error: dict[str, Any] | None) -> Iterator[Event]:
        """What came of it; neither for a call that was not made, since the model was cut off."""
        if output is None:
            self.item["status"] = "incomplete" if error is None else "failed"
        self.item |= {"output": output, "error": error}
        kind = "completed" if output is not None else "failed"
        yield {"type": f"response.mcp_call.{kind}", **self._where()}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


class ApprovalRequest:
    """A call of an MCP tool that the user has to approve first: shown when all of it is said, never when cut off."""

    def __init__(self, call: OpenCall, offer: Offer, ids: Ids) -> None:
        self._key, self._place, self._arguments = call.key, call.place, call.unsaid
        self.item: Item | None = None
        self._opening: Item = {"id": ids.new("mcpr"), "type": "mcp_approval_request"}
        self._opening |= {"server_label": offer.server_label, "name": offer.name}

    def takes(self, key: Key) -> bool:
        return key == self._key

    def say(self, text: str) -> Iterator[Event]:
        self._arguments += text
        return iter(())

    def end(self, status: str) -> Iterator[Event]:
        if status == "completed":
            self.item = self._opening | {"arguments": self._arguments or "{}"}
            yield {"type": "response.output_item.added", **self._place, "item": dict(self.item)}
            yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


class Passed:
    """A call past the most that a turn may make: it is passed over, and shown to nobody but the model."""

    item = None

    def __init__(self, call: OpenCall, offer: Offer, most: int, ids: Ids) -> None:
        self._key = call.key
        # OGX's words, so that its recordings answer.
        output = f"Tool call skipped: maximum tool calls limit ({most}) reached."
        self.told: Item = {"id": ids.new("mcp"), "type": "mcp_call", "server_label": offer.server_label}
        self.told |= {"name": offer.name, "arguments": call.unsaid, "output": output, "error": None}

    def takes(self, key: Key) -> bool:
        return key == self._key

    def say(self, text: str) -> Iterator[Event]:
        self.told["arguments"] += text
        return iter(())

    def end(self, _: str) -> Iterator[Event]:
        return iter(())
