"""Approvals of MCP calls: the requests, their responses, and what is to be done about them."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from harness.errors import InvalidRequest
from harness.turn.toolbox import Toolbox

Item: TypeAlias = dict[str, Any]


def approved(items: Iterable[Item], toolbox: Toolbox) -> list[Item]:
    """The approval requests that were approved and whose calls were not made yet, in the order of their responses.

    Raises InvalidRequest for a response to a request that is not there, or whose server is not.
    """
    requests: dict[str, Item] = {}
    waiting: dict[str, Item] = {}
    for item in items:
        kind = item.get("type")
        if kind == "mcp_approval_request":
            requests[item["id"]] = item
        elif kind == "mcp_call":
            waiting.pop(str(item.get("approval_request_id")), None)
        elif kind == "mcp_approval_response":
            request = _request(requests, item)
            if item["approve"]:
                waiting[request["id"]] = request
    for request in waiting.values():
        if not toolbox.has_server(request["server_label"]):
            raise InvalidRequest(
                f"The MCP server '{request['server_label']}' of the approved call '{request['id']}' is not in 'tools'.",
                hint="Name it again: a turn knows no tools but its own.",
                param="tools",
            )
    return list(waiting.values())


def _request(requests: dict[str, Item], response: Item) -> Item:
    request = requests.get(response["approval_request_id"])
    if request is None:
        raise InvalidRequest(
            f"No approval request found for approval response with approval_request_id "
            f"'{response['approval_request_id']}'.",
            param="input",
        )
    return request


def with_refusals(items: Iterable[Item]) -> list[Item]:
    """The items with every refusal as the call that was not made: what the model is told of it."""
    requests: dict[str, Item] = {}
    told: list[Item] = []
    for item in items:
        kind = item.get("type")
        if kind == "mcp_approval_request":
            requests[item["id"]] = item
        elif kind == "mcp_approval_response" and not item["approve"] and item["approval_request_id"] in requests:
            reason = f": {item['reason']}" if item.get("reason") else "."
            error = {"type": "mcp_protocol_error", "message": f"The user did not approve this call{reason}"}
            told.append(requests[item["approval_request_id"]] | {"type": "mcp_call", "error": error})
        else:
            told.append(item)
    return told
