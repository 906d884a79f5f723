"""``/v1/responses`` over a WebSocket."""

import asyncio
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, WSServerHandshakeError

from tests.server.conformance import check_stream, needs_descriptions
from tests.server.test_responses_backend import HELLO, PATH, STOP, Api, Played, run

Event: TypeAlias = dict[str, Any]

ASK = {"type": "response.create", "model": "m", "input": "Hi"}
_LAST = ("response.completed", "response.failed", "response.steer.failed", "error")


async def answer(socket: ClientWebSocketResponse) -> list[Event]:
    """The events up to the one that ends a response."""
    said: list[Event] = []
    while not said or said[-1]["type"] not in _LAST:
        said.append(await socket.receive_json(timeout=5))
    return said


@needs_descriptions
def test_a_turn_says_over_a_socket_what_it_says_in_a_stream() -> None:
    async def scenario(api: Api) -> None:
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(ASK | {"stream": True})
            said = await answer(socket)
        check_stream(said)
        streamed = await api.stream()
        assert [event["type"] for event in said] == [event["type"] for event in streamed]
        status, kept = await api("GET", f"{PATH}/{said[-1]['response']['id']}")
        assert (status, kept) == (200, said[-1]["response"])

    run(Played(), scenario)


def test_a_response_that_is_not_kept_goes_on_over_its_socket_alone() -> None:
    async def scenario(api: Api) -> None:
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(ASK | {"store": False})
            first = (await answer(socket))[-1]["response"]["id"]
            more = ASK | {"previous_response_id": first, "input": "More"}
            await socket.send_json(more)
            second = (await answer(socket))[-1]["response"]
        assert second["previous_response_id"] == first
        _, listed = await api("GET", f"{PATH}/{second['id']}/input_items", params={"order": "asc"})
        texts = [item["content"][0]["text"] for item in listed["data"]]
        assert texts == ["Hi", "Hello", "More"]
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(more)
            assert (await answer(socket))[-1]["error"]["code"] == "previous_response_not_found"

    run(Played(), scenario)


def test_a_page_of_anybody_elses_opens_no_socket() -> None:
    async def scenario(api: Api) -> None:
        with pytest.raises(WSServerHandshakeError) as refused:
            await api.client.ws_connect(PATH, headers={"Origin": "https://example.com"})
        assert refused.value.status == 403
        async with api.client.ws_connect(PATH, headers={"Origin": "http://localhost:5173"}) as socket:
            await socket.send_json(ASK)
            assert (await answer(socket))[-1]["type"] == "response.completed"

    run(Played(), scenario)


def test_one_lane_is_answered_in_order_and_two_side_by_side() -> None:
    go_on = asyncio.Event()

    async def scenario(api: Api) -> None:
        backend.chunks = (HELLO, go_on, STOP)
        async with api.client.ws_connect(PATH) as socket:
            for lane in ("a", "a", "b"):
                await socket.send_json(ASK | {"stream_id": lane})
            begun = [await socket.receive_json(timeout=5) for _ in range(10)]
            assert [event["stream_id"] for event in begun if event["type"] == "response.created"] == ["a", "b"]
            go_on.set()
            ended = [(await answer(socket))[-1]["stream_id"] for _ in range(3)]
            assert sorted(ended) == ["a", "a", "b"]

    backend = Played()
    run(backend, scenario)


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        ("{", "invalid_json", None),
        ('{"model": "m"}', "missing_required_parameter", "type"),
        ('{"type": "response.dance"}', "invalid_value", "type"),
        ('{"type": "response.create", "stream_id": 7}', "invalid_type", "stream_id"),
        ('{"type": "response.create", "input": "Hi"}', "missing_required_parameter", "model"),
        ('{"type": "response.create", "model": "m", "generate": false}', "unsupported_parameter", "generate"),
        ('{"type": "response.create", "model": "m", "background": true}', "unsupported_parameter", "background"),
    ],
)
def test_what_is_wrong_is_said_and_the_socket_stays(wrong: str, code: str, param: str | None) -> None:
    async def scenario(api: Api) -> None:
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_str(wrong)
            [event] = await answer(socket)
            assert (event["type"], event["status"]) == ("error", 400)
            assert (event["error"]["code"], event["error"]["param"]) == (code, param)
            await socket.send_json(ASK)
            assert (await answer(socket))[-1]["type"] == "response.completed"

    run(Played(), scenario)


def test_a_response_cannot_be_steered() -> None:
    steer = {"type": "response.steer", "input": "Faster", "previous_response_id": "resp_0"}

    async def scenario(api: Api) -> None:
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(steer)
            [event] = await answer(socket)
            assert event["error"]["code"] == "steering_not_supported"
            assert event["steer"] == {"input": "Faster", "previous_response_id": "resp_0"}

    run(Played(), scenario)


def test_a_client_that_leaves_stops_no_turn() -> None:
    go_on = asyncio.Event()

    async def scenario(api: Api) -> None:
        backend.chunks = (HELLO, go_on, STOP)
        conversation = await api.conversation()
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(ASK | {"conversation": conversation})
            await socket.receive_json(timeout=5)
        go_on.set()
        while len(await api.items(conversation)) < 2:  # noqa: ASYNC110 - what is waited for is in the state
            await asyncio.sleep(0.01)

    backend = Played()
    run(backend, scenario)


def test_a_server_that_ends_says_so_when_the_turn_is_over() -> None:
    go_on = asyncio.Event()

    async def scenario(api: Api) -> None:
        backend.chunks = (HELLO, go_on, STOP)
        async with api.client.ws_connect(PATH) as socket:
            await socket.send_json(ASK)
            await socket.receive_json(timeout=5)
            ending = asyncio.create_task(api.client.app.shutdown())
            await asyncio.sleep(0)
            go_on.set()
            assert (await answer(socket))[-1]["type"] == "response.completed"
            assert (await socket.receive()).type is WSMsgType.CLOSE
            assert socket.close_code == WSCloseCode.GOING_AWAY
            await ending

    backend = Played()
    run(backend, scenario)
