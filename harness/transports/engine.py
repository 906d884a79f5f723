"""Which server answers a transport's calls: that of the test that runs, else one of this process's own."""

import atexit
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

from harness import ambient
from harness.running import ServerThread
from harness.settings import Settings, change, load

_own: list[ServerThread] = []
_starting = threading.Lock()


class Engine:
    """What a transport with this scope and these settings, given by name, asks."""

    def __init__(self, scope: str | None, given: dict[str, Any]) -> None:
        self.scope, self._given = scope, given
        self._own: ambient.Surroundings | None = None

    def surroundings(self) -> ambient.Surroundings:
        """The server for this moment's call, and the scope: the given one, else that of the test that runs.

        Where nothing runs tests the files of the project are read once. Raises SettingsError for settings that mean
        nothing, or that the disk does not allow.
        """
        if ambient.find is not None:
            return ambient.find(self.scope, self._given)
        if self._own is None:
            settings = change(load({}, os.environ, Path.cwd()), self._given, "harness.transport()", Path.cwd())
            self._own = ambient.Surroundings(_own_server(settings), self.scope)
        return self._own


def _own_server(settings: Settings) -> ServerThread:
    with _starting:
        for server in _own:
            if server.settings == settings:
                return server
        stack = contextlib.ExitStack()
        server = stack.enter_context(ServerThread(settings))
        atexit.register(stack.close)
        _own.append(server)
        return server
