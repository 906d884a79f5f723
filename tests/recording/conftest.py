"""Where the laws of recordings find real ones: files beside the checkout, which are not part of the project."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def _recordings(folder: str) -> list[Path]:
    found = sorted((SHARED / folder).rglob("*.json"))
    if not found:
        pytest.skip(f"no recordings in ../shared/{folder}: they are not part of the project")
    return found


@pytest.fixture(scope="session")
def seed() -> Path:
    """The seed's recording."""
    return _recordings("seed")[0]


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """Every sample recording of real providers."""
    return _recordings("recordings-sample")
