"""Tools and the choice among them: what ``responses.create`` takes, and what a Response shows of it."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictStr

from harness.api.closed import Closed, Deferred, known_keys
from harness.api.errors import invalid_value, missing
from harness.api.mcp import check_mcp_tool, shown_mcp_tool
from harness.api.namespaces import NAME, SEARCH, NamespaceTool, told_choice, told_tools
from harness.api.validation import parse, unsupported, wrong_type
from harness.errors import InvalidRequest

Object: TypeAlias = dict[str, Any]
_ToolName: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=128, pattern=NAME)]
_Name: TypeAlias = Annotated[StrictStr, Field(min_length=1)]

_HOSTED = (
    "file_search", "web_search", "web_search_preview", "code_interpreter", "image_generation", "computer",
    "computer_use_preview", "tool_search", "programmatic_tool_calling",
)  # fmt: skip
"""Tools that OpenAI runs; some have a date behind their names (``web_search_2025_08_26``)."""

_ELSEWHERE = ("local_shell", "shell", "apply_patch")
"""Tools of the Responses API that others run, and that a chat completion cannot carry."""

_MODES = ("none", "auto", "required")


class OwnTool(Closed):
    """A tool that the client runs. Of how it is loaded and called, there is one way here."""

    name: _ToolName
    description: StrictStr | None = None
    defer_loading: Literal[False] | None = None
    allowed_callers: list[Literal["direct"]] | None = None
    is_async: Annotated[Literal[False] | None, Field(alias="async")] = None


class FunctionTool(OwnTool):
    """A function that the client runs."""

    type: Literal["function"]
    parameters: Object | None = None
    output_schema: Object | None = None
    strict: StrictBool | None = None


class SearchTool(Closed):
    """A search among tools, run by the client: its output brings what it finds."""

    type: Literal["tool_search"]
    execution: Literal["client"]
    description: StrictStr | None = None
    parameters: Object | None = None


class Format(Deferred):
    """What a custom tool takes, before it is known which."""

    type: Literal["text", "grammar"]


class AnyText(Closed):
    """A custom tool takes any text."""

    type: Literal["text"]


class Grammar(Closed):
    """The rules that a custom tool's text follows."""

    type: Literal["grammar"]
    syntax: Literal["lark", "regex"]
    definition: StrictStr


class CustomTool(OwnTool):
    """A tool that takes text: of any form, or what a grammar allows."""

    type: Literal["custom"]
    format: Object | None = None


class NamedTool(Closed):
    """The name of a tool, where one is chosen."""

    type: Literal["function", "custom"]
    name: _Name


class ServerTool(Closed):
    """The tools of an MCP server, or one of them, where they are chosen."""

    type: Literal["mcp"]
    server_label: _Name
    name: StrictStr | None = None


