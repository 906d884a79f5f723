"""Prompts kept in versions, and responses that name one: OGX's API over HTTP, and the real client."""

import asyncio
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream
from tests.server.conformance import check_response, needs_descriptions
from tests.server.test_conversation_routes import Api, run

PATH = "/v1/prompts"
ANSWER = stream(chunk("Aye."), chunk(finish="stop"))
PIRATE = {"prompt": "You are a {{ role }}. Say {{role}} and {{ word }}.", "variables": ["role", "word"]}


def test_a_prompt_is_kept_in_versions() -> None:
    async def scenario(api: Api) -> None:
        first = await api("POST", PATH, PIRATE)
        path = f"{PATH}/{first['prompt_id']}"
        assert re.fullmatch(f"{PATH}/pmpt_[0-9a-f]{{48}}", path)
        assert first == PIRATE | {"prompt_id": first["prompt_id"], "version": 1, "is_default": True}

        second = await api("PUT", path, {"prompt": "Hi.", "version": 1})
        assert (second["version"], second["variables"], second["is_default"]) == (2, [], True)
        third = await api("PUT", path, {"prompt": "Ho.", "version": 2, "set_as_default": False})
        assert (third["version"], third["is_default"]) == (3, False)
        assert await api("GET", path) == second
        assert await api("GET", path, params={"version": "1"}) == first | {"is_default": False}
        versions = (await api("GET", f"{path}/versions"))["data"]
        assert [version["prompt"] for version in versions] == [PIRATE["prompt"], "Hi.", "Ho."]
        assert await api("PUT", f"{path}/set-default-version", {"version": 1}) == first

        other = await api("POST", PATH, {"prompt": "Hum."})
        assert (await api("GET", PATH))["data"] == [first, other]
        assert (await api("DELETE", path))["deleted"] is True
        assert (await api("GET", PATH))["data"] == [other]
        assert await api.refused("GET", path, status=404) == (None, None)

    run(scenario)


def test_versions_that_come_at_once_are_all_kept() -> None:
    async def scenario(api: Api) -> None:
        path = f"{PATH}/{(await api('POST', PATH, {'prompt': '1'}))['prompt_id']}"

        async def add(text: str) -> None:
            while True:
                newest = len((await api("GET", f"{path}/versions"))["data"])
                body = {"prompt": text, "version": newest}
                async with api.client.put(path, json=body) as answer:
                    if answer.status == 200:
                        return

        await asyncio.gather(*map(add, "2345"))
        versions = (await api("GET", f"{path}/versions"))["data"]
        assert sorted(version["prompt"] for version in versions) == [*"12345"]

    run(scenario)


def test_what_is_no_prompt_is_refused() -> None:
    async def scenario(api: Api) -> None:
        path = f"{PATH}/{(await api('POST', PATH, {'prompt': 'Hi.'}))['prompt_id']}"
        assert await api.refused("POST", PATH, {"prompt": "{{ a }}"}) == ("invalid_value", "variables")
        assert await api.refused("POST", PATH, {"variables": []}) == ("missing_required_parameter", "prompt")
        assert await api.refused("POST", PATH, {"prompt": "", "name": "x"}) == ("unknown_parameter", "name")
        assert await api.refused("PUT", path, {"prompt": "Ho.", "version": 2}) == ("invalid_value", "version")
        default = f"{path}/set-default-version"
        assert await api.refused("PUT", default, {"version": 0}, status=404) == (None, "version")
        assert await api.refused("GET", f"{path}?version=2", status=404) == (None, "version")
        assert await api.refused("GET", f"{path}?version=x") == ("invalid_value", "version")
        assert await api.refused("DELETE", f"{PATH}/pmpt_0", status=404) == (None, None)
        assert await api.refused("PATCH", path, status=405) == ("method_not_supported", None)

    run(scenario)


def kept_prompt(client: OpenAI) -> str:
    told: Any = client.post("/prompts", cast_to=object, body=PIRATE)
    return str(told["prompt_id"])


@needs_descriptions
def test_a_response_is_told_what_its_prompt_says_and_the_next_one_is_not(tmp_path: Path) -> None:
    def asked_of(settings: Settings) -> list[dict[str, Any]]:
        with ExitStack() as stack:
            server = stack.enter_context(ServerThread(settings))
            client = stack.enter_context(OpenAI(base_url=server.base_url, api_key="k", max_retries=0))
            variables = {"role": "pirate", "word": {"type": "input_text", "text": "{{ role }}"}}
            wanted: Any = {"model": "m", "prompt": {"id": kept_prompt(client), "variables": variables}}
            first = client.responses.create(**wanted, input="Who?", instructions="Be brief.")
            more = client.responses.create(model="m", input="Why?", previous_response_id=first.id)
            # What the prompt says is enough to answer to.
            alone = client.responses.create(**wanted)
        return [told.model_dump(mode="json", exclude_unset=True) for told in (first, more, alone)]

    settings = Settings(mode=Mode.RECORD, recordings=tmp_path)
    with scripted(ANSWER) as upstream:
        recorded = asked_of(replace(settings, upstream=upstream.url))
    assert asked_of(replace(settings, mode=Mode.REPLAY)) == recorded

    told = ("system", "You are a pirate. Say pirate and {{ role }}.")
    assert [[tuple(message.values()) for message in asked["messages"]] for _, asked in upstream.requests] == [
        [("system", "Be brief."), told, ("user", "Who?")],
        [("user", "Who?"), ("assistant", "Aye."), ("user", "Why?")],
        [told],
    ]
    assert recorded[0]["prompt"]["version"] == "1"
    assert recorded[0]["prompt"]["variables"]["word"] == {"type": "input_text", "text": "{{ role }}"}
    assert "prompt" not in recorded[1]
    for response in recorded:
        check_response(response)


@pytest.mark.parametrize(
    ("reference", "code", "param"),
    [
        ({"id": "pmpt_0"}, "prompt_not_found", "prompt"),
        ({"version": "2"}, "prompt_not_found", "prompt.version"),
        ({"version": "newest"}, "invalid_value", "prompt.version"),
        ({"variables": {"role": "x"}}, "missing_required_parameter", "prompt.variables.word"),
        ({"variables": {"colour": "x"}}, "invalid_value", "prompt.variables.colour"),
        (
            {"variables": {"role": "x", "word": {"type": "input_image", "image_url": "data:,"}}},
            *("unsupported_value", "prompt.variables.word"),
        ),
        ({"name": "x"}, "unknown_parameter", "prompt.name"),
    ],
)
def test_a_prompt_that_cannot_be_filled_in_is_an_error(tmp_path: Path, reference: Any, code: str, param: str) -> None:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        with OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
            wanted: Any = {"id": kept_prompt(client), **reference}
            with pytest.raises(openai.BadRequestError) as caught:
                client.responses.create(model="m", input="Hi", prompt=wanted)
    assert (caught.value.code, caught.value.param) == (code, param)
