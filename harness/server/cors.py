"""Pages in a browser (CORS): those of this machine may ask, as an app under test does, and no others.

A server in a mode that asks an upstream holds a key; what any page of the web may ask of it, it may spend. Browsers do
not ask before they open a WebSocket: there a page of anybody else's is refused. Source: Fetch, section 3.3.
"""

from urllib.parse import urlsplit

from aiohttp import hdrs, web

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_SECONDS_KNOWN = "600"


def comes_from_page(request: web.Request) -> bool:
    """Whether the answer depends on where a request comes from."""
    return hdrs.ORIGIN in request.headers


def preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks whether a page may ask; None for any other request, and any other page."""
    wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
    if request.method != hdrs.METH_OPTIONS or wanted is None or not is_local(request):
        return None
    headers = {hdrs.ACCESS_CONTROL_ALLOW_METHODS: wanted, hdrs.ACCESS_CONTROL_MAX_AGE: _SECONDS_KNOWN}
    if named := request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS):
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = named
    return web.Response(status=204, headers=headers)


async def complete(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page that asked read the answer, with its headers."""
    if not comes_from_page(request):
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    if is_local(request):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "*"


def is_local(request: web.Request) -> bool:
    """Whether a request comes from a page of this machine."""
    try:
        host = urlsplit(request.headers.get(hdrs.ORIGIN, "")).hostname or ""
    except ValueError:
        return False
    return host in _LOCAL_HOSTS or host.endswith(".localhost")
