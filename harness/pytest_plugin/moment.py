"""What runs at this moment: a test, or for it a fixture of wider scope, which is of no single test."""

from dataclasses import dataclass, field

import pytest


@dataclass(slots=True)
class Moment:
    """The test that runs, if any, its scope once it uses the harness, and what wider fixtures are made for.

    What a fixture of a class, a module or the session asks does not depend on the test that happened to need it first:
    another process, or another order, has another one. So it is shared, and begins its sequences anew.
    """

    item: pytest.Item | None = None
    scope: str | None = None
    wider: list[pytest.Item | pytest.Collector] = field(default_factory=list)

    @property
    def whose(self) -> str | None:
        """The scope of what names none."""
        return None if self.wider else self.scope


def test_id(item: pytest.Item | pytest.Collector) -> str:
    """The node id of a test, without the groups that xdist writes behind it (``--dist loadgroup``)."""
    names = {
        str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
        if item.config.getoption("loadgroup", None)
    }
    return item.nodeid.removesuffix(f"@{'_'.join(sorted(names))}") if names else item.nodeid
