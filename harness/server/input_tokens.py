"""``/v1/responses/input_tokens``: how many tokens a response's request would send."""

import asyncio

from aiohttp import web

from harness.api.create_response import parse_create
from harness.errors import HarnessError
from harness.server.context import json_body, services
from harness.server.prompts import with_prompt
from harness.server.responses import history_of, new_items
from harness.turn.compacting import context
from harness.turn.ids import Ids
from harness.turn.question import chat_body
from harness.turn.tokens import prompt_tokens

_ANY_MODEL = "gpt-4o"
"""Counted for where no model is named: unlike the request of a response, this one need not."""


async def count(request: web.Request) -> web.Response:
    """An estimate: what the model is sent, history included, as OpenAI's tokenizers cut it. Asks nobody."""
    parts = services(request)
    body = {name: value for name, value in (await json_body(request)).items() if name != "personality"}
    wanted = parse_create(body | {"model": body.get("model") or _ANY_MODEL}, parts.upstream_parameters, parts.mcp)
    history = await history_of(request, wanted)
    given, _ = await new_items(request, wanted, history, Ids("input_tokens").new)
    wanted, told = await with_prompt(parts.state, wanted)
    asked = chat_body(wanted, [*told, *context([*history, *given], [])])
    counted = await asyncio.to_thread(lambda: prompt_tokens(asked, parts.counter(str(wanted.model))))
    if counted is None:
        raise HarnessError(
            "The tokens of images, sound and files cannot be counted: only the model's provider knows them.",
            hint="Count the request without them.",
            param="input",
            code="tokens_unavailable",
            http_status=501,
        )
    return web.json_response({"object": "response.input_tokens", "input_tokens": counted})


ROUTES = [("POST", "/v1/responses/input_tokens", count)]
