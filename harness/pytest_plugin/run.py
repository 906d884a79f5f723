"""One run of pytest: its settings, its servers, and which test had which."""

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin import options
from harness.pytest_plugin.again import record_command
from harness.pytest_plugin.bridged import Bridged
from harness.pytest_plugin.guard import Guard
from harness.pytest_plugin.moment import Moment, test_id

if TYPE_CHECKING:
    from harness.ambient import Find, Surroundings
    from harness.report.run_log import Asked, RunLog
    from harness.running import ServerThread
    from harness.settings import Settings
    from harness.vcr_bridge import Bridge

RUN: pytest.StashKey["Run"] = pytest.StashKey()

MARKER = "harness"
FIXTURES = frozenset({"harness_base_url", "harness_server", "harness_scope"})
"""A test that takes one of these, or has the marker, uses the harness."""


@dataclass(frozen=True, slots=True)
class Use:
    """A test's use of a server, from a line of its journal on."""

    test: str
    scope: str
    server: "ServerThread"
    begin: int


class Run:
    """What the plugin knows of the run that is under way. Nothing is loaded before something needs it."""

    def __init__(self, config: pytest.Config, outer: "Find | None" = None) -> None:
        self.config = config
        self.outer = outer
        """What found a transport's server before: that of a run in which this one runs."""
        self.guard = Guard()
        self.bridged = Bridged()
        self.moment = Moment()
        self.begun: int = getattr(config, "workerinput", {}).get("harness_begun", time.time_ns())
        """When the run began, in nanoseconds since 1970: all its processes together."""
        self.is_wanted = False
        """Whether any test uses the harness."""
        self.is_early = False
        """Whether every test does, and the modules that are imported before."""
        self.left_out = 0
        """How many of the tests that were collected do not run; a controller of xdist's hears it of its workers."""
        self.written: dict[str, str] = {}
        """Of tests whose node id xdist has written otherwise, the node id that they have."""
        self.unrecorded: dict[str, str] = {}
        """Tests that reached for providers past the harness, while it recorded, and the hosts."""
        self._settings: Settings | None = None
        self._servers: list[ServerThread] = []
        self._uses: list[Use] = []
        self._by_scope: dict[tuple[int, str | None], list[Use]] = {}
        self._during: dict[int, list[tuple[int, str | None]]] = {}
        """Of each server, from which line of its journal on which test ran."""
        self._environ = pytest.MonkeyPatch()
        self._starting = threading.RLock()

    @property
    def settings(self) -> "Settings":
        """Flags, environment, files, and what ``pytest_harness_configure`` made of them. Raises SettingsError."""
        if self._settings is None:
            loaded = options.load(self.config, options.setup(self.config))
            changed = self.config.hook.pytest_harness_configure(config=self.config, settings=loaded)
            self._settings = loaded if changed is None else _as_settings(changed)
        return self._settings

    def settings_of(self, item: pytest.Item | pytest.Collector, base: "Settings") -> "Settings":
        """The settings of one test: recordings beside its file where nobody named a place, then its markers.

        Of a class, a module or a session they are those of its fixtures.
        """
        from harness.settings import change

        folder = item.path if item.path.is_dir() else item.path.parent
        given = marked(item)
        given.pop("scope", None)
        is_default = base.recordings == self.config.rootpath / "recordings" and not base.more_recordings
        if "recordings" not in given and is_default:
            beside = folder / "recordings"
            if beside.is_dir() and not options.names_recordings(self.config):
                given["recordings"] = str(beside)
        return change(base, given, f"@pytest.mark.{MARKER} of {test_id(item)}", folder)

    def watch(self, item: pytest.Item) -> None:
        """Put up the network guard, if this test's network is nobody else's matter: refusing if it replays."""
        from harness.errors import SettingsError
        from harness.settings import Mode

        self.guard.hits.clear()
        try:
            settings = self.settings_of(item, self.settings)
        except SettingsError:
            return  # The fixture will say so.
        if settings.mode is not Mode.LIVE and item.get_closest_marker("vcr") is None:
            self.guard.install(settings.upstream_addresses)
            self.guard.active = settings.mode is Mode.REPLAY
            self.guard.watches = not self.guard.active

    def unwatch(self, item: pytest.Item) -> None:
        """The test has ended: what it recorded past the harness, if anything, is told in the end."""
        if self.guard.watches and self.guard.hits:
            self.unrecorded[test_id(item)] = ", ".join(dict.fromkeys(self.guard.hits))
        self.guard.active = self.guard.watches = False

    def server(self, settings: "Settings") -> "ServerThread":
        """The one server of the run with these settings, started on first need. Raises HarnessError."""
        from harness.running import ServerThread

        with self._starting:
            for server in self._servers:
                if server.settings == settings:
                    return server
            server = ServerThread(settings, self.begun).__enter__()
            server.adopt(self.moment.whose)
            self._servers.append(server)
            self._note_during(server)
            return server

    def is_ours(self, address: object) -> bool:
        """Whether a connection to this address is one to a server of the run, or is made by one."""
        from harness.running import is_server_thread

        return is_server_thread() or any(server.listens_at(address) for server in self._servers)

    def enter(self, item: pytest.Item | None) -> None:
        """A test begins, or, with None, has ended."""
        if self.moment.scope is not None:
            for server in self._servers:
                server.retire(self.moment.scope)
        self.moment.item, self.moment.scope = item, None
        self._adopt()
        for server in self._servers:
            self._note_during(server)

    def _note_during(self, server: "ServerThread") -> None:
        item, begin = self.moment.item, len(server.parts.journal.lines)
        self._during.setdefault(id(server), []).append((begin, None if item is None else test_id(item)))

    def _adopt(self) -> None:
        for server in self._servers:
            server.adopt(self.moment.whose)

    def widen(self, node: pytest.Item | pytest.Collector) -> None:
        """A fixture of wider scope than a test is made, or unmade, for this node."""
        if not self.moment.wider:
            for server in self._servers:
                server.begin(None)
        self.moment.wider.append(node)
        self._adopt()

    def narrow(self) -> None:
        """That fixture is ready, or gone."""
        self.moment.wider.pop()
        self._adopt()

    def begin(self, test: str, scope: str, server: "ServerThread") -> Use:
        """A test begins to use a server: the sequences of its scope begin anew."""
        self.is_wanted = True
        server.begin(scope)
        use = Use(test, scope, server, len(server.parts.journal.lines))
        self._uses.append(use)
        self._by_scope.setdefault((id(server), scope), []).append(use)
        return use

    def own(self, scope: str) -> None:
        """What names no scope while this test runs is of its scope."""
        self.moment.scope = scope
        self._adopt()

    def surroundings(self, scope: str | None, given: dict[str, Any]) -> "Surroundings":
        """Which server a transport's call is for, and its scope: those of the test that runs now.

        ``scope`` and ``given`` settings are the transport's own. Raises HarnessError.
        """
        from harness.ambient import Surroundings
        from harness.settings import change

        self.is_wanted = True
        item, wider = self.moment.item, self.moment.wider
        if item is None or not hasattr(item, "_request") or wider:
            base = self.settings_of(wider[-1], self.settings) if wider else self.settings
            return Surroundings(self.server(change(base, given, "harness.transport()", Path.cwd())), scope)
        # The test may never have asked for a fixture of ours: it is asked for on its behalf.
        use = item._request.getfixturevalue("_harness_use")  # noqa: SLF001 - an item has no other door to its fixtures
        server, scope = use.server, scope or use.scope
        if given:
            server = self.server(change(server.settings, given, "harness.transport()", Path.cwd()))
            self.guard.active = self.guard.active and not server.settings.mode.needs_upstream
        uses = self._by_scope.get((id(server), scope))
        if not uses or uses[-1].test != use.test:
            self.begin(use.test, scope, server)
        return Surroundings(server, scope)

    def bridge(self, vcr: Any) -> None:
        """Let tests that use cassettes of a ``vcr.VCR`` have their model traffic in recordings, if they want that."""
        if self._bridged_settings() is not None:
            from harness.vcr_bridge import install

            install(vcr, self._bridge)

    def _bridge(self, mode: str) -> "Bridge | None":
        """The bridge of the test that runs now, in one of vcrpy's record modes."""
        settings, item = self._bridged_settings(), self.moment.item
        if settings is None or item is None:
            return None
        return self.bridged.begin(item, settings, str(marked(item).get("scope") or test_id(item)), mode)

    def _bridged_settings(self) -> "Settings | None":
        """The settings of the test that runs now, if it wants its cassettes bridged. Fails it of wrong ones."""
        from harness.errors import HarnessError

        item: Any = self.moment.item
        if item is None or not hasattr(item, "_request"):
            return None
        try:
            settings = self.settings_of(item, item._request.getfixturevalue("harness_settings"))  # noqa: SLF001 - as above
        except HarnessError as error:
            wrong = str(error)
        else:
            return settings if settings.vcr else None
        pytest.fail(f"harness: {wrong}", pytrace=False)

    def end(self) -> None:
        """Close every server; what is being recorded is finished first."""
        for server in self._servers:
            server.__exit__(None, None, None)

    def enter_setup(self) -> None:
        """Set the variables of the chosen setup, for the whole run. Raises SettingsError."""
        self._set(options.setup(self.config).env)

    def begin_early(self) -> None:
        """Lead clients to the server that are made before any test, when modules are imported. Raises HarnessError."""
        from harness.running import client_environment

        self.is_wanted = self.is_early = True
        server = self.server(self.settings)
        self._set(client_environment(server.settings, server.root, None, os.environ))

    def _set(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._environ.setenv(name, value)

    def leave(self) -> None:
        """Leave the process as it was found."""
        self._environ.undo()
        self.guard.remove()

    def abandon(self, test: str) -> None:
        """A test that failed may not have asked for all it asks for: it replaces no more than it recorded."""
        self.bridged.failed.add(test)
        for use in self._uses:
            if use.test == test:
                use.server.abandon(use.scope)

    def break_off(self) -> None:
        for server in self._servers:
            server.break_off()

    def asked_by(self, test: str) -> "list[Asked]":
        """What a test asked, in the last time that it ran."""
        last = {(id(use.server), use.scope): use for use in self._uses if use.test == test}
        asked = [(use, self._asked(use.server, use.begin)) for use in last.values()]
        own = [one for use, lines in asked for one in lines if (one.test, one.scope) == (test, use.scope)]
        return own + [one for one in self.bridged.asked if one.test == test]

    def first_lines(self, test: str) -> list[str]:
        """What a test asked, a line for each: the outcome, the recording, the first line of its answer."""
        from harness.errors import RecordingError
        from harness.recording.first_line import first_line

        stores = {str(server.settings.recordings): server.parts.store for server in self._servers} | self.bridged.stores
        lines = []
        for one in self.asked_by(test):
            said = (one.error or "").partition("\n")[0]
            if one.recording is not None:
                try:
                    said = first_line(stores[one.where].load(one.recording).response)
                except RecordingError as error:
                    said = error.message
            name = (one.recording or "").rpartition("/")[2][:12]
            lines.append("  ".join(filter(None, (f"{one.outcome:<8}", name, one.model, said))))
        return lines

    def misses(self, test: str) -> "list[Asked]":
        return [one for one in self.asked_by(test) if one.outcome == "missed"]

    def shared_misses(self) -> "list[Asked]":
        """Misses of clients that belong to no single test, as a fixture of the session makes them."""
        asked = (one for server in self._servers for one in self._asked(server))
        return [one for one in asked if one.outcome == "missed" and one.test is None]

    def log(self) -> "RunLog":
        """Everything that was asked in this process."""
        from harness.report.run_log import RunLog

        own = [] if self.bridged.modes and not self._servers else [self.settings.modes]
        modes = dict.fromkeys([*own, *(server.settings.modes for server in self._servers), *self.bridged.modes])
        log = RunLog(", ".join(modes), partial(record_command, self.config))
        log.tests = dict.fromkeys([*(use.test for use in self._uses), *self.bridged.scopes], "unknown")
        log.asked += self.bridged.asked
        for server in self._servers:
            log.asked += self._asked(server)
        return log

    @property
    def is_used(self) -> bool:
        return bool(self._servers or self.bridged.scopes)

    def directories(self) -> list[str]:
        """Where recordings are as files of this machine."""
        places = {
            str(server.settings.recordings) for server in self._servers if isinstance(server.settings.recordings, Path)
        }
        return sorted(places | {place for place in self.bridged.stores if "://" not in place})

    def scopes(self) -> dict[str, str]:
        """The scope of each test that used the harness."""
        return {use.test: use.scope for use in self._uses} | self.bridged.scopes

    def _asked(self, server: "ServerThread", begin: int = 0) -> "Iterator[Asked]":
        """The journal of a server, from a line on, with the tests to which its lines belong."""
        from harness.report.run_log import asked

        where = str(server.settings.recordings)
        during = self._during[id(server)]
        for number, line in enumerate(server.parts.journal.lines[begin:], begin):
            uses = self._by_scope.get((id(server), line.scope), ())
            test = next((use.test for use in reversed(uses) if use.begin <= number), None)
            running = during[bisect_right(during, number, key=lambda row: row[0]) - 1][1]
            yield asked(line, where, test, running)


def _as_settings(changed: object) -> "Settings":
    from harness.errors import SettingsError
    from harness.settings import Settings

    if isinstance(changed, Settings):
        return changed
    raise SettingsError(
        f"pytest_harness_configure returned {type(changed).__name__}, not Settings.",
        hint="Write return dataclasses.replace(settings, strict=True); or return nothing, and they stay as they are.",
    )


def marked(item: pytest.Item | pytest.Collector) -> dict[str, Any]:
    """What the markers of a test say, those of its class and module included: the closest one counts.

    Raises SettingsError.
    """
    found: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if marker.args:
            from harness.errors import SettingsError

            hint = f'Write @pytest.mark.{MARKER}(mode="…"); besides: recordings, strict, upstream, state, scope.'
            raise SettingsError(f"@pytest.mark.{MARKER} of {test_id(item)}: {marker.args[0]!r} has no name.", hint=hint)
        found |= marker.kwargs
    return found


def uses_harness(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARKER) is not None or not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def run_of(config: pytest.Config) -> Run:
    return config.stash[RUN]
