"""What secrets look like: the shapes of providers' keys and tokens, as tight as they can be.

Redacting happens before the key is computed, so a pattern that finds ordinary text changes what requests are equal. The
shapes follow the providers' documentation and the rules of detect-secrets and gitleaks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import SettingsError


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One shape: its name, the expression (its group ``secret``, else all of it, is the secret).

    ``hints`` are texts, in lower case, of which one is in every match: looking for them is much quicker than for the
    expression. None: always look.
    """

    name: str
    expression: re.Pattern[str]
    hints: tuple[str, ...] = ()


_START = r"(?:(?<!\w)|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2}))"
"""Where a word begins, also behind an escape of JSON in a text and behind one of a URL."""

_MIXED = r"(?=[A-Za-z]*[0-9A-Z])"
"""Random letters have a digit or a capital among them; a long English word has not."""


def _word(name: str, expression: str, *hints: str) -> SecretPattern:
    return SecretPattern(name, re.compile(_START + expression), tuple(hint.lower() for hint in hints))


def _after(name: str, expression: str, *hints: str) -> SecretPattern:
    return SecretPattern(name, re.compile(expression), tuple(hint.lower() for hint in hints))


_BLOCK = r"PRIVATE KEY(?: BLOCK)?-----"

PATTERNS: tuple[SecretPattern, ...] = (
    # Providers of models.
    _word("API key (sk-…)", r"sk-[A-Za-z0-9_-]{20,}", "sk-"),
    _word("masked API key", r"sk-[A-Za-z0-9_-]*\*{3,}[A-Za-z0-9*_-]*", "sk-"),
    _word("OpenAI organization", rf"org-{_MIXED}[A-Za-z0-9]{{20,}}\b", "org-"),
    _word("OpenAI project", rf"proj_{_MIXED}[A-Za-z0-9]{{20,}}\b", "proj_"),
    _word("Google API key", r"AIza[0-9A-Za-z_-]{35}", "AIza"),
    _word("Google OAuth token", r"ya29\.[0-9A-Za-z_-]{20,}", "ya29."),
    _word("Groq API key", r"gsk_[A-Za-z0-9]{40,}", "gsk_"),
    _word("xAI API key", r"xai-[A-Za-z0-9_-]{40,}", "xai-"),
    _word("Hugging Face token", r"(?:hf|api_org)_[A-Za-z0-9]{30,}", "hf_", "api_org_"),
    _word("Replicate token", r"r8_[A-Za-z0-9]{30,}", "r8_"),
    _word("Perplexity API key", r"pplx-[A-Za-z0-9]{40,}", "pplx-"),
    _word("NVIDIA API key", r"nvapi-[A-Za-z0-9_-]{40,}", "nvapi-"),
    _word("Cerebras API key", r"csk-[a-z0-9]{40,}", "csk-"),
    _word("Fireworks API key", rf"fw_{_MIXED}[A-Za-z0-9]{{20,}}\b", "fw_"),
    _word("Together API key", r"tgp_v1_[A-Za-z0-9_-]{30,}", "tgp_v1_"),
    _word("Tavily API key", rf"tvly-(?:(?:dev|prod)-)?{_MIXED}[A-Za-z0-9]{{20,}}", "tvly-"),
    # Clouds and services.
    _word(
        "AWS access key",
        r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b",
        "a3t", "abia", "acca", "akia", "asia",
    ),
    _after(
        "AWS secret key",
        r"(?i:aws.{0,20}?(?:key|pwd|pw|password|pass|token)).{0,20}?['\"](?P<secret>[0-9a-zA-Z/+]{40})\\*['\"]",
        "aws",
    ),
    _after("Azure storage key", r"AccountKey=(?P<secret>[A-Za-z0-9+/=]{86,88})", "AccountKey="),
    _word("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _word("GitHub token", r"github_pat_[A-Za-z0-9_]{22,}", "github_pat_"),
    _word("GitLab token", r"(?:glpat|gldt|glft|glsoat|glrt|glptt|glimt|gloas)-[A-Za-z0-9_-]{20,}", "gl"),
    _word("Slack token", r"xox[abeoprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}", "xox", "xapp-"),
    _after("Slack webhook", r"hooks\.slack\.com/(?P<secret>services/T\w+/B\w+/\w+)", "hooks.slack.com"),
    _word("SendGrid API key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", "SG."),
    _word("Stripe key", r"(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{20,}", "k_live_", "k_test_", "whsec_"),
    _word("npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _word("PyPI token", r"pypi-AgE[A-Za-z0-9_-]{60,}", "pypi-AgE"),
    _word("Square secret", r"sq0csp-[0-9A-Za-z_-]{43}", "sq0csp-"),
    _word("Telegram token", r"\d{8,10}:AA[0-9A-Za-z_-]{33}(?![\w-])", ":AA"),
    _word("Discord token", r"[MNO](?=\w*\d)[A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38}(?![\w-])", "."),
    # What any service uses.
    _word("JSON web token", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "eyJ"),
    _after(
        "private key",
        rf"-----BEGIN [A-Z0-9 ]*{_BLOCK}(?:(?:(?!-----BEGIN)[\s\S])*?-----END [A-Z0-9 ]*{_BLOCK}"
        r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})*)",
        "PRIVATE KEY",
    ),
    _after("bearer token", r"(?<=\bBearer )[A-Za-z0-9._~+/-]{20,}=*", "Bearer "),
    _after(
        "bearer token",
        r"(?i:\bbearer(?: |%20|\+))(?P<secret>(?=[A-Za-z._~+/-]*\d)[A-Za-z0-9._~+/-]{20,}=*)",
        "bearer",
    ),
    _after(
        "basic authorization",
        r"(?i:authorization\\*['\"]?: ?\\*['\"]?basic )(?P<secret>[A-Za-z0-9+/]{8,}=*)",
        "basic ",
    ),
    _after(
        "password in a URL",
        r"(?<=://)(?P<secret>[^\s/?#@:\"'<>\\\[\]{}$]+:[^\s/?#@:\"'<>\\\[\]{}$]{3,})(?=@[\w.-])",
        "://",
    ),
    _after(
        "signed URL",
        r"(?i:[?&](?:x-amz-signature|x-amz-security-token|x-goog-signature|sig|signature|access_token|api[_-]?key|key)=)"
        r"(?P<secret>(?=[A-Za-z%._~+/-]*\d)[A-Za-z0-9%._~+/-]{16,}=*)",
        "sig", "token=", "key=",
    ),
    _after(
        "cookie",
        r"(?i:\b(?:set-)?cookie\\*['\"]?: ?\\*['\"]?)"
        r"(?P<secret>[\w.!#$%&*+^`|~-]+=[^\s;,'\"\\]{8,}(?:; ?[\w.-]+(?:=[^\s;,'\"\\]*)?)*)",
        "cookie",
    ),
)  # fmt: skip

