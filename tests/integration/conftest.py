"""The real client, in the scope of the test that asks for it."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

MODELS = ["gpt-4o", "tiny"]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    """Every model that the suite is recorded for."""
    return str(request.param)


@pytest.fixture
def client(harness_base_url: str) -> Iterator[OpenAI]:
    """A client as an application makes it: everything comes from the environment."""
    with OpenAI(max_retries=0) as made:
        assert str(made.base_url).rstrip("/") == harness_base_url
        yield made
