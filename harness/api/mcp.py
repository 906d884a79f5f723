"""MCP on the wire: the tool of ``responses.create``, what a server's answers say, what items and Responses show of it.

Source: OpenAI's description (``MCPTool``, ``MCPListTools``, ``MCPToolCall``) and MCP's own (``tools/list``,
``tools/call``).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, StrictBool, StrictStr, ValidationError

from harness.api.closed import Closed, Deferred
from harness.api.errors import invalid_value, missing
from harness.api.validation import parse
from harness.errors import InvalidRequest, UpstreamError

Object: TypeAlias = dict[str, Any]

Approval: TypeAlias = Literal["always", "never"]
"""Whether all of a server's tools are called after an approval only, or without any."""

_REDACTED = "<redacted>"
_INVALID_PARAMS = -32602
"""JSON-RPC's code for arguments that are none."""


class ToolFilter(Closed):
    """Some of a server's tools: those of these names, those that say that they only read, or both at once."""

    tool_names: list[StrictStr] | None = None
    read_only: StrictBool | None = None

    def takes(self, tool: Object) -> bool:
        """Whether a tool, as an ``mcp_list_tools`` item has it, is one of them."""
        if self.tool_names is not None and tool["name"] not in self.tool_names:
            return False
        said = tool.get("annotations")
        only_reads = isinstance(said, dict) and said.get("readOnlyHint") is True
        return self.read_only is None or self.read_only == only_reads


class ApprovalFilter(Closed):
    """Which tools are called after an approval only, and which without."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None


class McpTool(Closed):
    """A server whose tools the model may call."""

    type: Literal["mcp"]
    server_label: Annotated[StrictStr, Field(min_length=1)]
    server_url: StrictStr | None = None
    connector_id: StrictStr | None = None
    server_description: StrictStr | None = None
    headers: dict[StrictStr, StrictStr] | None = None
    authorization: StrictStr | None = None
    allowed_tools: list[StrictStr] | ToolFilter | None = None
    allowed_callers: list[Literal["direct"]] | None = None
    require_approval: Approval | ApprovalFilter | None = None
    defer_loading: Literal[False] | None = None

    def allows(self, tool: Object) -> bool:
        """Whether the model may see a tool of the server."""
        allowed = self.allowed_tools
        if isinstance(allowed, list):
            return tool["name"] in allowed
        return allowed is None or allowed.takes(tool)

    def asks_for(self, tool: Object) -> bool:
        """Whether a call of a tool needs an approval: so it does unless the request says otherwise."""
        policy = self.require_approval
        if not isinstance(policy, ApprovalFilter):
            return policy != "never"
        if policy.always is not None and policy.always.takes(tool):
            return True
        return policy.never is None or not policy.never.takes(tool)

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers that the server, and nobody else, is to see."""
        sent = dict(self.headers or {})
        return sent | ({"Authorization": f"Bearer {self.authorization}"} if self.authorization else {})


@dataclass(frozen=True, slots=True)
class McpPolicy:
    """What a request need not say of MCP servers: whether calls need an approval, and where each connector is.

    ``connectors`` has the URLs of servers that stand in for OpenAI's connectors, by their ids.
    """

    approval: Approval = "always"
    connectors: Mapping[str, str] = field(default_factory=dict)

    def completed(self, tools: list[Object] | None) -> list[Object] | None:
        """The tools of a request, with what it does not say of MCP servers."""
        return None if tools is None else [self._completed(tool) for tool in tools]

    def _completed(self, tool: Object) -> Object:
        if tool["type"] != "mcp":
            return tool
        said = {"require_approval": self.approval, "server_url": self.connectors.get(str(tool.get("connector_id")))}
        return tool | {name: value for name, value in said.items() if tool.get(name) is None and value is not None}


def check_mcp_tool(tool: Object, path: str, connectors: Collection[str] = ()) -> None:
    """Raises InvalidRequest for what is no MCP server, or none that can be asked from here.

    ``connectors`` are the ids of those that can.
    """
    is_connector = tool.get("server_url") is None and tool.get("connector_id") in connectors
    for name in ("tunnel_id",) if is_connector else ("connector_id", "tunnel_id"):
        if tool.get(name) is not None:
            raise _out_of_reach(name, f"{path}.{name}")
    server = parse(McpTool, _without_nulls(tool), path)
    if not server.server_url and not is_connector:
        raise missing(f"{path}.server_url")
    if server.server_url and not _is_web_address(server.server_url):
        raise invalid_value(f"{path}.server_url", f"Invalid '{path}.server_url': it is no http or https URL.")
    if server.authorization and "authorization" in map(str.lower, server.headers or ()):
        raise invalid_value(f"{path}.authorization", "Give either 'authorization' or an Authorization header.")


