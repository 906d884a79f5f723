"""What a chat completion is told of tools: the request's own, those of MCP servers as functions, the choice of them."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from harness.api.create_response import CreateResponse
from harness.api.namespaces import told_choice
from harness.errors import InvalidRequest
from harness.turn.toolbox import Toolbox

Object: TypeAlias = dict[str, Any]

_TOLD = {"function": ("name", "description", "parameters", "strict"), "custom": ("name", "description", "format")}
"""What a chat completion takes of a tool. The rest says how one is loaded and called, for which it has one way."""


def tool_options(wanted: CreateResponse, toolbox: Toolbox, *, again: bool = False) -> Object:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``.

    ``again`` says that the turn has called tools already: what the request forces was done then, and the model may
    answer. Upstreams refuse what is about tools where there are none, so without tools nothing is said of them.
    """
    own = [_nested(tool) for tool in toolbox.own.values()]
    offered = [_nested(tool) for tool in toolbox.functions]
    tools = own if own and toolbox.is_over else own + offered
    if not tools:
        return {}
    options: Object = {"tools": tools}
    choice = _choice(wanted.tool_choice, toolbox, again=again)
    if toolbox.is_over:
        # A choice among tools may name those that are not to be called any more.
        choice = "none" if not own else choice if isinstance(choice, str) else None
    if choice is not None:
        options["tool_choice"] = choice
    if wanted.parallel_tool_calls is not None:
        options["parallel_tool_calls"] = wanted.parallel_tool_calls
    return options


def _nested(tool: Object) -> Object:
    """A tool, or the name of one, as a chat completion writes it: all of it below its type."""
    kind = tool["type"]
    inner = {name: tool[name] for name in _TOLD[kind] if tool.get(name) is not None}
    grammar = inner.get("format")
    if kind == "custom" and grammar and grammar["type"] == "grammar":
        rules = {name: value for name, value in grammar.items() if name != "type"}
        inner["format"] = {"type": "grammar", "grammar": rules}
    return {"type": kind, kind: inner}


def _choice(choice: str | Object | None, toolbox: Toolbox, *, again: bool) -> str | Object | None:
    if isinstance(choice, str):
        return None if again and choice == "required" else choice
    if choice is None or (again and choice["type"] != "allowed_tools"):
        return None
    if choice["type"] == "allowed_tools":
        names = [name for tool in choice["tools"] for name in _names(tool, toolbox)]
        return _allowed("auto" if again else choice.get("mode") or "auto", names) if names else None
    names = _names(choice, toolbox)
    if not names:
        return None
    return names[0] if len(names) == 1 else _allowed("required", names)


def _names(tool: Object, toolbox: Toolbox) -> list[Object]:
    """The name of a tool that is chosen; for those of an MCP server, the names of the functions in their place."""
    if tool["type"] != "mcp":
        return [_nested(tool | {"name": told_choice(tool["name"])})]
    found = list(toolbox.of_server(tool["server_label"], tool.get("name")))
    if not found and tool["server_label"] not in toolbox.unknown:
        named = f" '{tool['name']}'" if tool.get("name") else "s"
        raise InvalidRequest(
            f"Tool choice: the MCP server '{tool['server_label']}' has no tool{named} that is allowed.",
            param="tool_choice",
            code="invalid_value",
        )
    return [{"type": "function", "function": {"name": function["name"]}} for function in found]


def _allowed(mode: str, names: Iterable[Object]) -> Object:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(names)}}
