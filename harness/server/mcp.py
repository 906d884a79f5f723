"""A turn's MCP servers, asked through the backend as the model is: so they are recorded, and replayed, alike."""

import json
from collections.abc import Mapping
from typing import Any

from harness.api.mcp import McpTool, call_error, call_result, listed_tools
from harness.backends.protocol import Answer, Backend, Call, Target
from harness.errors import HarnessError, UpstreamError
from harness.recording.mcp import CALL_PATH, LIST_PATH, call_body, list_body
from harness.turn.commands import CallTool

_UNAUTHORIZED, _FAILED_DEPENDENCY = 401, 424


class McpServers:
    """The servers of one turn, by their labels. ``recordings`` gathers the names of the recordings that answered.

    A server is asked in one session, from the first question to the end of the turn: to ``leave``.
    """

    def __init__(
        self, backend: Backend, servers: Mapping[str, McpTool], scope: str | None, recordings: list[str]
    ) -> None:
        self._backend, self._servers, self._scope, self._recordings = backend, servers, scope, recordings
        self._targets = {label: Target(server.server_url or "") for label, server in servers.items()}

    def leave(self) -> None:
        for target in self._targets.values():
            target.leave()

    async def tools(self, label: str) -> list[dict[str, Any]]:
        """A server's tools. Raises HarnessError; where it is the server's fault, it is the 424 that OpenAI answers.

        But that it wants to know who asks is a 401, as OGX answers: it is the request that lacks something.
        """
        status, hint = _FAILED_DEPENDENCY, ""
        try:
            answer = await self._send(label, LIST_PATH, list_body(label, self._url(label)))
            if answer.status < 400:
                return listed_tools(_json(answer))
            if answer.status == _UNAUTHORIZED:
                status, hint = answer.status, "Give the server's token as the tool's 'authorization'."
            reason = call_error(_json(answer), answer.status)["message"]
        except UpstreamError as error:
            reason = error.message
        raise HarnessError(
            f"Error retrieving tool list from MCP server: '{label}'. {reason}",
            hint=hint,
            param="tools",
            code="http_error",
            type="external_connector_error",
            http_status=status,
        )

    async def call(self, command: CallTool) -> tuple[str | None, dict[str, Any] | None]:
        """A tool's output, or the error that the model is told of. Raises HarnessError for what is not the server's."""
        label = command.server_label
        body = call_body(label, self._url(label), command.name, command.arguments)
        try:
            answer = await self._send(label, CALL_PATH, body)
            if answer.status < 400:
                return call_result(_json(answer))
            return None, call_error(_json(answer), answer.status)
        except UpstreamError as error:
            return None, {"type": "http_error", "code": error.http_status, "message": error.message}

    def _url(self, label: str) -> str:
        return self._targets[label].url

    async def _send(self, label: str, path: str, body: dict[str, Any]) -> Answer:
        # The client's own headers are for the provider: no MCP server is to see its key.
        headers, target = self._servers[label].sent_headers, self._targets[label]
        answer = await self._backend.send(Call("POST", path, json.dumps(body).encode(), self._scope, headers, target))
        if answer.recording:
            self._recordings.append(answer.recording)
        return answer


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body or b"null")
    except ValueError:
        raise UpstreamError("The MCP server's answer is not JSON.") from None
