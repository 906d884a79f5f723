"""A run as one JSON object, for programs."""

import json
from dataclasses import asdict

from harness.report.run_log import RunLog


def render(log: RunLog) -> str:
    """``mode``, ``counts``, ``requests``, ``command``, ``tests``, ``unused``.

    ``misses`` each have their near miss, requests answered ``by_place`` what answered and how that differs.
    """
    return (
        json.dumps(
            {
                "mode": log.mode,
                "counts": log.counts(),
                "misses": [
                    {"test": one.test, "scope": one.scope, "path": one.path, "model": one.model, "message": one.error}
                    | dict(one.details)
                    for one in log.missed()
                ],
                "by_place": [
                    {"test": one.test, "scope": one.scope, "path": one.path, "model": one.model} | dict(one.details)
                    for one in log.by_place()
                ],
                "passed_though_missed": log.passed_all_the_same(),
                "command": log.command(),
                "tests": log.tests,
                "requests": [asdict(one) for one in log.asked],
                "unused": log.unused,
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )
