"""What can be chosen: the modes, and every setting with its default."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from harness.errors import SettingsError

DEFAULT_UPSTREAM = "https://api.openai.com/v1"

NO_KEY = "harness"
"""The API key that the harness gives to clients where none is needed; it is never sent to an upstream."""


def variable_stem(name: str) -> str:
    """What environment variables of an upstream with this name begin with."""
    return re.sub(r"\W", "_", name).upper()


class Mode(StrEnum):
    """What happens to an inference request."""

    REPLAY = "replay"
    RECORD = "record"
    RECORD_IF_MISSING = "record-if-missing"
    LIVE = "live"

    @property
    def needs_upstream(self) -> bool:
        return self is not Mode.REPLAY

    @property
    def writes(self) -> bool:
        """Whether recordings are written."""
        return self in (Mode.RECORD, Mode.RECORD_IF_MISSING)


@dataclass(frozen=True, slots=True)
class Match:
    """The user's own rules for what makes requests equal, from ``[tool.harness.match]``.

    ``endpoints`` has those for single endpoints, from ``[tool.harness.match."/v1/embeddings"]``.
    """

    ignore: Sequence[str] = ()
    replace: Sequence[tuple[str, str]] = ()
    presets: Sequence[str] = ()
    endpoints: Mapping[str, "Match"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redact:
    """What is secret beside what is known to be, from ``[tool.harness.redact]``.

    ``patterns`` are regular expressions, ``fields`` names of JSON fields, query parameters and headers, ``values`` the
    values of the environment variables that it names.
    """

    patterns: Sequence[str] = ()
    fields: Sequence[str] = ()
    values: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in an object store: ``s3://bucket/prefix``."""

    url: str

    def __str__(self) -> str:
        return self.url


Place: TypeAlias = Path | Bucket
"""Where recordings are: a directory, or a place in an object store."""


@dataclass(frozen=True, slots=True)
class NamedUpstream:
    """An upstream with a name, from ``[tool.harness.upstreams.NAME]``: chosen by a path or by a model's name.

    ``auth`` is the header of its key: ``bearer``, ``api-key``, ``x-api-key`` or ``none``. ``query`` and ``headers`` go
    with every request. ``key_env`` is the variable that its key comes from.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    auth: str = "bearer"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    key_env: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen. ``state`` is a path or a database URL; None keeps the state in memory.

    ``mcp_mode`` is the mode of MCP servers, None that of the model; ``mcp_approval`` is what calls of their tools need
    where a request does not say; ``mcp_connectors`` are the URLs of servers that stand in for OpenAI's connectors.
    ``responses`` says who answers for responses, conversations and stored completions. ``record_errors`` records what
    says nothing about the request as well, ``timings`` when each piece of an answer came; ``speed`` replays it so many
    times as fast, None at once.
    ``recordings`` is where recordings are written and looked for first, ``more_recordings`` where they are looked for
    then. ``cache`` is the directory for what can be made again (indices, copies of what is in an object store); None is
    the user's own. ``vcr`` keeps the model traffic of vcrpy's tests in recordings.

    What may hold a secret is not in its ``repr``: tests that fail show the values of fixtures.
    """

    mode: Mode = Mode.REPLAY
    recordings: Place = Path("recordings")
    upstream: str = DEFAULT_UPSTREAM
    strict: bool = False
    state: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    responses: Literal["local", "upstream"] = "local"
    record_errors: bool = False
    timings: bool = False
    speed: float | None = None
    upstreams: Mapping[str, NamedUpstream] = field(default_factory=dict)
    upstream_parameters: Sequence[str] = ()
    match: Match = field(default_factory=Match)
    redact: Redact = Redact()
    more_recordings: Sequence[Place] = ()
    keep_equal: bool = True
    vcr: bool = False
    mcp_mode: Mode | None = None
    mcp_approval: Literal["always", "never"] = "always"
    mcp_connectors: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = field(default=None, repr=False)

    @property
    def mode_of_servers(self) -> Mode:
        """What happens to what is asked of MCP servers."""
        return self.mcp_mode or self.mode

    @property
    def modes(self) -> str:
        """The mode in words, with that of MCP servers where it is another one."""
        return str(self.mode) if self.mode_of_servers is self.mode else f"{self.mode} (MCP servers: {self.mcp_mode})"

    @property
    def writes(self) -> bool:
        """Whether recordings are written, of whomever."""
        return self.mode.writes or self.mode_of_servers.writes

    @property
    def directory(self) -> Path:
        """Where recordings are written, for what works on files. Raises SettingsError for an object store."""
        if isinstance(self.recordings, Bucket):
            raise SettingsError(
                f"recordings: {self.recordings} is no directory, which this needs.",
                hint="Name a directory: --recordings DIR",
            )
        return self.recordings

    @property
    def upstream_names(self) -> Sequence[str]:
        """The prefixes that a model's name may have; ``openai`` always, whoever answers for it."""
        return tuple(dict.fromkeys(("openai", *self.upstreams)))

    def key_variable(self, name: str) -> str:
        """The environment variable that the key of an upstream comes from: what it names, else ``NAME_API_KEY``."""
        named = self.upstreams.get(name)
        return (named.key_env if named else None) or f"{variable_stem(name)}_API_KEY"

    @property
    def upstream_hosts(self) -> frozenset[str]:
        """The hosts of all upstreams, in lower case."""
        return frozenset(host for host, _ in self.upstream_addresses)

    @property
    def upstream_addresses(self) -> frozenset[tuple[str, int]]:
        """Their hosts, each with its port."""
        urls = map(urlsplit, (self.upstream, *(one.base_url for one in self.upstreams.values())))
        return frozenset(
            (url.hostname, url.port or (80 if url.scheme == "http" else 443)) for url in urls if url.hostname
        )
