"""Settings: what can be chosen, and where it is read."""

from harness.settings.change import change
from harness.settings.load import check, load
from harness.settings.model import (
    DEFAULT_UPSTREAM,
    NO_KEY,
    Bucket,
    Match,
    Mode,
    NamedUpstream,
    Place,
    Redact,
    Settings,
    variable_stem,
)
from harness.settings.setups import Setup, setup
from harness.settings.sources import Found, is_given
from harness.settings.values import parse_mode

__all__ = [
    "DEFAULT_UPSTREAM",
    "NO_KEY",
    "Bucket",
    "Found",
    "Match",
    "Mode",
    "NamedUpstream",
    "Place",
    "Redact",
    "Settings",
    "Setup",
    "change",
    "check",
    "is_given",
    "load",
    "parse_mode",
    "setup",
    "variable_stem",
]
