"""detect-secrets' patterns, for a second opinion on what is a secret.

Only its expressions for keys of a known shape: entropy, keywords and addresses are guesses that real recordings
(digests, embeddings, ids) answer with false alarms, and so are a few shapes that any long run of letters has.
"""

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec

_GUESSES = frozenset({
    *("Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword", "Public IP (ipv4)"),
    *("Artifactory Credentials", "Twilio API Key"),
})  # fmt: skip
_ASSIGNED_KINDS = frozenset({
    *("IBM Cloud IAM Key", "IBM COS HMAC Credentials", "Cloudant Credentials", "SoftLayer Credentials"),
})  # fmt: skip
"""Slow ones, which find what is assigned to a name."""
_ASSIGNED = re.compile(
    r"(?i:(?:key|pwd|pw|password|pass|token)[\"'\\\]]{0,4} *[=: >]{1,4} *[\"'\\]{0,2}[\w-]{20}"
    r"|cloudant\.com|softlayer\.com)"
)
"""Whether anything is: a quick look that spares texts the slow ones."""
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{400,}")
"""Data in base64, which holds any short shape sooner or later."""


def is_installed() -> bool:
    return find_spec("detect_secrets") is not None


def scanner() -> Callable[[str], Iterable[str]]:
    """A function that gives the kinds of secrets that detect-secrets finds in a text."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.plugins.base import RegexBasedDetector

    kinds: dict[str, type] = get_mapping_from_secret_type_to_class()
    plugins = [
        plugin() for kind, plugin in kinds.items() if kind not in _GUESSES and issubclass(plugin, RegexBasedDetector)
    ]

    def scan(text: str) -> Iterable[str]:
        text = _BLOB.sub("", text)
        skipped = frozenset() if _ASSIGNED.search(text) else _ASSIGNED_KINDS
        asked = [plugin for plugin in plugins if plugin.secret_type not in skipped]
        return [str(plugin.secret_type) for plugin in asked if any(map(_counts, plugin.analyze_string(text)))]

    return scan


def _counts(secret: str) -> bool:
    return bool(secret) and "redacted" not in secret
