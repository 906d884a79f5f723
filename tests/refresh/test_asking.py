"""What is asked again, when, and when no more."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from harness.backends.asking import Asked, Asker, Final, Refused, retry_after
from harness.backends.protocol import Call
from harness.backends.providers import Provider, Providers
from harness.backends.upstream import UpstreamBackend
from harness.errors import UpstreamError
from harness.recording.model import Exchange
from harness.recording.redact import BUILT_IN
from tests.refresh.recorded import NothingRecorded, answered, completion
from tests.scripted_upstream import chunk, http, scripted, stream


def ask(
    *answers: bytes, retries: int = 3, errors: bool = False, told: list[str] | None = None
) -> tuple[Exchange, list[float], int]:
    """The exchange that is asked for, what was waited for, and how often it was asked. ``told`` is told why."""
    waits: list[float] = []
    reasons = [] if told is None else told

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def main(url: str) -> Exchange:
        upstream = UpstreamBackend(Providers(Provider(url)))
        try:
            how = Asked(retries, lambda: 0.5, sleep, errors=errors, waiting=lambda _, reason: reasons.append(reason))
            asker = Asker(BUILT_IN, NothingRecorded(), how)
            body = {"model": "m", "stream": answers[-1].find(b"event-stream") > 0, "messages": []}
            return await asker.ask(Call("POST", "/v1/chat/completions", json.dumps(body).encode()), upstream)
        finally:
            await upstream.close()

    with scripted(*answers) as upstream:
        try:
            return asyncio.run(main(upstream.url)), waits, len(upstream.requests)
        except UpstreamError as error:
            error.args = (*error.args, waits, len(upstream.requests))
            raise


def test_what_passes_is_waited_for_longer_each_time() -> None:
    told: list[str] = []
    exchange, waits, count = ask(http(b"{}", status=500), http(b"down", status=503), answered("Hello."), told=told)

    assert exchange.response.body["choices"][0]["message"]["content"] == "Hello."
    assert exchange.response.body["id"].startswith("rec-")
    assert (waits, count) == ([1.0, 2.0], 3)
    assert told == ["The upstream answered 500: {}", "The upstream answered 503: down"]


def test_retry_after_is_heeded_in_every_form() -> None:
    _, waits, _ = ask(
        http(b"{}", status=503, headers="retry-after-ms: 1500\r\n"),
        http(b"{}", status=429, headers="Retry-After: 7\r\n"),
        answered("Hello."),
    )
    assert waits[:2] == [1.5, 7.0]
    date = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, date.timestamp() - 20) == 20
    assert retry_after({"retry-after": "soon"}, 0.0) is None


@pytest.mark.parametrize(
    "answer",
    [
        http(b"{}", status=403),
        http(b"{}", status=500, headers="x-should-retry: false\r\n"),
        http(b"{}", status=429, headers="Retry-After: 100000\r\n"),
    ],
)
def test_what_waiting_does_not_help_is_asked_once(answer: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        ask(answer)

    assert caught.value.args[-2:] == ([], 1)
    assert not isinstance(caught.value, Final)


@pytest.mark.parametrize(
    "answer",
    [http(b"{}", status=401), http(b'{"error": {"code": "insufficient_quota"}}', status=429)],
)
def test_what_no_request_will_get_past_ends_it_all(answer: bytes) -> None:
    with pytest.raises(Refused) as caught:
        ask(answer)

    assert caught.value.args[-1] == 1


def test_in_the_end_it_is_given_up_and_says_why() -> None:
    with pytest.raises(UpstreamError, match="500: full") as caught:
        ask(http(b"full", status=500), retries=2)

    assert caught.value.args[-1] == 3


def test_an_error_that_says_something_about_the_request_is_an_answer() -> None:
    exchange, waits, _ = ask(http(b'{"error": {"message": "no"}}', status=400))

    assert (exchange.response.status, waits) == (400, [])


def test_with_errors_recorded_the_last_one_is_an_answer() -> None:
    exchange, _, count = ask(http(b"{}", status=500), retries=1, errors=True)

    assert (exchange.response.status, count) == (500, 2)


def test_a_stream_that_broke_off_is_asked_again() -> None:
    exchange, waits, _ = ask(stream(chunk("Hel"), done=False), stream(chunk("Hello."), chunk(finish="stop")))

    assert exchange.response.is_streaming
    assert [piece["choices"][0]["delta"] for piece in exchange.response.body] == [{"content": "Hello."}, {}]
    assert waits == [1.0]


def test_what_is_no_json_is_asked_again() -> None:
    _, waits, _ = ask(http(b"<html>"), http(json.dumps(completion("Hello.")).encode()))

    assert waits == [1.0]
