"""The hook that a project may implement in its conftest."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_harness_configure(config: pytest.Config, settings: "Settings") -> "Settings | None":
    """Called once, before the first use: return changed settings (``dataclasses.replace``), or None to keep them."""
