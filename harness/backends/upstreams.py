"""Everything real behind one door: the provider, and the MCP servers that calls name as their target."""

from collections.abc import Collection
from dataclasses import dataclass

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.mcp import McpUpstream
from harness.backends.protocol import Answer, Call, Upstream
from harness.backends.upstream import UpstreamBackend
from harness.errors import HarnessError


@dataclass(frozen=True, slots=True)
class Upstreams:
    """A Backend and an Upstream: calls with a target go to that MCP server, the others to the provider."""

    model: UpstreamBackend
    mcp: McpUpstream
    journal: Journal

    def _of(self, call: Call) -> Upstream:
        return self.model if call.target is None else self.mcp

    async def ask(self, call: Call) -> Answer:
        return await self._of(call).ask(call)

    def secrets(self, call: Call) -> list[str]:
        return self._of(call).secrets(call)

    def provider(self, call: Call) -> str:
        return self._of(call).provider(call)

    async def check_key(self, call: Call) -> None:
        await self._of(call).check_key(call)

    async def prove(self, call: Call) -> None:
        """Raises UpstreamError when the provider that answers this call is not there, or refuses us."""
        await self.model.prove(call)

    async def send(self, call: Call) -> Answer:
        if call.target is None:
            return await self.model.send(call)
        try:
            answer = await self.mcp.ask(call)
        except HarnessError as error:
            self.journal.write(Line(Outcome.FAILED, call.scope, call.path, "", error=error))
            raise
        outcome = Outcome.LIVE if answer.status < 400 else Outcome.FAILED
        self.journal.write(Line(outcome, call.scope, call.path, ""))
        return answer

    async def models(self, call: Call) -> Answer:
        return await self.model.models(call)

    def forget(self, scope: str | None) -> None:
        self.model.forget(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self.model.abandon(scopes)

    async def close(self) -> None:
        await self.model.close()
        await self.mcp.close()
