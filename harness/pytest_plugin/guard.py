"""The network guard: while a test replays, no name of a model provider is looked up."""

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

_HERE = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses to look up providers' hosts while it is ``active``, and notes in ``hits`` which were wanted."""

    def __init__(self) -> None:
        self.active = False
        self.hits: list[str] = []
        self._upstreams: frozenset[str] = frozenset()
        self._patch = pytest.MonkeyPatch()
        self._is_installed = False

    def install(self, upstream: str) -> None:
        """Stand before the system's look-up, for the known hosts and that of the run's own upstream."""
        host = urlsplit(upstream).hostname or ""
        self._upstreams = frozenset({host} - {*_HERE, ""})
        if self._is_installed:
            return
        self._is_installed = True
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
            if self.active and self.is_provider(name):
                self.hits.append(name)
                raise socket.gaierror(socket.EAI_FAIL, f"{name}: the harness is replaying, and this is a model's host")
            return real(host, *args, **kwargs)

        self._patch.setattr(socket, "getaddrinfo", getaddrinfo)

    def is_provider(self, host: str) -> bool:
        from harness.recording.providers import is_provider

        return host.lower() in self._upstreams or is_provider(host)

    def remove(self) -> None:
        self._patch.undo()


ROUTES = """\
Take the fixture harness_base_url, and make the client inside the test: it finds OPENAI_BASE_URL in the environment.
Or give the client a transport: OpenAI(http_client=openai.DefaultHttpxClient(transport=harness.transport())).
A test that is meant to reach it says so: @pytest.mark.harness(mode="live")."""
