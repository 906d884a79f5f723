"""Tests of an agent: which tools it called, with what, and that it came to an end."""

import asyncio
import json

import agents
import pytest
from concierge import ask

pytestmark = pytest.mark.harness


@pytest.fixture(autouse=True)
def _own_client():
    """The SDK keeps one client for ever; each test has a base URL of its own."""
    from openai import AsyncOpenAI

    agents.set_default_openai_client(AsyncOpenAI(), use_for_tracing=False)


def test_it_looks_up_rooms_before_it_answers():
    result = asyncio.run(ask("Do you have a single room tonight?"))
    kinds = [type(item).__name__ for item in result.new_items]
    assert kinds == ["ToolCallItem", "ToolCallOutputItem", "MessageOutputItem"]
    call = result.new_items[0].raw_item
    assert call.name == "free_rooms"
    assert set(json.loads(call.arguments)) == {"kind"}
    assert result.final_output
