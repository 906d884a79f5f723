"""Usage of a turn that asked the model more than once."""

from collections.abc import Iterable
from typing import Any

from harness.api.responses import usage_object


def total_usage(usages: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The usages of several chat completions as one, in the Responses API's words; None when none was told."""
    total: dict[str, Any] | None = None
    for usage in usages:
        if usage:
            told = usage_object(usage)
            total = told if total is None else _sum(total, told)
    return total


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _sum(value, other[name]) if isinstance(value, dict) else value + other[name]
        for name, value in one.items()
    }
