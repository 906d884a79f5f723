"""The Conversations API over HTTP: a server with counted ids and its state in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.backends.protocol import Answer, Call
from harness.server.app import make_app
from harness.server.context import Services
from harness.server.identity import EPOCH, CountedIdentity
from harness.stores.state import open_state, state_url

HELLO = {"role": "user", "content": "Hello"}
PATH = "/v1/conversations"


class NoBackend:
    """Answers nothing: conversations ask no model."""

    async def send(self, call: Call) -> Answer:
        raise AssertionError(f"asked for {call}")

    async def models(self, call: Call) -> Answer:
        raise AssertionError(f"asked for {call}")

    def forget(self, scope: str | None) -> None:
        """Nothing is counted."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    async def close(self, grace: float | None = None) -> None: ...


@dataclass
class Api:
    """A client that wants a status and gives the JSON of the answer."""

    client: TestClient[web.Request, web.Application]

    async def __call__(self, method: str, path: str, json: Any = None, *, status: int = 200, **options: Any) -> Any:
        async with self.client.request(method, path, json=json, **options) as response:
            body = await response.json()
            assert response.status == status, body
            return body

    async def refused(self, method: str, path: str, json: Any = None, *, status: int = 400) -> tuple[Any, Any]:
        error = (await self(method, path, json, status=status))["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"]
        return error["code"], error["param"]


