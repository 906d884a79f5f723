"""``/v1/responses/compact``: a conversation made short by a summary, which the model that is named writes."""

from typing import Any

from aiohttp import web

from harness.api.compaction import compacted, compaction_object, pack, parse_compact, request_item
from harness.errors import UpstreamError
from harness.server.context import json_body, scope_of, services
from harness.server.drive import Driver
from harness.server.inference import RECORDING_HEADER, headers_for_upstream
from harness.server.responses import history_of, new_items
from harness.turn.machine import Plan


async def compact(request: web.Request) -> web.Response:
    """Ask the model for a summary, as of any response. What is left can be continued by the compaction's id."""
    parts = services(request)
    wanted = parse_compact(await json_body(request))
    history = await history_of(request, wanted)
    origin = await parts.identity.origin(scope_of(request))
    given, _ = await new_items(request, wanted, history, origin.ids.new)
    items = [*history, *given]
    plan = Plan(wanted, items, [request_item(origin.ids.new("msg"))], None, origin.ids, origin.now)
    headers = headers_for_upstream(request)
    driver = Driver(parts.backend, parts.state, scope_of(request), headers, lambda: parts.identity.end(origin))
    response = await driver.drive(plan, _nowhere)
    output = compacted(items, pack(origin.ids.new("cmp"), _summary(response)))
    # Kept as a response that said nothing: what is left is what was before it.
    kept = response | {"output": [], "store": True}
    await parts.state.save_turn(kept, input_items=output, conversation_id=None, new_items=[], keep=True)
    named = {RECORDING_HEADER: ", ".join(driver.recordings)} if driver.recordings else {}
    return web.json_response(compaction_object(response, output), headers=named)


async def _nowhere(_: dict[str, Any]) -> None:
    """For a turn whose events nobody reads."""


def _summary(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    summary = "".join(part["text"] for part in parts if part["type"] == "output_text").strip()
    if not summary:
        why = (response["error"] or {}).get("message") or "It said nothing."
        raise UpstreamError(f"The model gave no summary: {why}", hint="Ask again.")
    return summary


ROUTES = [("POST", "/v1/responses/compact", compact)]
