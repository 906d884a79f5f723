"""Tools that stand together in a namespace, and what tools are called where there are none: in chat completions.

Source: OpenAI's description (``NamespaceToolParam``).
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import Field, StrictStr

from harness.api.closed import Closed

Object: TypeAlias = dict[str, Any]

NAME = r"^[a-zA-Z0-9_-]+$"
"""The names of tools, of namespaces and of schemas."""

LONGEST_NAME = 64
"""How long a chat completion lets a function's name be, in characters."""


SEARCH = "tool_search"
"""The type of the tool that searches others, and what the model knows it by."""


class NamespaceTool(Closed):
    """Functions and custom tools under one name."""

    type: Literal["namespace"]
    name: Annotated[StrictStr, Field(min_length=1, pattern=NAME)]
    description: StrictStr
    tools: Annotated[list[dict[str, Any]], Field(min_length=1)]


class Member(NamedTuple):
    """Whose a tool is, and what it is called there."""

    namespace: str
    name: str


def told_name(namespace: str | None, name: str) -> str:
    """What the model knows a tool by."""
    return f"{namespace}__{name}"[:LONGEST_NAME] if namespace else name


def told_tools(tools: Iterable[Object]) -> Iterator[Object]:
    """Every tool by itself: those of a namespace by the names, and with the description, that the model is told.

    A search is a function.
    """
    for tool in tools:
        if tool["type"] == SEARCH:
            yield {name: tool.get(name) for name in ("description", "parameters")} | {
                "type": "function",
                "name": SEARCH,
            }
            continue
        if tool["type"] != "namespace":
            yield tool
            continue
        for inner in tool["tools"]:
            words = (inner.get("description"), f"({tool['name']}: {tool['description']})")
            described = {"description": " ".join(filter(None, words if tool["description"] else words[:1])) or None}
            yield inner | described | {"name": told_name(tool["name"], inner["name"])}


def members(tools: Iterable[Object]) -> dict[str, Member]:
    """The tools that stand in namespaces, by the names that the model is told."""
    spaces = [tool for tool in tools if tool["type"] == "namespace"]
    of_all = [Member(space["name"], inner["name"]) for space in spaces for inner in space["tools"]]
    return {told_name(*member): member for member in of_all}


def told_choice(name: str) -> str:
    """What the model knows a chosen tool by. One of a namespace is chosen as ``namespace.name``."""
    namespace, _, inner = name.rpartition(".")
    return told_name(namespace, inner)
