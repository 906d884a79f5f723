"""Requests made up from OpenAI's own description, by schemathesis, on every path that is served: none makes it fail."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.api.compaction import CompactRequest
from harness.api.create_response import CreateResponse
from harness.running import ServerThread
from harness.server import app
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream

pytestmark = pytest.mark.slow

_DESCRIPTION = Path(__file__).parents[3] / "shared" / "openapi" / "openai-openapi.json"
_MAY_BE_501 = ("/responses/input_tokens",)
_METHODS = ("get", "post", "delete")


@cache
def description() -> dict[str, Any]:
    """OpenAI's description cut down to the paths that are served here."""
    if not _DESCRIPTION.exists():
        return {"paths": {}}
    whole: dict[str, Any] = json.loads(_DESCRIPTION.read_text("utf-8"))
    served = {(method.lower(), path.removeprefix("/v1").replace(":.+", "")) for method, path, _ in app.ROUTES}
    paths = {
        path: {method: operation for method, operation in operations.items() if (method, path) in served}
        for path, operations in whole["paths"].items()
    }
    return {
        "openapi": whole["openapi"],
        "info": whole["info"],
        "paths": {path: operations for path, operations in paths.items() if operations},
        "components": {"schemas": whole["components"]["schemas"], "responses": whole["components"]["responses"]},
    }


OPERATIONS = [
    (method, path) for path, operations in description()["paths"].items() for method in _METHODS if method in operations
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    answer = stream(chunk("Hi"), chunk(finish="stop"))
    recordings = tmp_path_factory.mktemp("recordings")
    with scripted(answer) as upstream:
        with ServerThread(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=recordings)) as running:
            yield running


@pytest.mark.skipif(not OPERATIONS, reason=f"OpenAI's description is not at {_DESCRIPTION}")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_of_the_description_makes_the_server_fail(server: ServerThread, method: str, path: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    operation = schemathesis.openapi.from_dict(description())[path][method]
    ids = _ids(server)

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(), st.booleans())
    def ask(case: Any, named: bool) -> None:
        if named:
            case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
            case.body = _tamed(case.body, path, ids["conversation_id"])
        answer = case.call(base_url=server.base_url, timeout=10)
        assert answer.status_code < 500 or (answer.status_code == 501 and path in _MAY_BE_501), answer.content
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"]

    ask()


def _tamed(body: Any, path: str, conversation_id: str) -> Any:
    """A body that is not refused for its first key: without those that nobody knows, and with what is there."""
    body = _known(body)
    if not isinstance(body, dict) or not path.startswith("/responses"):
        return body
    compacts = path == "/responses/compact"
    served = (CompactRequest if compacts else CreateResponse).model_fields.keys() - {"previous_response_id"}
    kept = {name: value for name, value in body.items() if name in served}
    return kept | {"model": "m"} | ({} if compacts else {"conversation": conversation_id})


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(inner) for name, inner in value.items() if name in _names()}
    return [_known(inner) for inner in value] if isinstance(value, list) else value


@cache
def _names() -> frozenset[str]:
    """The name of every property of the description."""
    names: set[str] = set()
    pending: list[Any] = [description()["components"]["schemas"]]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            properties = value.get("properties")
            names |= properties.keys() if isinstance(properties, dict) else set()
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return frozenset(names)


def _ids(server: ServerThread) -> dict[str, str]:
    """Things that are there: half of all paths name them."""
    import requests  # schemathesis brings it

    def made(path: str, **body: Any) -> requests.Response:
        return requests.post(server.base_url + path, json=body, timeout=10)

    conversation = made("/conversations", items=[{"type": "message", "role": "user", "content": "Hi"}]).json()["id"]
    response = made("/responses", model="m", input="Hi", conversation=conversation).json()["id"]
    made("/chat/completions", model="m", messages=[{"role": "user", "content": "Hi"}], store=True)
    listed = requests.get(f"{server.base_url}/conversations/{conversation}/items", timeout=10).json()["data"]
    return {
        "conversation_id": conversation,
        "response_id": response,
        "item_id": listed[0]["id"],
        "completion_id": "chatcmpl-upstream",
    }
