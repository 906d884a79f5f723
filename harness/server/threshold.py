"""The length of a context above which a turn makes it short, and what counts it."""

import asyncio

from harness.api.create_response import CreateResponse
from harness.errors import HarnessError
from harness.server.context import Services
from harness.turn.tokens import Threshold


async def threshold_of(wanted: CreateResponse, parts: Services) -> Threshold | None:
    """What the request's ``context_management`` says. Where nothing can count, the threshold says so when it has to."""
    if wanted.compact_threshold is None:
        return None
    try:
        # A table of a tokenizer's takes a while to read.
        count = await asyncio.to_thread(parts.counter, str(wanted.model))
    except HarnessError as error:
        reason = error

        def count(_: str) -> int:
            raise reason

    return Threshold(wanted.compact_threshold, count)
