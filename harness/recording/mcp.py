"""Exchanges with MCP servers as requests, so that they are recorded and looked up like a model's.

``POST /mcp/tools/list`` has ``server_label`` and ``server_url`` as its body, ``POST /mcp/tools/call`` the tool's
``name`` and ``arguments`` besides; the response is MCP's own result. The label and the address say which server was
asked, on every machine alike: an address that means something on one machine alone is ``localhost``, as in a file's
``url``, and ports, users and queries are left out. Headers are no part of it.
"""

from urllib.parse import urlsplit

from harness.recording.format import file_url
from harness.recording.model import Json, Request

LIST_PATH = "/mcp/tools/list"
CALL_PATH = "/mcp/tools/call"


def list_body(server_label: str, server_url: str) -> dict[str, Json]:
    """The body of a request for a server's tools."""
    parts = urlsplit(server_url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return {"server_label": server_label, "server_url": file_url(host, parts.path)}


def call_body(server_label: str, server_url: str, name: str, arguments: dict[str, Json]) -> dict[str, Json]:
    """The body of a request that runs one of them."""
    return list_body(server_label, server_url) | {"name": name, "arguments": arguments}


def named(request: Request) -> str | None:
    """Which MCP server a request is for, and which tool it runs, in words; None for a request to the provider."""
    body = request.body
    if request.path not in (LIST_PATH, CALL_PATH) or not isinstance(body, dict):
        return None
    server = f"MCP server {body.get('server_label')} at {body.get('server_url')}"
    return server if request.path == LIST_PATH else f"{body.get('name')} of {server}"
