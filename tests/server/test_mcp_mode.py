"""The model in one mode, MCP servers in another; and servers that have in common all that a request says of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.backends.journal import Outcome
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.mcp_server import Served, mcp_server
from tests.scripted_upstream import scripted
from tests.server.test_mcp import ADD, calls, says

GONE = "http://127.0.0.1:1/v1"
ROME, PARIS = "tests/test_cities.py::test_rome", "tests/test_cities.py::test_paris"


def tools(served: Served, **more: Any) -> list[Any]:
    return [{"type": "mcp", "server_label": "tools", "server_url": served.url, "require_approval": "never"} | more]


@contextmanager
def harness(directory: Path, mode: Mode, servers: Mode | None, upstream: str = GONE, **more: Any) -> Iterator[Any]:
    with ServerThread(Settings(mode, directory, upstream, mcp_mode=servers, **more)) as server:
        yield server


def answer(server: ServerThread, scope: str, tools: list[Any]) -> Any:
    with OpenAI(base_url=server.scoped(scope), api_key="none", max_retries=0) as client:
        return client.responses.create(model="m", input="Hi", tools=tools)


def of_servers(directory: Path) -> list[Path]:
    return [file for file in directory.iterdir() if "/mcp/" in file.read_text()]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A turn of Rome's that lists, calls, and ends."""
    with mcp_server() as served, scripted(calls(ADD), says("Three.")) as upstream:
        with harness(tmp_path, Mode.RECORD, None, upstream.url) as server:
            answer(server, ROME, tools(served))
    return tmp_path


def test_the_model_is_replayed_and_the_server_is_asked(recorded: Path) -> None:
    for file in of_servers(recorded):
        file.unlink()
    with mcp_server() as served, harness(recorded, Mode.REPLAY, Mode.LIVE) as server:
        told = answer(server, ROME, tools(served))
        outcomes = server.parts.journal.count()

    assert [item.type for item in told.output] == ["mcp_list_tools", "mcp_call", "message"]
    assert (told.output[1].output, told.output_text) == ("3", "Three.")
    assert served.calls == ["add 1 2"]
    assert outcomes == {Outcome.LIVE: 2, Outcome.REPLAYED: 2}
    assert of_servers(recorded) == []


def test_what_a_server_is_asked_is_recorded_beside_a_replayed_model(recorded: Path) -> None:
    for file in of_servers(recorded):
        file.unlink()
    asked = []
    for mode in (Mode.RECORD_IF_MISSING, Mode.RECORD_IF_MISSING, Mode.RECORD, Mode.REPLAY):
        with mcp_server() as served, harness(recorded, Mode.REPLAY, mode) as server:
            assert answer(server, ROME, tools(served)).output_text == "Three."
        asked.append(served.calls)
    assert asked == [["add 1 2"], [], ["add 1 2"], []]
    assert len(of_servers(recorded)) == 2


def test_a_live_model_has_recorded_servers(recorded: Path) -> None:
    with mcp_server() as served, scripted(calls(ADD), says("3")) as upstream:
        with harness(recorded, Mode.LIVE, Mode.REPLAY, upstream.url) as server:
            assert answer(server, ROME, tools(served)).output_text == "3"
    assert (served.methods, len(upstream.requests)) == ([], 2)


@pytest.mark.parametrize("mode", [Mode.REPLAY, Mode.RECORD_IF_MISSING])
def test_a_server_is_asked_before_another_tests_recording_answers_for_it(recorded: Path, mode: Mode) -> None:
    # Its label and its path are those of Rome's server; it has one tool more.
    with mcp_server(counting=True) as served, scripted(says("Hello.")) as upstream:
        with harness(recorded, Mode.RECORD_IF_MISSING, mode, upstream.url) as server:
            told = answer(server, PARIS, tools(served))
    if mode is Mode.REPLAY:
        # Where it cannot be asked, a test that was renamed loses nothing.
        assert [tool.name for tool in told.output[0].tools] == ["add", "send"]
    else:
        assert [tool.name for tool in told.output[0].tools] == ["add", "send", "count"]


def test_a_miss_says_which_server_and_how_to_ask_it(tmp_path: Path) -> None:
    with mcp_server() as served, harness(tmp_path, Mode.REPLAY, None) as server:
        with pytest.raises(openai.NotFoundError) as caught:
            answer(server, ROME, tools(served))
    said = str(caught.value)
    assert "No recording for POST /mcp/tools/list (MCP server tools at http://localhost/mcp), key " in said
    assert "0 recordings, 0 for this endpoint, scope" in said
    assert f'Or ask the server itself, every time:  HARNESS_MCP_MODE=live pytest "{ROME}"' in said
    assert served.methods == []


def test_a_miss_in_the_middle_is_no_reason_to_ask_again(recorded: Path) -> None:
    files = {file: file.read_text() for file in recorded.iterdir()}
    next(file for file, text in files.items() if '"role": "tool"' in text).unlink()
    with mcp_server() as served, harness(recorded, Mode.REPLAY, Mode.LIVE) as server:
        with OpenAI(base_url=server.scoped(ROME), api_key="none", max_retries=2) as client:
            with pytest.raises(openai.NotFoundError) as caught:
                client.responses.create(model="m", input="Hi", tools=tools(served))
    assert caught.value.code == "recording_not_found"
    assert served.calls == ["add 1 2"]


def test_a_server_of_ones_own_stands_in_for_a_connector_of_openais(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(calls(ADD), says("Three.")) as upstream:
        connectors = {"connector_gmail": served.url}
        wanted: Any = tools(served, server_url=None, connector_id="connector_gmail", authorization="Sesame")
        with harness(tmp_path, Mode.RECORD, None, upstream.url, mcp_connectors=connectors) as server:
            told = answer(server, ROME, wanted)
    with harness(tmp_path, Mode.REPLAY, None, mcp_connectors={"connector_gmail": "http://localhost:1/mcp"}) as server:
        assert answer(server, ROME, wanted).output == told.output
        # Another one, or a tunnel, is nowhere.
        for other in ({"connector_id": "connector_dropbox"}, {"tunnel_id": "tunnel_1"}):
            with pytest.raises(openai.BadRequestError, match="that OpenAI alone can reach") as caught:
                answer(server, ROME, [wanted[0] | other])
            assert caught.value.param == f"tools[0].{next(iter(other))}"

    assert [item.type for item in told.output] == ["mcp_list_tools", "mcp_call", "message"]
    assert (told.tools[0].connector_id, told.tools[0].server_url) == ("connector_gmail", None)
    assert {headers["authorization"] for headers in served.headers} == {"Bearer Sesame"}


@pytest.mark.parametrize(("approval", "kind"), [("always", "mcp_approval_request"), ("never", "mcp_call")])
def test_what_a_call_needs_where_the_request_does_not_say(tmp_path: Path, approval: Any, kind: str) -> None:
    with mcp_server() as served, scripted(calls(ADD), says("Three.")) as upstream:
        with harness(tmp_path, Mode.LIVE, None, upstream.url, mcp_approval=approval) as server:
            told = answer(server, ROME, tools(served, require_approval=None))
    assert told.output[1].type == kind
    assert told.tools[0].require_approval == approval
