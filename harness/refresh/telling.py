"""What came of a refresh, for programs."""

from typing import Any

from harness.refresh.placing import Placed
from harness.refresh.wanted import Outcome


def told(outcome: Outcome, placed: Placed) -> dict[str, Any]:
    """What came of it, as JSON."""
    return {
        "asked": outcome.asked,
        "known": outcome.known,
        "spent": outcome.spent or None,
        "written": placed.written,
        "unchanged": placed.unchanged,
        "removed": placed.removed,
        "waiting": placed.waiting,
        "left": [{"name": f"{one.name}.json", "reason": one.reason} for one in outcome.plan.left],
        "failed": [{"name": f"{name}.json", "reason": reason} for name, reason in outcome.failed.items()],
        "unasked": [f"{name}.json" for name in outcome.unasked],
        "stopped": outcome.stopped or None,
        "as_recorded": [
            {"name": f"{name}.json", "quotes": f"{other}.json", "reason": reason}
            for name, done in outcome.done.items()
            for other, reason in done.followed.misfits.items()
        ],
    }
