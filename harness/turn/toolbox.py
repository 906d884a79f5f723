"""The tools of MCP servers that a turn can call, by the names that the model knows them by."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from harness.api.mcp import McpTool, servers
from harness.api.namespaces import LONGEST_NAME, SEARCH, members, told_tools
from harness.api.tools import check_tools
from harness.errors import InvalidRequest
from harness.turn.tool_search import found

Object: TypeAlias = dict[str, Any]

MOST_CALLS = 128
"""How many calls a turn makes whose request sets no limit: a model that never comes to an end is stopped."""


class Offer(NamedTuple):
    """A tool that the model is offered: whose it is, its name there, and whether a call of it needs an approval."""

    server_label: str
    name: str
    asks: bool
    function: Object


def chat_name(name: str) -> str:
    """A tool's name as chat completions take it."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:LONGEST_NAME]


class Toolbox:
    """What is known of the MCP servers and the namespaces among the ``tools`` of a request.

    ``own`` are the tools that the client runs, by the names that the model knows them by, and ``members`` those of them
    that stand in a namespace; ``searches`` says whether one of them searches others. ``most`` is how many calls
    may be made, ``left`` how many yet. ``is_over`` is set once the model has called in vain though it could know that
    none was left: then it is not offered the tools any more.
    """

    def __init__(self, tools: Sequence[Object] | None, most_calls: int | None) -> None:
        self._servers = servers(list(tools or ()))
        self.own = {tool["name"]: tool for tool in told_tools(tools or ()) if tool["type"] != "mcp"}
        self.members = members(tools or ())
        self.searches = _search_among(tools or ())
        self._offers: dict[str, Offer] = {}
        self._known: set[str] = set()
        self.most = self.left = most_calls or MOST_CALLS
        self.is_over = False

    @property
    def unknown(self) -> list[str]:
        """The labels of the servers whose tools are not known yet, in the request's order."""
        return [label for label in self._servers if label not in self._known]

    def has_server(self, label: str) -> bool:
        return label in self._servers

    def recall(self, items: Iterable[Object]) -> None:
        """Learn from the lists and the tools that are brought by these items; of several of one name the last holds.

        Raises InvalidRequest.
        """
        items = list(items)
        added = [item["tools"] for item in items if item.get("type") == "additional_tools"]
        for tools in (*added, *found(items)):
            self._add(tools)
        lists = {item["server_label"]: item for item in items if item.get("type") == "mcp_list_tools"}
        for label, item in lists.items():
            if label in self._servers and not item.get("error"):
                self.learn(label, [tool for tool in item["tools"] if _is_tool(tool)])

    def _add(self, tools: list[Object]) -> None:
        check_tools(tools, "tools")
        for tool in tools:
            if tool["type"] == "mcp":
                raise InvalidRequest(
                    f"The MCP server '{tool['server_label']}' is brought by an item of the input.",
                    hint="Name it in the request's 'tools': a turn asks no other.",
                    param="input",
                    code="unsupported_value",
                )
        self.own |= {tool["name"]: tool for tool in told_tools(tools)}
        self.members |= members(tools)
        self.searches |= _search_among(tools)

    def learn(self, label: str, tools: Iterable[Object]) -> list[Object]:
        """Take in the tools of a server; those of them that the model may see.

        Raises InvalidRequest when two tools would have one name.
        """
        server = self._servers[label]
        allowed = [tool for tool in tools if server.allows(tool)]
        for tool in allowed:
            name = chat_name(tool["name"])
            self._refuse_second(name, tool["name"], label)
            self._offers[name] = Offer(label, tool["name"], server.asks_for(tool), _function(name, tool, server))
        self._known.add(label)
        return allowed

    def _refuse_second(self, name: str, full_name: str, label: str) -> None:
        other = f"the MCP server '{self._offers[name].server_label}'" if name in self._offers else "the request itself"
        if name in self.own or name in self._offers:
            raise InvalidRequest(
                f"The MCP server '{label}' has a tool named '{full_name}', and so has {other}.",
                hint=f"Leave one of them out: give '{label}' its 'allowed_tools', or rename the function.",
                param="tools",
                code="invalid_value",
            )

    def find(self, name: str) -> Offer | None:
        return self._offers.get(name)

    def of_server(self, label: str, name: str | None = None) -> Iterator[Object]:
        """The functions that stand for a server's tools, or for the one of this name."""
        for offer in self._offers.values():
            if offer.server_label == label and name in (None, offer.name):
                yield offer.function

    @property
    def functions(self) -> list[Object]:
        """All tools, as functions of the Responses API."""
        return [offer.function for offer in self._offers.values()]


def _search_among(tools: Iterable[Object]) -> bool:
    return any(tool["type"] == SEARCH for tool in tools)


def _is_tool(tool: Any) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict)


def _function(name: str, tool: Object, server: McpTool) -> Object:
    said = [
        tool.get("description"),
        server.server_description and f"({server.server_label}: {server.server_description})",
    ]
    described = " ".join(str(text) for text in said if text)
    function = {"type": "function", "name": name, "description": described or None}
    return function | {"parameters": tool["input_schema"]}