HEADERS = frozenset({
    *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "set-cookie"),
    *("openai-organization", "openai-project", "x-auth-token", "x-amz-security-token"),
})  # fmt: skip
"""Headers whose values are secrets, wherever they stand under their names."""

FIELDS = HEADERS | {
    *("api_key", "apikey", "access_token", "refresh_token", "client_secret", "secret_key", "secret_access_key"),
}
"""Fields of JSON whose values are secrets when they look like a token at all: long enough, and no sentence."""


def field_patterns(names: Iterable[str], shortest: int, *, with_digit: bool = False) -> list[SecretPattern]:
    """Where the values of fields stand in text: in JSON that a text holds, in a form or query, on a header's line.

    ``with_digit`` asks for a digit in the value, as tokens have one and words have none.
    """
    made = []
    for name in sorted(names):
        word = re.escape(name)
        digit = r"(?=[^\s\"'\\&]*\d)" if with_digit else ""
        value = rf"(?P<secret>{digit}[^\s\"'\\\[]{{{shortest},}})"
        made += [
            _after(f"value of {name}", rf"(?i:(?<![\w-])\\*['\"]{word}\\*['\"]) ?: ?\\*['\"]{value}(?=\\*['\"])", name),
            _after(f"value of {name}", rf"(?i:[?&]{word}=)(?P<secret>{digit}[^\s&#\"'\\\[]{{{shortest},}})", name),
            _after(f"value of {name}", rf"(?im:^{word}): {value}", name),
        ]
    return made


def secret_shape(pattern: str) -> SecretPattern:
    """A shape of the user's: a regular expression, whose group ``secret`` (else all of it) is the secret.

    Raises SettingsError when the pattern is not a regular expression.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"[tool.harness.redact] patterns: {pattern!r} is not a regular expression: {error}",
            hint="Change the pattern in pyproject.toml.",
        ) from error
    return SecretPattern(f"[tool.harness.redact] {pattern}", expression)
