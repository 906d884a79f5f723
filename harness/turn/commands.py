"""What goes into a turn and what comes out of it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.errors import HarnessError


@dataclass(frozen=True, slots=True)
class Begin:
    """Input: the turn may start."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Input: one ``chat.completion.chunk``."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """Input: the backend's answer is complete. ``now`` is the time in Unix seconds."""

    now: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Input: what Keep asked for is done."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Input: the tools of the MCP server that was asked for them, as an ``mcp_list_tools`` item has them."""

    tools: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Called:
    """Input: what came of a call of an MCP tool: its output, or the error that it ended with; and the time."""

    output: str | None
    error: dict[str, Any] | None
    now: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Input: the last command could not be carried out."""

    error: HarnessError


@dataclass(frozen=True, slots=True)
class Ask:
    """Command: send this chat completion to the backend."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListTools:
    """Command: ask this MCP server of the request for its tools. Answered by Listed or Failed."""

    server_label: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Command: call a tool of this MCP server. Answered by Called, or by Failed for what no model can be told."""

    server_label: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Emit:
    """Command: send this event to the client."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Keep:
    """Command: write down the response, and append ``new_items`` to its conversation, in one transaction.

    Answered by Kept or Failed. ``append`` is False for a turn that failed: the conversation stays as it was.
    """

    response: dict[str, Any]
    new_items: tuple[dict[str, Any], ...]
    append: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Command: nothing was sent yet, so answer with this error in place of a response."""

    error: HarnessError


Input: TypeAlias = Begin | Listed | Called | Chunk | Ended | Kept | Failed
Command: TypeAlias = ListTools | CallTool | Ask | Emit | Keep | Refuse