def run(scenario: Callable[[Api], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        state = await open_state(state_url(None))
        app = make_app(Services(NoBackend(), state, CountedIdentity(state)))
        async with TestClient(TestServer(app)) as client:
            return await scenario(Api(client))

    return asyncio.run(main())


def test_a_conversation_from_its_creation_to_its_end() -> None:
    async def scenario(api: Api) -> None:
        created = await api("POST", PATH, {"metadata": {"topic": "demo"}, "items": [HELLO]})
        path = f"{PATH}/{created['id']}"
        assert created["id"].startswith("conv_")
        assert created == {
            "id": created["id"],
            "object": "conversation",
            "created_at": EPOCH + 1,
            "metadata": {"topic": "demo"},
        }
        assert await api("GET", path) == created

        changed = await api("POST", path, {"metadata": {"topic": "other"}})
        assert changed == created | {"metadata": {"topic": "other"}}
        assert await api("GET", path) == changed
        assert (await api("POST", path, {"metadata": None}))["metadata"] == {}

        assert await api("DELETE", path) == {
            "id": created["id"],
            "object": "conversation.deleted",
            "deleted": True,
        }
        for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/items"), ("GET", "/items/msg_1")):
            assert await api.refused(method, path + rest, status=404) == (None, None)
        assert await api.refused("POST", f"{path}/items", {"items": [HELLO]}, status=404) == (None, None)

    run(scenario)


def test_a_conversation_may_begin_with_nothing() -> None:
    async def scenario(api: Api) -> None:
        created = await api("POST", PATH)
        assert created["metadata"] == {}
        assert await api("GET", f"{PATH}/{created['id']}/items") == {
            "object": "list",
            "data": [],
            "first_id": "",
            "last_id": "",
            "has_more": False,
        }

    run(scenario)


def test_items_are_added_listed_shown_and_deleted() -> None:
    async def scenario(api: Api) -> None:
        conversation = await api("POST", PATH, {"items": [HELLO]})
        path = f"{PATH}/{conversation['id']}/items"
        call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
        added = await api("POST", path, {"items": [call, {"role": "assistant", "content": "Hi"}]})
        assert [item["type"] for item in added["data"]] == ["function_call", "message"]
        assert (added["first_id"], added["last_id"]) == (added["data"][0]["id"], added["data"][1]["id"])

        newest = await api("GET", path, params=[("limit", "2"), ("include[]", "message.input_image.image_url")])
        assert newest["data"] == added["data"][::-1]
        assert newest["has_more"] is True
        rest = await api("GET", path, params={"after": newest["last_id"]})
        assert [item["content"][0]["text"] for item in rest["data"]] == ["Hello"]
        assert rest["has_more"] is False
        oldest = await api("GET", path, params={"order": "asc"})
        assert oldest["data"] == [*rest["data"], *added["data"]]

        one = f"{path}/{added['first_id']}"
        assert await api("GET", one) == added["data"][0]
        assert await api("DELETE", one) == conversation
        assert await api.refused("GET", one, status=404) == (None, None)
        assert await api.refused("DELETE", one, status=404) == (None, None)

    run(scenario)


def test_an_item_of_another_conversation_is_that_item_whatever_it_is_sent_as() -> None:
    async def scenario(api: Api) -> None:
        other = await api("POST", PATH, {"items": [HELLO]})
        [kept] = (await api("GET", f"{PATH}/{other['id']}/items"))["data"]
        changed = {"role": "user", "content": "Changed."}
        invented = {**changed, "id": "msg_1"}
        await api("POST", PATH, {"items": [{**HELLO, "id": "msg_1"}]})

        copy = await api("POST", PATH, {"items": [{**changed, "id": kept["id"]}]})
        path = f"{PATH}/{copy['id']}/items"
        added = await api("POST", path, {"items": [invented, {**changed, "id": "msg_" + "0" * 48}]})
        assert [item["content"][0]["text"] for item in added["data"]] == ["Changed.", "Changed."]
        await api("DELETE", f"{PATH}/{other['id']}")
        assert await api("GET", f"{path}/{kept['id']}") == kept

    run(scenario)


def test_a_run_repeated_on_fresh_state_gets_the_same_ids() -> None:
    async def scenario(api: Api) -> list[Any]:
        first = await api("POST", PATH, {"items": [HELLO]})
        second = await api("POST", PATH, {"items": [HELLO]})
        scoped = await api("POST", PATH, {"items": [HELLO]}, headers={"X-Harness-Test-Id": "tests/a.py::b"})
        items = [await api("GET", f"{PATH}/{made['id']}/items") for made in (first, second, scoped)]
        assert len({made["id"] for made in (first, second, scoped)}) == 3
        assert len({page["first_id"] for page in items}) == 3
        return [first, second, scoped, *items]

    assert run(scenario) == run(scenario)


@pytest.mark.parametrize(
    ("method", "rest", "body", "code", "param"),
    [
        ("POST", "", {"metadata": {}, "name": "x"}, "unknown_parameter", "name"),
        ("POST", "", {}, "missing_required_parameter", "metadata"),
        ("POST", "", {"metadata": {str(n): "" for n in range(17)}}, "object_above_max_properties", "metadata"),
        ("POST", "/items", {}, "missing_required_parameter", "items"),
        ("POST", "/items", {"items": [HELLO] * 21}, "array_above_max_length", "items"),
        ("POST", "/items", {"items": [HELLO, {"type": "massage"}]}, "invalid_value", "items[1].type"),
        ("POST", "/items", {"items": [HELLO, {"type": "item_reference", "id": "m"}]}, "invalid_value", "items[1]"),
        ("POST", "/items", {"items": [HELLO | {"id": "msg_1"}] * 2}, "invalid_value", None),
        ("POST", "/items?include=everything", {"items": []}, "invalid_value", "include[0]"),
        ("POST", "/items", [], "invalid_type", None),
        ("GET", "/items?limit=0", None, "integer_below_min_value", "limit"),
        ("GET", "/items?limit=101", None, "integer_above_max_value", "limit"),
        ("GET", "/items?order=up", None, "invalid_value", "order"),
        ("GET", "/items?after=msg_0", None, "invalid_value", "after"),
        ("GET", "/items/msg_1?include=everything", None, "invalid_value", "include[0]"),
    ],
)
def test_what_is_not_allowed_is_refused_and_leaves_nothing(
    method: str, rest: str, body: Any, code: str, param: str | None
) -> None:
    async def scenario(api: Api) -> None:
        path = f"{PATH}/{(await api('POST', PATH))['id']}"
        assert await api.refused(method, path + rest, body) == (code, param)
        assert (await api("GET", f"{path}/items"))["data"] == []

    run(scenario)


def test_ids_of_other_things_and_of_nothing() -> None:
    async def scenario(api: Api) -> None:
        for method, rest in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/items"), ("GET", "/items/msg_1")):
            refusal = await api.refused(method, f"{PATH}/resp_1{rest}", {"metadata": {}})
            assert refusal == ("invalid_id_prefix", "conversation_id")
        for unknown in ("conv_0", "conv_%00", "conv_%FF", "conv_%ED%A0%80", "conv_" + "a" * 500):
            assert await api.refused("GET", f"{PATH}/{unknown}", status=404) == (None, None)
        path = f"{PATH}/{(await api('POST', PATH))['id']}"
        for unknown in ("msg_0", "%00", "%FF", "a%2Fb"):
            assert await api.refused("GET", f"{path}/items/{unknown}", status=404) == (None, None)

    run(scenario)


def test_what_many_clients_add_at_once_is_all_there() -> None:
    async def scenario(api: Api) -> None:
        path = f"{PATH}/{(await api('POST', PATH))['id']}/items"
        await asyncio.gather(*(api("POST", path, {"items": [HELLO, HELLO]}) for _ in range(30)))
        page = await api("GET", path, params={"limit": "100"})
        assert len({item["id"] for item in page["data"]}) == 60

    run(scenario)