def _out_of_reach(name: str, path: str) -> InvalidRequest:
    stand_in = ', or the URL of one that stands in for it: mcp_connectors = {NAME = "http://…"} in [tool.harness]'
    return InvalidRequest(
        f"'{name}' names an MCP server that OpenAI alone can reach.",
        hint=f"Give the server's own 'server_url'{stand_in if name == 'connector_id' else ''}.",
        param=path,
        code="unsupported_value",
    )


def _without_nulls(tool: Object) -> Object:
    return {name: value for name, value in tool.items() if value is not None}


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def servers(tools: list[Object] | None) -> dict[str, McpTool]:
    """The MCP servers among the tools of a request, by their labels."""
    found = [McpTool.model_validate(_without_nulls(tool)) for tool in tools or () if tool["type"] == "mcp"]
    return {server.server_label: server for server in found}


def shown_mcp_tool(tool: Object) -> Object:
    """An MCP server as a Response shows it: as OpenAI does, without the path of its URL and what its headers say."""
    connector = tool.get("connector_id")
    shown = {
        "type": "mcp",
        "server_label": tool["server_label"],
        **({"connector_id": connector} if connector else {"server_url": _shown_url(tool["server_url"])}),
        "allowed_tools": tool.get("allowed_tools"),
        "headers": dict.fromkeys(tool["headers"], _REDACTED) if tool.get("headers") else None,
        "require_approval": tool.get("require_approval") or "always",
    }
    described = tool.get("server_description")
    return shown | ({"server_description": described} if described else {})


def _shown_url(url: str) -> str:
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return host + (_REDACTED if parts.path.strip("/") or parts.query else "")


class _Tool(Deferred):
    """A tool as MCP lists it."""

    name: str
    description: str | None = None
    inputSchema: Object  # noqa: N815 - MCP's name
    annotations: Object | None = None


class _Listing(Deferred):
    tools: list[_Tool]


class _Result(Deferred):
    """What a tool answered."""

    content: list[Object] = Field(default_factory=list)
    structuredContent: Any = None  # noqa: N815 - MCP's name
    isError: bool = False  # noqa: N815 - MCP's name


def listed_tools(body: Any) -> list[Object]:
    """The answer to ``tools/list`` as the tools of an ``mcp_list_tools`` item. Raises UpstreamError.

    What a server does not say is left out: the AI SDK takes no null there.
    """
    return [_listed(tool) for tool in _read(_Listing, body).tools]


def _listed(tool: _Tool) -> Object:
    said = {"description": tool.description, "annotations": tool.annotations}
    shown = {name: value for name, value in said.items() if value is not None}
    return {"name": tool.name, "input_schema": tool.inputSchema, **shown}


def call_result(body: Any) -> tuple[str | None, Object | None]:
    """The answer to ``tools/call`` as ``output`` and ``error`` of an ``mcp_call`` item. Raises UpstreamError."""
    result = _read(_Result, body)
    if result.isError:
        return None, {"type": "mcp_tool_execution_error", "content": result.content}
    if not result.content and result.structuredContent is not None:
        return json.dumps(result.structuredContent, ensure_ascii=False), None
    return _text(result.content), None


def _read(model: Any, body: Any) -> Any:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "all of it"
        raise UpstreamError(f"The MCP server's answer is not MCP's: {place}: {fault['msg']}") from None


def _text(content: list[Any]) -> str:
    """Texts as they are; where there is anything else, all of it as JSON."""
    if all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "\n".join(str(part.get("text", "")) for part in content)
    return json.dumps(content, ensure_ascii=False)


def call_error(answered: Any, status: int) -> Object:
    """The ``error`` of an ``mcp_call`` item for an answer that is an error: the server's own, or HTTP's."""
    error = answered.get("error") if isinstance(answered, dict) else None
    fields = error if isinstance(error, dict) else {}
    code, message = fields.get("code"), str(fields.get("message") or f"The MCP server answered {status}.")
    kind = "mcp_protocol_error" if fields.get("type") == "mcp_protocol_error" else "http_error"
    return {"type": kind, "code": code if isinstance(code, int) else status, "message": message}


def bad_arguments(message: str) -> Object:
    """The ``error`` of an ``mcp_call`` item whose arguments no server can take."""
    return {"type": "mcp_protocol_error", "code": _INVALID_PARAMS, "message": message}


def error_text(error: Any) -> str:
    """An ``error`` of an ``mcp_call`` item in words, as the model is told it."""
    if isinstance(error, dict):
        content = error.get("content")
        error = _text(content) if isinstance(content, list) else error.get("message")
    return f"Error: {error}"
