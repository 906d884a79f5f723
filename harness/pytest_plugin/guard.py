"""The network guard: while a test replays, no model provider is looked up, and none is spoken to.

A provider is known by its name alone. The name is in the look-up of its address, and, whoever made that (a proxy, a
resolver of an event loop's own, a list of hosts), in the beginning of TLS. An address is known where it is what the
settings name as an upstream (``http://127.0.0.1:11434``); of any other nobody can say whose it is, and the same one
serves many. What neither Python's ``socket`` nor its ``ssl`` is asked for (curl's, Rust's own) is not seen, and neither
is what goes over a connection that an earlier test has left open.
"""

import functools
import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Any

import pytest

_HERE = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses connections to providers while it is ``active``, and notes in ``hits`` which were wanted.

    While it only ``watches`` it refuses none, and notes those that are not the harness's own.
    """

    def __init__(self) -> None:
        self.active = self.watches = False
        self.hits: list[str] = []
        self._names: frozenset[str] = frozenset()
        self._addresses: frozenset[tuple[str, int]] = frozenset()
        self._patch = pytest.MonkeyPatch()
        self._is_installed = False

    def install(self, upstreams: Collection[tuple[str, int]]) -> None:
        """Stand before the system's look-ups, connections and TLS, for the known hosts and the test's own upstreams."""
        self._names = frozenset(host for host, _ in upstreams) - {*_HERE}
        self._addresses = frozenset((_address(one), port) for host, port in upstreams for one in _spellings(host))
        if self._is_installed:
            return
        self._is_installed = True
        import ssl

        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            self._stand_before(socket, name, self._looked_up, _not_found)
        for name in ("connect", "connect_ex"):
            self._stand_before(socket.socket, name, self._connected, _refused)
        for name in ("wrap_socket", "wrap_bio"):
            self._stand_before(ssl.SSLContext, name, self._spoken_to, _refused)

    def _stand_before(
        self, owner: Any, name: str, provider_in: Callable[[Any, Any], str | None], error: Callable[[str], Exception]
    ) -> None:
        real = getattr(owner, name)
        is_speech = owner is not socket

        @functools.wraps(real)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            is_looked_at = self.active or (self.watches and is_speech and not _is_our_own())
            if is_looked_at and (provider := provider_in(args, kwargs)):
                self.hits.append(provider)
                if self.active:
                    raise error(f"{provider}: the harness is replaying, and this is a model's host")
            return real(*args, **kwargs)

        self._patch.setattr(owner, name, guarded)

    def _looked_up(self, args: Any, kwargs: Any) -> str | None:
        return self._named(args[0] if args else kwargs.get("host"))

    def _spoken_to(self, _: Any, kwargs: Any) -> str | None:
        return self._named(kwargs.get("server_hostname"))

    def _named(self, host: Any) -> str | None:
        text = _text(host)
        return text if self.is_provider(text) else None

    def _connected(self, args: Any, _: Any) -> str | None:
        """The upstream at the address that a socket is to be connected to."""
        match args:
            case (_, (str(host), int(port), *_)) if (_address(host), port) in self._addresses:
                return f"{host}:{port}"
        return None

    def is_provider(self, host: str) -> bool:
        from harness.recording.providers import is_provider

        return host.lower() in self._names or is_provider(host)

    def remove(self) -> None:
        self._patch.undo()


def _spellings(host: str) -> Collection[str]:
    """What a host may be called where a connection is made to it."""
    return _HERE if host in _HERE else (host,)


def _address(host: str) -> str:
    """An address as it is written as a rule; what is a name stays one."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _is_our_own() -> bool:
    from harness.running import is_server_thread

    return is_server_thread()


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def _not_found(message: str) -> Exception:
    return socket.gaierror(socket.EAI_FAIL, message)


def _refused(message: str) -> Exception:
    return ConnectionRefusedError(message)


ON_IMPORT = """\
A client that is made when a module is imported finds OPENAI_BASE_URL and a key with harness_on_import = true in
pytest's settings ([tool.pytest.ini_options] of pyproject.toml), or with --harness-on-import."""

ROUTES = f"""\
Take the fixture harness_base_url, and make the client inside the test: it finds OPENAI_BASE_URL in the environment.
{ON_IMPORT}
Or give the client a transport: OpenAI(http_client=openai.DefaultHttpxClient(transport=harness.transport())).
A test that is meant to reach it says so: @pytest.mark.harness(mode="live")."""
