"""``/v1/prompts``: prompts kept in the state, and what one of them says to a response that names it."""

from collections.abc import Callable

from aiohttp import web

from harness.api.create_response import CreateResponse
from harness.api.errors import invalid_value, not_found
from harness.api.prompts import (
    CreatePrompt,
    DefaultVersion,
    Object,
    UpdatePrompt,
    filled,
    new_prompt,
    next_version,
    no_prompt,
    shown_prompt,
    with_default,
)
from harness.api.validation import is_id, parse
from harness.errors import NotFound
from harness.server.context import json_body, scope_of, services
from harness.stores.protocol import StateStore
from harness.turn.messages import Item


async def with_prompt(state: StateStore, wanted: CreateResponse) -> tuple[CreateResponse, list[Item]]:
    """The request, which names the prompt's version then, and what the prompt says, as a message.

    Raises InvalidRequest for a prompt that is not there, and for variables that it has not, or that lack.
    """
    if wanted.prompt is None:
        return wanted, []
    try:
        kept = await _kept(state, wanted.prompt.id)
    except NotFound as missing:
        raise no_prompt(missing, "prompt") from None
    text, reference = filled(kept, wanted.prompt)
    return wanted.model_copy(update={"prompt": reference}), [{"type": "message", "role": "system", "content": text}]


async def _kept(state: StateStore, prompt_id: str) -> Object:
    found = await state.prompt(prompt_id) if is_id(prompt_id) else None
    if found is None:
        raise not_found("Prompt", prompt_id)
    return found


async def create(request: web.Request) -> web.Response:
    body = parse(CreatePrompt, await json_body(request))
    parts = services(request)
    prompt = new_prompt((await parts.identity.origin(scope_of(request))).ids.new("pmpt"), body)
    await parts.state.add_prompt(prompt)
    return web.json_response(shown_prompt(prompt))


async def list_all(request: web.Request) -> web.Response:
    """Every prompt, in its default version."""
    return web.json_response({"data": [shown_prompt(kept) for kept in await services(request).state.prompts()]})


async def list_versions(request: web.Request) -> web.Response:
    kept = await _named(request)
    numbers = range(1, len(kept["versions"]) + 1)
    return web.json_response({"data": [shown_prompt(kept, number) for number in numbers]})


async def retrieve(request: web.Request) -> web.Response:
    """One version, by default the default one."""
    version = request.query.get("version")
    if version is not None and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise invalid_value("version", f"Invalid 'version': '{version[:64]}' is no version: they are numbers.")
    return web.json_response(shown_prompt(await _named(request), None if version is None else int(version)))


async def update(request: web.Request) -> web.Response:
    """Keep another version."""
    body = parse(UpdatePrompt, await json_body(request))
    changed = await _changed(request, lambda kept: next_version(kept, body))
    return web.json_response(shown_prompt(changed, len(changed["versions"])))


async def set_default(request: web.Request) -> web.Response:
    body = parse(DefaultVersion, await json_body(request))
    return web.json_response(shown_prompt(await _changed(request, lambda kept: with_default(kept, body.version))))


async def delete(request: web.Request) -> web.Response:
    """Delete a prompt with all of its versions. OGX says nothing of it; this is how OpenAI's API says such things."""
    kept = await _named(request)
    await services(request).state.delete_prompt(kept["id"])
    return web.json_response({"id": kept["id"], "object": "prompt.deleted", "deleted": True})


async def _named(request: web.Request) -> Object:
    return await _kept(services(request).state, request.match_info["prompt_id"])


async def _changed(request: web.Request, change: Callable[[Object], Object]) -> Object:
    """Change the prompt that the path names. Where somebody else did so meanwhile, theirs is what is changed."""
    while True:
        kept = await _named(request)
        changed = change(kept)
        if await services(request).state.replace_prompt(kept, changed):
            return changed


ROUTES = [
    ("POST", "/v1/prompts", create),
    ("GET", "/v1/prompts", list_all),
    ("GET", "/v1/prompts/{prompt_id}", retrieve),
    ("PUT", "/v1/prompts/{prompt_id}", update),
    ("DELETE", "/v1/prompts/{prompt_id}", delete),
    ("GET", "/v1/prompts/{prompt_id}/versions", list_versions),
    ("PUT", "/v1/prompts/{prompt_id}/set-default-version", set_default),
]
