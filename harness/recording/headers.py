"""The headers of an answer that a client may read: which are handed on, and what of them is kept in a file."""

import re
from collections.abc import Mapping

_SERVED = re.compile(
    r"retry-after(-ms)?|x-should-retry|content-disposition|openai-(version|model)|anthropic-version"
    r"|(x-|apim-)?request-id|openai-processing-ms|(x-|anthropic-)ratelimit-.+"
    # Of Bedrock's answers only the headers say their tokens for every model, and their kind where they are errors.
    r"|x-amzn-(requestid|errortype|bedrock-.+)"
)
_REQUEST_ID = re.compile(r"(x-|apim-)?request-id|x-amzn-requestid")
_DURATION = re.compile(r"openai-processing-ms|x-amzn-bedrock-.+-latency")
_REMAINING = re.compile(r"((?:x|anthropic)-ratelimit-.*)remaining(.*)")
_RESET = re.compile(r"(x|anthropic)-ratelimit-.*reset.*")

_NEVER = "1970-01-01T00:00:00Z"


def served(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that go on to a client, of all that an upstream sent; names in lower case, in order."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: lower[name] for name in sorted(lower) if _SERVED.fullmatch(name)}


def normalized(headers: Mapping[str, str], key: str) -> dict[str, str]:
    """Served headers, free of what is another the next time.

    The id of the request follows from the recording's key; of a rate limit all is left, and it has been reset.
    """
    return {name: _stable(name, value, headers, key) for name, value in headers.items()}


def _stable(name: str, value: str, headers: Mapping[str, str], key: str) -> str:
    if _REQUEST_ID.fullmatch(name):
        return f"req-{key[:12]}"
    if _DURATION.fullmatch(name):
        return "0"
    remaining = _REMAINING.fullmatch(name)
    if remaining:
        return headers.get(f"{remaining[1]}limit{remaining[2]}", "1000")
    if _RESET.fullmatch(name):
        # OpenAI says how long it takes, Anthropic when it is.
        return _NEVER if "T" in value else "0s"
    return value
