"""Two backends behind one door: one for the model, one for the MCP servers that calls name as their target."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from harness.backends.protocol import Answer, Backend, Call, Sender


@dataclass(frozen=True, slots=True)
class Routed:
    """A Backend: calls with a target go to ``mcp``, the others to ``model``. Each of them has a mode of its own."""

    model: Backend
    mcp: Sender

    async def send(self, call: Call) -> Answer:
        return await (self.model if call.target is None else self.mcp).send(call)

    async def models(self, call: Call) -> Answer:
        return await self.model.models(call)

    def forget(self, scope: str | None) -> None:
        self.model.forget(scope)
        self.mcp.forget(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self.model.abandon(scopes)
        self.mcp.abandon(scopes)

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(self.model.close(grace), self.mcp.close(grace))
