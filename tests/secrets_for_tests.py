"""Secrets of every shape, none of them real. Put together here: no scanner finds one in this project's files."""

import base64

_MIX = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6hJ9kL2nP5rS8"


def _mix(length: int) -> str:
    return (_MIX * 3)[:length]


def _token(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


SECRETS = {
    "openai": "sk-" + _mix(48),
    "openai project": "sk-" + "proj-" + _mix(60) + "_" + _mix(8),
    "anthropic": "sk-" + "ant-api03-" + _mix(40),
    "organization": "org-" + _mix(24),
    "project": "proj_" + _mix(24),
    "google": "AI" + "za" + _mix(35),
    "google oauth": "ya29" + "." + _mix(40),
    "groq": "gsk" + "_" + _mix(52),
    "xai": "xai" + "-" + _mix(80),
    "hugging face": "hf" + "_" + _mix(34),
    "replicate": "r8" + "_" + _mix(37),
    "perplexity": "pplx" + "-" + _mix(48),
    "nvidia": "nvapi" + "-" + _mix(60),
    "aws": "AK" + "IA" + _mix(48).upper()[:16],
    "github": "ghp" + "_" + _mix(36),
    "github pat": "github" + "_pat_" + _mix(22) + "_" + _mix(40),
    "gitlab": "glpat" + "-" + _mix(20),
    "slack": "xoxb" + "-123456789012-" + _mix(24),
    "sendgrid": "SG" + "." + _mix(22) + "." + _mix(43),
    "stripe": "sk" + "_live_" + _mix(24),
    "npm": "npm" + "_" + _mix(36),
    "pypi": "pypi" + "-AgEIcHlwaS5vcmc" + _mix(70),
    "telegram": "123456789" + ":AA" + _mix(33),
    "jwt": ".".join((_token('{"alg":"HS256"}'), _token('{"sub":"1234567890"}'), _mix(43))),
}
"""Each is found wherever it stands."""

PRIVATE_KEY = "\n".join(
    ("-----BEGIN RSA " + "PRIVATE KEY-----", _mix(64), _mix(40), "-----END RSA " + "PRIVATE KEY-----")
)

IN_CONTEXT = {
    "bearer": ("Authorization: Bear" + "er {}", _mix(32)),
    "bearer in small letters": ('{{"h": "bear' + 'er {}"}}', _mix(32)),
    "basic": ("Authorization: Bas" + "ic {}", base64.b64encode(b"me:pass word 1").decode()),
    "url": ("postgres" + "://{}@db.example.com/x", "me:" + _mix(12)),
    "signed url": ("https://x.example/a.png?size=3&X-Amz-Signature={}&n=1", _mix(48).lower()),
    "cookie": ("Cookie: {}", "session=" + _mix(32)),
    "azure header in json": ('{{"api-key": "{}"}}', "0123456789abcdef" * 2),
    "azure shared access": ("Endpoint=sb://x.example/;SharedAccess" + "Key={}", _mix(43) + "="),
    "settings of a shell": ("export MISTRAL_API" + "_KEY={}\n", _mix(32)),
    "settings in quotes": ("GROQ_API" + "_KEY='{}'", _mix(32)),
    "aws in a shell": ("AWS_SECRET" + "_ACCESS_KEY={}", _mix(40)),
    "aws in a file": ("aws_secret" + "_access_key = {}", _mix(40)),
    "program": ("client = OpenAI(api" + '_key="{}")', _mix(32)),
    "command line": ("curl -H 'api-" + "key: {}' https://x.example", _mix(32)),
    "other name in json": ('{{"MISTRAL_API' + '_KEY": "{}"}}', _mix(32)),
    "first of a query": ("access" + "_token={}&b=1", _mix(12)),
    "google in a query": ("key={}&alt=sse", _mix(39)),
    "behind chinese": ("我的密钥是{}。", "sk-" + _mix(48)),
    "behind an underscore": ("KEY_{}", "sk-" + _mix(48)),
    "azure storage": ("DefaultEndpointsProtocol=https;Account" + "Key={};", _mix(86) + "=="),
    "json in json": ('{{\\"x-api-key\\": \\"{}\\"}}', _mix(32)),
    "databricks": ("host x, token {}", "dapi" + "0123456789abcdef" * 2),
    "realtime": ('{{"value": "{}"}}', "ek" + "_" + _mix(32)),
    "masked": ("Incorrect API key provided: {}.", "sk-" + "proj-****************************abcd"),
}
"""What is a secret because of what stands before it: a text with a gap, and what belongs into the gap."""

QUERIES = ("first of a query", "google in a query")
"""Those that are secrets because nothing stands before them: the beginning of a form or a query."""

ANYWHERE = (
    *SECRETS.values(),
    *(text.format(word) for name, (text, word) in IN_CONTEXT.items() if name not in QUERIES),
    PRIVATE_KEY,
)
"""Texts with a secret in them, wherever they stand."""
