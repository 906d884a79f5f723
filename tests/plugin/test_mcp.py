"""The plugin's mode of MCP servers: a test that starts its own server in the process, and has the model replayed."""

import importlib
from typing import Any

import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.mcp_server import mcp_server
from tests.scripted_upstream import scripted
from tests.server.test_mcp import ADD, calls, says, tool

TESTS = """
import harness, openai, pytest
from tests.mcp_server import mcp_server
from tests.server.test_mcp import tool

def asked(client):
    with mcp_server() as served, client:
        told = client.responses.create(model="m", input="Hi", tools=[tool(served)])
    assert told.output_text == "Three."
    return served.calls

@pytest.mark.parametrize("way", ["served", "in-process"])
def test_sum(harness_base_url, way):
    transport = harness.transport() if way == "in-process" else None
    assert asked(openai.OpenAI(http_client=openai.DefaultHttpxClient(transport=transport))) == ["add 1 2"]

@pytest.mark.harness(mcp_mode="replay")
def test_replayed(harness_base_url):
    with pytest.raises(openai.NotFoundError, match="No recording for POST /mcp/tools/list"):
        asked(openai.OpenAI())
"""


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """What pytester's runs import they forget, and what is compiled in cryptography bears no second import."""
    importlib.import_module("mcp.server.mcpserver")


@pytest.fixture
def recordings(pytester: pytest.Pytester) -> None:
    """Of the model alone."""
    with mcp_server() as served, scripted(calls(ADD), says("Three.")) as upstream:
        settings = Settings(Mode.RECORD, pytester.path / "recordings", upstream.url, mcp_mode=Mode.LIVE)
        with ServerThread(settings) as server:
            with OpenAI(base_url=server.base_url, api_key="none") as client:
                tools: list[Any] = [tool(served)]
                client.responses.create(model="m", input="Hi", tools=tools)


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("way", ["flag", "variable", "file"])
def test_a_server_that_a_test_starts_is_asked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    pytester.makepyfile(test_app=TESTS)
    if way == "variable":
        monkeypatch.setenv("HARNESS_MCP_MODE", "live")
    elif way == "file":
        pytester.makeini("[pytest]\nharness_mcp_mode = live\n")
    result = pytester.runpytest(*(["--harness-mcp-mode=live"] if way == "flag" else []))
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*- harness, mode replay (MCP servers: live), replay -*", "4 replayed, 0 recorded, 1 missed, 4 live"]
    )
