"""What secrets look like: the shapes of providers' keys and tokens, as tight as they can be.

Redacting happens before the key is computed, so a pattern that finds ordinary text changes what requests are equal. The
shapes follow the providers' documentation and the rules of detect-secrets and gitleaks.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.recording.patterns import Compiled, Pattern


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One shape: its name, the expression (its group ``secret``, else all of it, is the secret).

    ``hints`` are texts of which one is in every match: looking for them is much quicker than for the expression. None:
    always look. With ``ignores_case`` hints are in lower case, and stand for any; with ``is_word`` each match begins
    with one.
    """

    name: str
    expression: Compiled
    hints: tuple[str, ...] = ()
    ignores_case: bool = False
    is_word: bool = False

    def spans(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the secrets of this shape stand between ``start`` and ``end``."""
        group = "secret" if "secret" in self.expression.groupindex else 0
        matches = self._words(text, start, end) if self.is_word else self.expression.finditer(text, start, end)
        yield from (match.span(group) for match in matches if match[group])

    def _words(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """The same matches, much quicker in long texts."""
        assert isinstance(self.expression, re.Pattern)
        for hint in self.hints:
            at = text.find(hint, start, end)
            while at >= 0:
                match = self.expression.match(text, at, end)
                if match:
                    yield match
                at = text.find(hint, match.end() if match else at + 1, end)


_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2}))"
"""Where a word begins, also behind an escape of JSON in a text and behind one of a URL.

Keys are ASCII, and so are the borders of words here: in Chinese a key may follow a letter.
"""

_MIXED = r"(?=[A-Za-z]{0,99}[0-9A-Z])"
"""Random letters have a digit or a capital among them; a long English word has not."""


def _word(name: str, expression: str, *hints: str) -> SecretPattern:
    return SecretPattern(name, re.compile(_START + expression, re.ASCII), hints, is_word=True)


def _after(name: str, expression: str, *hints: str) -> SecretPattern:
    return SecretPattern(name, re.compile(expression, re.ASCII), hints)


def _anyhow(name: str, expression: str, *hints: str) -> SecretPattern:
    """A shape in capitals or not."""
    return SecretPattern(name, re.compile(f"(?i:{expression})", re.ASCII), hints, ignores_case=True)


_NAMES = r"api[_-]?key|(?:access|refresh|auth|security)[_-]?token|client[_-]?secret|secret[_-]?(?:access[_-]?)?key"
_NAMED = ("api_key", "api-key", "apikey", "token", "secret")
"""What keys are called in files of settings, on command lines, in programs; and what is in each of these names."""
_PLAIN = r"[^\s\"'\\&#,;<>(){}\[\]$]"
_TOKEN = rf"(?={_PLAIN}{{0,200}}\d){_PLAIN}"
"""What is in a token, a digit first of all; programs and templates have other signs there."""
_EXAMPLE = r"(?i:pass|passwd|password|pwd|secret|changeme|example|your[\w-]*|x+|\*+)"
"""What stands for a password in examples."""

_QUOTE = r"\\{0,63}['\"]"
"""A quote, also in JSON that stands in JSON, to the sixth degree: each doubles the backslashes before it."""

_BLOCK = r"PRIVATE KEY(?: BLOCK)?-----"

PATTERNS: tuple[SecretPattern, ...] = (
    # Providers of models.
    _word("API key (sk-…)", r"sk-(?=[a-z_-]{0,99}[0-9A-Z])[A-Za-z0-9_-]{20,}", "sk-"),
    _word("masked API key", r"sk-[A-Za-z0-9_-]*\*{3,}[A-Za-z0-9*_-]*", "sk-"),
    _word("OpenAI organization", rf"org-{_MIXED}[A-Za-z0-9]{{20,}}\b", "org-"),
    _word("OpenAI user", r"user-(?=[A-Za-z]{0,99}\d)[A-Za-z0-9]{24}\b", "user-"),
    _word("OpenAI session key", rf"(?:sess-|ek_){_MIXED}[A-Za-z0-9]{{24,}}", "sess-", "ek_"),
    _word("OpenAI project", rf"proj_{_MIXED}[A-Za-z0-9]{{20,}}\b", "proj_"),
    _word("Google API key", r"AIza[0-9A-Za-z_-]{35}", "AIza"),
    _word("Google OAuth token", r"ya29\.[0-9A-Za-z_-]{20,}", "ya29."),
    _word("Groq API key", r"gsk_[A-Za-z0-9]{40,}", "gsk_"),
    _word("xAI API key", r"xai-(?=[A-Za-z_-]{0,99}\d)[A-Za-z0-9_-]{40,}", "xai-"),
    _word("Hugging Face token", rf"(?:hf|api_org)_{_MIXED}[A-Za-z0-9]{{30,}}", "hf_", "api_org_"),
    _word("Replicate token", r"r8_[A-Za-z0-9]{30,}", "r8_"),
    _word("Perplexity API key", r"pplx-[A-Za-z0-9]{40,}", "pplx-"),
    _word("NVIDIA API key", r"nvapi-(?=[A-Za-z_-]{0,99}\d)[A-Za-z0-9_-]{40,}", "nvapi-"),
    _word("Cerebras API key", r"csk-[a-z0-9]{40,}", "csk-"),
    _word("Fireworks API key", rf"fw_{_MIXED}[A-Za-z0-9]{{20,}}\b", "fw_"),
    _word("Together API key", r"tgp_v1_[A-Za-z0-9_-]{30,}", "tgp_v1_"),
    _word("Tavily API key", rf"tvly-(?:(?:dev|prod)-)?{_MIXED}[A-Za-z0-9]{{20,}}", "tvly-"),
    _word("LangSmith API key", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", "lsv2_"),
    _word("Pinecone API key", r"pcsk_[A-Za-z0-9_]{50,}", "pcsk_"),
    _word("ElevenLabs API key", r"sk_[0-9a-f]{48}(?![0-9a-f])", "sk_"),
    _word("Voyage API key", r"pa-(?=[A-Za-z_-]{0,99}\d)[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "pa-"),
    _word("Jina API key", r"jina_[A-Za-z0-9_-]{50,}", "jina_"),
    # Clouds and services.
    _word(
        "AWS access key",
        r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b",
        "A3T", "ABIA", "ACCA", "AKIA", "ASIA",
    ),
    _after("Azure storage key", r"AccountKey=(?P<secret>[A-Za-z0-9+/=]{86,88})", "AccountKey="),
    _after("Azure shared access key", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/=]{40,})", "SharedAccessKey="),
    _word("Databricks token", r"dapi[0-9a-f]{32}(?![0-9a-f])", "dapi"),
    _word("DigitalOcean token", r"do[opr]_v1_[0-9a-f]{64}", "doo_v1_", "dop_v1_", "dor_v1_"),
    _word("Vault token", r"hv[bs]\.[A-Za-z0-9_-]{80,}", "hvs.", "hvb."),
    _word("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _word("GitHub token", r"github_pat_[A-Za-z0-9_]{22,}", "github_pat_"),
    _word(
        "GitLab token",
        r"(?:glpat|gldt|glft|glsoat|glrt|glptt|glimt|gloas)-[A-Za-z0-9_-]{20,}", "glpat-", "gld", "glft-", "glsoat-",
        "glrt-", "glptt-", "glimt-", "gloas-",
    ),
    _word("Slack token", r"xox[abeoprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}", "xox", "xapp-"),
    _after("Slack webhook", r"hooks\.slack\.com/(?P<secret>services/T\w+/B\w+/\w+)", "hooks.slack.com"),
    _word("SendGrid API key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", "SG."),
    _word(
        "Stripe key",
        r"(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{20,}",
        "sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_",
    ),
    _word("Shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-f]{32}", "shpat_", "shpca_", "shppa_", "shpss_"),
    _word("Linear API key", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,}", "lin_"),
    _word("Notion token", rf"(?:secret|ntn)_{_MIXED}[A-Za-z0-9]{{43,}}", "secret_", "ntn_"),
    _word("Atlassian token", r"ATATT3[A-Za-z0-9_=-]{50,}", "ATATT3"),
    _word("Twilio API key", r"SK[0-9a-f]{32}(?![0-9a-f])", "SK"),
    _word("Mailgun API key", r"key-[0-9a-f]{32}(?![0-9a-f])", "key-"),
    _word("npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _word("PyPI token", r"pypi-AgE[A-Za-z0-9_-]{60,}", "pypi-AgE"),
    _word("Square secret", r"sq0csp-[0-9A-Za-z_-]{43}", "sq0csp-"),
    _after("Telegram token", _START + r"\d{8,10}:AA[0-9A-Za-z_-]{33}(?![\w-])", ":AA"),
    _after(
        "Discord token",
        _START + r"[MNO](?=\w{0,25}\d)[A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38}(?![\w-])",
        ".",
    ),
    # What any service uses.
    _word("JSON web token", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "eyJ"),
    _after(
        "private key",
        rf"-----BEGIN [A-Z0-9 ]*{_BLOCK}(?:(?:(?!-----BEGIN)[\s\S])*?-----END [A-Z0-9 ]*{_BLOCK}"
        r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})*)",
        "PRIVATE KEY",
    ),
    _anyhow(
        "bearer token",
        rf"authorization(?:{_QUOTE})?\s?[:=]\s?(?:{_QUOTE})?bearer (?P<secret>[a-z0-9._~+/-]{{20,}}=*)",
        "bearer ",
    ),
    _anyhow(
        "bearer token",
        r"\bbearer(?: |%20|\+)(?P<secret>(?=[a-z._~+/-]{0,200}\d)[a-z0-9._~+/-]{20,}=*)",
        "bearer",
    ),
    _anyhow(
        "basic authorization",
        rf"authorization(?:{_QUOTE})?: ?(?:{_QUOTE})?basic (?P<secret>[a-z0-9+/]{{8,}}=*)",
        "basic ",
    ),
    _after(
        "password in a URL",
        rf"(?<=://)(?P<secret>[^\s/?#@:\"'<>\\\[\]{{}}$]+:(?!{_EXAMPLE}@)[^\s/?#@:\"'<>\\\[\]{{}}$]{{3,}})(?=@[\w.-])",
        "://",
    ),
    _anyhow(
        "signed URL",
        r"[?&](?:x-amz-signature|x-amz-security-token|x-goog-signature|sig|signature)="
        r"(?P<secret>(?=[a-z%._~+/-]{0,200}\d)[a-z0-9%._~+/-]{16,}=*)",
        "sig", "token=",
    ),
    _anyhow(
        "key in a URL",
        r"(?:^|[?&'\"])key=(?P<secret>(?=[a-z%._~-]{0,200}\d)[a-z0-9%._~-]{20,})",
        "key=",
    ),
    _anyhow(
        "cookie",
        rf"\b(?:set-)?cookie(?:{_QUOTE})?: ?(?:{_QUOTE})?"
        r"(?P<secret>[\w.!#$%&*+^`|~-]+=[^\s;,'\"\\]{8,}(?:; ?[\w.-]+(?:=[^\s;,'\"\\]*)?)*)",
        "cookie",
    ),
    # What is said to be a key: ``"api_key": "…"``, ``?api_key=…``, ``OPENAI_API_KEY=…``, ``-H 'api-key: …'``.
    _anyhow(
        "value of a key",
        rf"(?:{_NAMES}){_QUOTE}\s?[:,=]\s?{_QUOTE}(?P<secret>{_TOKEN}{{8,}})(?={_QUOTE})",
        *_NAMED,
    ),
    _anyhow("value of a key", rf"(?:^|[?&'\"])(?:{_NAMES})=(?P<secret>{_TOKEN}{{8,}})", *_NAMED),
    _anyhow(
        "value of a key",
        rf"(?:{_NAMES})\s{{0,4}}[:=]\s{{0,4}}(?:{_QUOTE})?(?P<secret>{_TOKEN}{{16,}}+)(?![(\[])",
        *_NAMED,
    ),
)  # fmt: skip

HEADERS = frozenset({
    *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "set-cookie"),
    *("openai-organization", "openai-project", "x-auth-token", "x-amz-security-token"),
})  # fmt: skip
"""Headers whose values are secrets, wherever they stand under their names."""

_FIELD_ENDS = (
    *("apikey", "accesstoken", "refreshtoken", "authtoken", "securitytoken"),
    *("clientsecret", "secretkey", "secretaccesskey"),
)


def is_secret_field(name: str) -> bool:
    """Whether fields of JSON of this name hold secrets, as a rule: ``api_key``, ``accessToken``, ``GROQ_API_KEY``."""
    folded = name.lower()
    return folded in HEADERS or folded.replace("_", "").replace("-", "").endswith(_FIELD_ENDS)


def field_patterns(names: Iterable[str]) -> list[SecretPattern]:
    """Where the values of the user's fields stand in texts: in JSON, in a form or query, in a header."""
    made: list[SecretPattern] = []
    for name in sorted(names):
        word = re.escape(name)
        value = r"(?P<secret>[^\s\"'\\\[]+)"
        expressions = (
            rf"(?<![\w-]){_QUOTE}{word}{_QUOTE} ?: ?{_QUOTE}{value}(?={_QUOTE})",
            rf"(?:^|[?&]){word}=(?P<secret>[^\s&#\"'\\\[]+)",
            rf"(?:^|(?<=['\"])){word}: {value}",
        )
        compiled = (re.compile(f"(?im:{expression})") for expression in expressions)
        made += [SecretPattern(f"value of {name}", one, (name,), ignores_case=True) for one in compiled]
    return made


def secret_shape(pattern: str) -> SecretPattern:
    """A shape of the user's: a regular expression, whose group ``secret`` (else all of it) is the secret.

    Raises SettingsError when the pattern is not a regular expression.
    """
    return SecretPattern(f"[tool.harness.redact] {pattern}", Pattern(pattern, "[tool.harness.redact] patterns"))
