"""Every place that a state can be kept in."""

from pathlib import Path

import pytest

from harness.stores.state import state_url

POSTGRES = pytest.param("postgres", marks=pytest.mark.slow)


@pytest.fixture(params=["memory", "file", POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the state of one test is kept: in memory, in a file, in PostgreSQL."""
    return _url(request, tmp_path)


@pytest.fixture(params=["file", POSTGRES])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where several servers keep one state: in a file, in PostgreSQL."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return state_url(request.getfixturevalue("postgres_url"))
    return state_url(None if request.param == "memory" else str(tmp_path / "a state?.db"))
