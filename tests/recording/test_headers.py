"""Headers of answers: which are kept, and what of them stays the same."""

from harness.recording.headers import normalized, served

SENT = {
    "Content-Type": "application/json",
    "Set-Cookie": "session=1",
    "openai-organization": "org-1",
    "X-Request-ID": "req_0123",
    "Retry-After": "7",
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-remaining-tokens": "3",
    "anthropic-ratelimit-tokens-limit": "80",
    "anthropic-ratelimit-tokens-remaining": "7",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
    "Content-Disposition": 'attachment; filename="a"',
    "x-amzn-RequestId": "6de9702e-400c-4562-a2ba-47bb4506c7b2",
    "X-Amzn-Bedrock-Input-Token-Count": "16",
    "X-Amzn-Bedrock-Invocation-Latency": "695",
}


def test_what_is_kept_is_the_same_every_time() -> None:
    later = SENT | {"X-Request-ID": "req_4567", "x-ratelimit-remaining-requests": "3"}
    kept = normalized(served(SENT), "ab" * 32)
    assert kept == normalized(served(later), "ab" * 32)
    assert kept == {
        "anthropic-ratelimit-tokens-limit": "80",
        "anthropic-ratelimit-tokens-remaining": "80",
        "anthropic-ratelimit-tokens-reset": "1970-01-01T00:00:00Z",
        "content-disposition": 'attachment; filename="a"',
        "retry-after": "7",
        "x-amzn-bedrock-input-token-count": "16",
        "x-amzn-bedrock-invocation-latency": "0",
        "x-amzn-requestid": "req-abababababab",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "500",
        "x-ratelimit-remaining-tokens": "1000",
        "x-ratelimit-reset-requests": "0s",
        "x-request-id": "req-abababababab",
    }