class AllowedTools(Closed):
    """The choice among some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] | None = None
    tools: Annotated[list[Any], Field(min_length=1)]


def check_tools(tools: list[Object], param: str = "tools", *, connectors: Collection[str] = ()) -> None:
    """Raises InvalidRequest for a tool that is none, or that the model cannot be given.

    ``param`` names the list, and ``connectors`` are the ids of MCP servers that can be asked for by them.
    """
    for place, tool in enumerate(tools):
        path = f"{param}[{place}]"
        if not isinstance(tool, dict):
            raise wrong_type(path, ["an object"], tool)
        kind = _kind(tool, path)
        if kind in _OWN:
            _OWN[kind](tool, path)
        elif kind == "mcp":
            check_mcp_tool(tool, path, connectors)
        elif kind == "namespace":
            _check_namespace(tool, path)
        elif kind == SEARCH and tool.get("execution") == "client":
            parse(SearchTool, tool, path)
        else:
            raise _not_served(kind, path)
    _check_names(tools, param)


def _check_namespace(tool: Object, path: str) -> None:
    for place, inner in enumerate(parse(NamespaceTool, tool, path).tools):
        inner_path = f"{path}.tools[{place}]"
        kind = _kind(inner, inner_path)
        if kind not in _OWN:
            raise unsupported(f"{inner_path}.type", kind, list(_OWN))
        _OWN[kind](inner, inner_path)


def _check_function(tool: Object, path: str) -> None:
    parse(FunctionTool, tool, path)


def _check_custom(tool: Object, path: str) -> None:
    given = parse(CustomTool, tool, path).format
    if given is not None:
        wanted = Grammar if parse(Format, given, f"{path}.format").type == "grammar" else AnyText
        parse(wanted, given, f"{path}.format")


_OWN: dict[str, Callable[[Object, str], None]] = {"function": _check_function, "custom": _check_custom}
"""The kinds of tools that the client runs."""


def _check_names(tools: list[Object], param: str) -> None:
    """A name says which tool is called: no two tools have one, and no two servers."""
    known: set[tuple[bool, str]] = set()
    for place, tool in enumerate(tools):
        is_server = tool["type"] == "mcp"
        what, key = ("MCP server label", "server_label") if is_server else ("tool name", "name")
        for name in map(_name, told_tools([tool])):
            if (is_server, name) in known:
                raise invalid_value(
                    f"{param}[{place}].{key}", f"Duplicate {what} '{name[:64]}': every one needs its own."
                )
            known.add((is_server, name))


def _kind(value: Object, path: str) -> str:
    kind = value.get("type")
    if kind is None:
        raise missing(f"{path}.type")
    if not isinstance(kind, str):
        raise wrong_type(f"{path}.type", ["a string"], kind)
    return kind


def _not_served(kind: str, path: str) -> InvalidRequest:
    if kind.startswith(_HOSTED):
        message = f"The tool '{kind}' is run by OpenAI alone"
        hint = (
            "Leave it out, offer a function in its place, or record OpenAI's own Responses API, which has it: "
            "harness serve --responses upstream"
        )
    elif kind in _ELSEWHERE:
        message, hint = f"The tool '{kind}' is not served", "Leave it out, or offer a function in its place."
    else:
        return unsupported(f"{path}.type", kind, ["function", "custom", "namespace", "mcp"])
    return InvalidRequest(
        f"{message}; the harness asks models through chat completions, which take tools of the types 'function' and "
        "'custom', and calls the tools of MCP servers.",
        hint=hint,
        param=f"{path}.type",
        code="unsupported_value",
    )


def check_mode(choice: str, tools: list[Object]) -> None:
    """Raises InvalidRequest for a ``tool_choice`` in a word that is none, or that needs tools where there are none."""
    if choice not in _MODES:
        raise unsupported("tool_choice", choice, _MODES)
    if choice == "required" and not tools:
        raise _fault("Tool choice 'required' must be specified with 'tools' parameter.")


def check_choice(choice: Object, tools: list[Object]) -> None:
    """Raises InvalidRequest for a ``tool_choice`` that is none, or that chooses what is not among ``tools``."""
    kind = _kind(choice, "tool_choice")
    known: dict[str, Callable[[], list[Object]]] = {
        "function": lambda: [_named(choice, "tool_choice")],
        "custom": lambda: [_named(choice, "tool_choice")],
        "mcp": lambda: [_of_server(choice, "tool_choice")],
        "allowed_tools": lambda: _allowed(choice),
    }
    if kind not in known:
        raise unsupported("tool_choice.type", kind, list(known))
    offered = [(tool["type"], _name(tool)) for tool in told_tools(tools)]
    for chosen in known[kind]():
        if (chosen["type"], told_choice(_name(chosen))) not in offered:
            raise _fault(f"Tool choice '{_name(chosen)[:64]}' not found in 'tools' parameter.")


def _name(tool: Object) -> str:
    name: str = tool["server_label" if tool["type"] == "mcp" else "name"]
    return name


def _named(choice: Object, path: str) -> Object:
    return parse(NamedTool, choice, path).model_dump()


def _allowed(choice: Object) -> list[Object]:
    tools = parse(AllowedTools, choice, "tool_choice").tools
    paths = [(tool, f"tool_choice.tools[{place}]") for place, tool in enumerate(tools)]
    is_server = [isinstance(tool, dict) and tool.get("type") == "mcp" for tool in tools]
    return [(_of_server if mcp else _named)(*at) for at, mcp in zip(paths, is_server, strict=True)]


def _of_server(choice: Object, path: str) -> Object:
    return parse(ServerTool, choice, path).model_dump()


def _fault(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="tool_choice", code="invalid_value")


def shown_tool(tool: Object) -> Object:
    """A tool with every key that a Response shows."""
    if tool["type"] == "mcp":
        return shown_mcp_tool(tool)
    if tool["type"] == "namespace":
        return known_keys(NamespaceTool, tool) | {"tools": [shown_tool(inner) for inner in tool["tools"]]}
    if tool["type"] == SEARCH:
        return known_keys(SearchTool, tool)
    if tool["type"] == "custom":
        return {"format": {"type": "text"}} | {name: value for name, value in tool.items() if value is not None}
    defaults = {"type": "function", "description": None, "parameters": None, "strict": True}
    return defaults | known_keys(FunctionTool, tool)


def shown_choice(choice: str | Object | None) -> str | Object:
    """A ``tool_choice`` as a Response shows it."""
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        return choice | {"mode": choice.get("mode") or "auto"}
    return choice or "auto"
