"""``prompt`` of a response, and ``/v1/prompts``: instructions with variables, kept in versions.

Source: OpenAI's description for the reference (``Prompt``). OpenAI keeps the templates themselves in its dashboard;
their API here is that of OGX.
"""

import re
from typing import Any, TypeAlias

from pydantic import StrictBool, StrictInt, StrictStr

from harness.api.closed import Closed
from harness.api.errors import invalid_value
from harness.errors import InvalidRequest, NotFound

Object: TypeAlias = dict[str, Any]
"""A prompt as it is kept: its ``id``, the number of its ``default`` version, and its ``versions``, oldest first."""

_VARIABLE = re.compile(r"{{\s*(\w+)\s*}}")


class PromptReference(Closed):
    """``prompt`` of ``responses.create``; the values of variables are looked at when it is filled in."""

    id: StrictStr
    version: StrictStr | None = None
    variables: dict[StrictStr, Any] | None = None


class CreatePrompt(Closed):
    """The body of ``POST /v1/prompts``."""

    prompt: StrictStr
    variables: list[StrictStr] | None = None


class UpdatePrompt(CreatePrompt):
    """The body of ``PUT /v1/prompts/{prompt_id}``: the version that follows ``version``."""

    version: StrictInt
    set_as_default: StrictBool | None = None


class DefaultVersion(Closed):
    """The body of ``PUT /v1/prompts/{prompt_id}/set-default-version``."""

    version: StrictInt


def new_prompt(prompt_id: str, body: CreatePrompt) -> Object:
    """A prompt with its first version. Raises InvalidRequest for a text with variables that are not declared."""
    return {"id": prompt_id, "default": 1, "versions": [_version(body)]}


def next_version(kept: Object, body: UpdatePrompt) -> Object:
    """The prompt with one version more. Raises InvalidRequest where the newest is another than the client thinks."""
    newest = len(kept["versions"])
    if body.version != newest:
        raise invalid_value("version", f"Invalid 'version': {body.version} is not the newest one, which is {newest}.")
    default = kept["default"] if body.set_as_default is False else newest + 1
    return kept | {"default": default, "versions": [*kept["versions"], _version(body)]}


def with_default(kept: Object, version: int) -> Object:
    """The prompt with another default version. Raises NotFound."""
    return kept | {"default": shown_prompt(kept, version)["version"]}


def shown_prompt(kept: Object, version: int | None = None) -> Object:
    """One version of a prompt, by default the default one. Raises NotFound."""
    number = kept["default"] if version is None else version
    if not 0 < number <= len(kept["versions"]):
        raise NotFound(f"Version {number} of the prompt with id '{kept['id']}' not found.", param="version")
    is_default = number == kept["default"]
    return {"prompt_id": kept["id"], "version": number, **kept["versions"][number - 1], "is_default": is_default}


def no_prompt(missing: NotFound, param: str) -> InvalidRequest:
    """What a response says that names a prompt, or a version, that is not there: it is at fault, not its path."""
    return InvalidRequest(
        missing.message,
        hint="Keep one with POST /v1/prompts, or have the provider's own: harness serve --responses upstream.",
        param=param,
        code="prompt_not_found",
    )


def filled(kept: Object, reference: PromptReference) -> tuple[str, PromptReference]:
    """What a prompt says, and the reference to just this version. Raises InvalidRequest."""
    number = reference.version
    if number is not None and not re.fullmatch("[1-9][0-9]{0,8}", number):
        raise invalid_value(
            "prompt.version", f"Invalid 'prompt.version': '{number[:64]}' is no version: they are numbers."
        )
    try:
        prompt = shown_prompt(kept, None if number is None else int(number))
    except NotFound as missing:
        raise no_prompt(missing, "prompt.version") from None
    given = reference.variables or {}
    for name in given.keys() - set(prompt["variables"]):
        raise invalid_value(
            f"prompt.variables.{name[:64]}", f"The prompt '{kept['id']}' has no variable '{name[:64]}'."
        )

    def value(match: re.Match[str]) -> str:
        return _value(match[1], given)

    text = _VARIABLE.sub(value, prompt["prompt"])
    return text, reference.model_copy(update={"version": str(prompt["version"])})


def _version(body: CreatePrompt) -> Object:
    declared = list(dict.fromkeys(body.variables or []))
    for name in _VARIABLE.findall(body.prompt):
        if name not in declared:
            raise invalid_value(
                "variables", f"Invalid 'variables': the prompt uses '{name[:64]}', which is not declared."
            )
    return {"prompt": body.prompt, "variables": declared}


def _value(name: str, given: Object) -> str:
    path = f"prompt.variables.{name[:64]}"
    value = given.get(name)
    if isinstance(value, dict) and value.get("type") == "input_text":
        value = value.get("text")
    if isinstance(value, str):
        return value
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
    raise InvalidRequest(
        f"Invalid '{path}': a prompt's text can hold nothing but text.",
        hint="Send pictures and files in the input.",
        param=path,
        code="unsupported_value",
    )
