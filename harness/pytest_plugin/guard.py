"""The network guard: while a test replays, no model provider is looked up, and none is spoken to.

A provider is known by its name alone. The name is in the look-up of its address, and, whoever made that (a proxy, a
resolver of an event loop's own, a list of hosts), in the beginning of TLS.
"""

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
        self._upstreams: frozenset[str] = frozenset()
        self._patch = pytest.MonkeyPatch()
        self._is_installed = False

    def install(self, upstreams: Collection[str]) -> None:
        """Stand before the system's look-ups and before TLS, for the known hosts and the test's own upstreams."""
        self._upstreams = frozenset(upstreams) - {*_HERE}
        if self._is_installed:
            return
        self._is_installed = True
        import ssl

        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            self._stand_before(socket, name, lambda args, kwargs: args[0] if args else kwargs.get("host"), _not_found)
        for name in ("wrap_socket", "wrap_bio"):
            self._stand_before(ssl.SSLContext, name, lambda _, kwargs: kwargs.get("server_hostname"), _refused)

    def _stand_before(
        self, owner: Any, name: str, host_of: Callable[[Any, Any], Any], error: Callable[[str], Exception]
    ) -> None:
        real = getattr(owner, name)
        is_speech = owner is not socket

        def guarded(*args: Any, **kwargs: Any) -> Any:
            is_looked_at = self.active or (self.watches and is_speech and not _is_our_own())
            if is_looked_at and self.is_provider(host := _text(host_of(args, kwargs))):
                self.hits.append(host)
                if self.active:
                    raise error(f"{host}: the harness is replaying, and this is a model's host")
            return real(*args, **kwargs)

        self._patch.setattr(owner, name, guarded)

    def is_provider(self, host: str) -> bool:
        from harness.recording.providers import is_provider

        return host.lower() in self._upstreams or is_provider(host)

    def remove(self) -> None:
        self._patch.undo()


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
