"""Settings: what can be chosen, and where it is read."""

from harness.settings.load import check, load
from harness.settings.model import DEFAULT_UPSTREAM, NO_KEY, Bucket, Match, Mode, NamedUpstream, Place, Settings
from harness.settings.values import parse_mode

__all__ = [
    "DEFAULT_UPSTREAM",
    "NO_KEY",
    "Bucket",
    "Match",
    "Mode",
    "NamedUpstream",
    "Place",
    "Settings",
    "check",
    "load",
    "parse_mode",
]
