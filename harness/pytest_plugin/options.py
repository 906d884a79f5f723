"""What a run is told: flags, the environment, pytest's own file, ``[tool.harness]``."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.settings import Found, Settings, Setup

_SETTINGS = {
    # Each setting with its metavar and its help.
    "mode": ("MODE", "replay (default), record, record-if-missing or live; else HARNESS_MODE"),
    "mcp_mode": ("MODE", "the same for what MCP servers are asked (default: the mode); else HARNESS_MCP_MODE"),
    "mcp_approval": ("WHEN", "what MCP calls need where a request does not say: always (default) or never"),
    "recordings": (
        "PLACE",
        "a directory (default: recordings, beside the test or at the root) or s3://…; several are read; else HARNESS_…",
    ),
    "upstream": ("URL", "the provider's base URL (default: OpenAI's); else HARNESS_UPSTREAM"),
    "responses": ("WHO", "who answers for responses and conversations: local (default) or upstream"),
    "speed": ("N", "replay recorded timings, N times as fast (default: at once)"),
    "state": ("PATH", "where conversations and responses are kept (default: in memory); else HARNESS_STATE"),
}
_FLAGS = {
    "strict": "answer by key alone, without the fall-back; else HARNESS_STRICT",
    "record_errors": "record failures too: 401, 429, 5xx, streams that broke off",
    "timings": "record how long the pieces of an answer took",
    "vcr": "keep the model traffic of pytest-recording's tests in recordings, not in cassettes; else HARNESS_VCR",
}
_ACTIONS = {"recordings": "append"}
_NO_KEEP_EQUAL = "record again what says the same, too"
_MODELS = "run the tests that take the fixture model once with each of these (A,B,C); else HARNESS_MODELS"
_SETUP = "the one of [tool.harness.setups] to run with; else HARNESS_SETUP"
_ON_IMPORT = "set OPENAI_BASE_URL and a key before modules are imported that make clients; all tests use the harness"
_REPORT = "write what was replayed, recorded and missed: .json, .md or .xml (JUnit), repeatedly; else HARNESS_REPORT"


def add(parser: pytest.Parser) -> None:
    """The flags ``--harness-…``, and the settings among them as ``harness_…`` in pytest's file."""
    group = parser.getgroup("harness", "record and replay of language models")
    for name, (metavar, text) in _SETTINGS.items():
        flag, action = f"--harness-{name.replace('_', '-')}", _ACTIONS.get(name, "store")
        group.addoption(flag, metavar=metavar, help=text, action=action)
        parser.addini(f"harness_{name}", text, default=None)
    for name, text in _FLAGS.items():
        group.addoption(f"--harness-{name.replace('_', '-')}", action="store_true", default=None, help=text)
        parser.addini(f"harness_{name}", text, default=None)
    group.addoption(
        "--harness-no-keep-equal", dest="harness_keep_equal", action="store_false", default=None, help=_NO_KEEP_EQUAL
    )
    group.addoption("--harness-models", metavar="NAMES", help=_MODELS)
    parser.addini("harness_models", _MODELS, default=None)
    group.addoption("--harness-setup", metavar="NAME", help=_SETUP)
    parser.addini("harness_setup", _SETUP, default=None)
    group.addoption("--harness-on-import", action="store_true", default=None, help=_ON_IMPORT)
    parser.addini("harness_on_import", _ON_IMPORT, type="bool", default=False)
    group.addoption("--harness-report", metavar="FILE", action="append", default=[], help=_REPORT)
    group.addoption("--harness-unused", action="store_true", help="list recordings of tests that ran, but did not ask")
    group.addoption("--harness-prune", action="store_true", help="delete them after a whole run without a failure")
    group.addoption("--harness-fail-on-unused", action="store_true", help="fail the run when there are any")


def named(config: pytest.Config, name: str) -> str | None:
    """What a flag, else a variable, else pytest's file says of something that is no setting."""
    flag = f"--harness-{name.replace('_', '-')}"
    said: list[str | None] = [config.getoption(flag), os.environ.get(f"HARNESS_{name.upper()}")]
    return next((value for value in [*said, config.getini(f"harness_{name}")] if value is not None), None)


def is_asked(config: pytest.Config) -> bool:
    """Whether anybody said anything that should be checked before the first test runs."""
    named_ones = (named(config, name) is not None for name in ("mode", "mcp_mode", "setup"))
    return any(named_ones) or bool(reports(config))


def is_early(config: pytest.Config) -> bool:
    """Whether the server is wanted before tests are imported, in the process that imports them."""
    is_controller = getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")
    return not is_controller and bool(config.getoption("--harness-on-import") or config.getini("harness_on_import"))


def wants_unused(config: pytest.Config) -> bool:
    return any(config.getoption(f"--harness-{name}") for name in ("unused", "prune", "fail-on-unused"))


def setup(config: pytest.Config) -> "Setup":
    """The setup that was chosen, or one that says nothing. Raises SettingsError."""
    from harness.settings import Setup
    from harness.settings import setup as find

    name = named(config, "setup")
    return find(name, config.rootpath, os.environ) if name else Setup()


def models(config: pytest.Config) -> list[str]:
    """The models to run with: those that were named, else those of the setup. Raises SettingsError."""
    said = named(config, "models")
    if said is None:
        return list(setup(config).models)
    return list(dict.fromkeys(filter(None, (name.strip() for name in said.split(",")))))


def load(config: pytest.Config, chosen: "Setup") -> "Settings":
    """The settings of the run. A setup counts as the flag that chose it. Raises SettingsError."""
    from harness.errors import SettingsError
    from harness.settings import load as load_settings

    flags = _flags(config)
    if flags["upstream"] is None:
        flags["upstream"] = chosen.upstream
    settings = load_settings(
        flags,
        {**os.environ, **chosen.env},
        config.rootpath,
        here=config.invocation_params.dir,
        flag_prefix="--harness-",
        between=_file(config),
    )
    if chosen.unfilled and settings.mode.needs_upstream:
        name, *_ = chosen.unfilled
        missing = ", ".join(one for one in chosen.sources[name] if one not in os.environ)
        hint = f"Set it: else what the environment has as {name}, maybe another provider's key, would be sent."
        raise SettingsError(f"The setup's {name} takes its value from {missing}, which is not set.", hint=hint)
    return settings


def reports(config: pytest.Config) -> list[str]:
    """The files that a report of the run is written to: those of the flag, else that of the variable."""
    return config.getoption("--harness-report") or list(filter(None, [os.environ.get("HARNESS_REPORT")]))


def names_recordings(config: pytest.Config) -> bool:
    """Whether anybody said where recordings are kept."""
    from harness.settings import is_given

    in_file = config.getini("harness_recordings") is not None
    return in_file or is_given("recordings", _flags(config), os.environ, config.rootpath)


def _flags(config: pytest.Config) -> dict[str, Any]:
    flags = {name: config.getoption(f"harness_{name}") for name in (*_SETTINGS, *_FLAGS)}
    return {**flags, "keep_equal": config.getoption("harness_keep_equal")}


def _file(config: pytest.Config) -> Mapping[str, "Found"]:
    """What pytest's own file says; its paths are relative to it."""
    from harness.settings import Found

    file = config.inipath or config.rootpath / "pytest.ini"
    given = {name: config.getini(f"harness_{name}") for name in (*_SETTINGS, *_FLAGS)}
    return {
        name: Found(value, f"harness_{name} in {file}", file.parent)
        for name, value in given.items()
        if value is not None
    }
