"""A replayed call through the transport, beside the same call through vcrpy's replay, in turns.

Each round is what a test does: open a cassette (vcrpy, recorded by itself) or nothing (harness), ask once. The answer
is the same, and one client of the same library asks. (A client is made once: without a transport of its own httpx
builds a TLS context for it, which would count against vcrpy.) The best round counts, for a busy machine is busy for
both.

    pip install vcrpy httpx openai
    python benchmarks/transport.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import vcr

import harness
from harness.recording.author import author
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Settings
from harness.stores.directory import DirectoryStore
from harness.wiring import canonicalizer_of

ROUNDS = 300
MESSAGES: Any = [{"role": "user", "content": "What is the weather in Rome?"}]
ANSWER = "It is sunny in Rome, with a light breeze from the sea and twenty-four degrees in the shade. " * 4
REQUEST = Request("POST", "/v1/chat/completions", {"messages": MESSAGES, "model": "gpt-4o"})


Ask = Callable[[], str]


def by_openai(url: str, http: httpx.Client) -> Ask:
    """A whole call, the client library's own half a millisecond included."""
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)
    return lambda: client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content or ""


def by_httpx(url: str, http: httpx.Client) -> Ask:
    """The HTTP of it alone: what the two ways of replaying differ in."""
    body = {"messages": MESSAGES, "model": "gpt-4o"}
    return lambda: str(http.post(f"{url}/chat/completions", json=body).json()["choices"][0]["message"]["content"])


def prepared(place: Path, asking: Callable[[str, httpx.Client], Ask]) -> tuple[Ask, Ask]:
    """The call through the transport, and the call through vcrpy, over the same recorded answer."""
    folder, cassette = place / "recordings", str(place / f"{asking.__name__}.yaml")
    DirectoryStore(folder, canonicalizer_of(Settings())).save(author(REQUEST, ANSWER), key(REQUEST))
    with ServerThread(Settings(recordings=folder)) as server:
        url = server.base_url
        ask = asking(url, httpx.Client(trust_env=False))
        with vcr.VCR(record_mode=vcr.mode.ALL).use_cassette(cassette):
            ask()
    recorder = vcr.VCR(record_mode=vcr.mode.NONE)

    def through_vcrpy() -> str:
        with recorder.use_cassette(cassette):
            return ask()

    return asking(url, httpx.Client(transport=harness.transport(recordings=folder))), through_vcrpy


def milliseconds(call: Ask) -> float:
    began = time.perf_counter()
    assert call() == ANSWER
    return (time.perf_counter() - began) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for asking in (by_openai, by_httpx):
            ours, theirs = prepared(Path(folder), asking)
            milliseconds(ours), milliseconds(theirs)
            rows = [(milliseconds(ours), milliseconds(theirs)) for _ in range(ROUNDS)]
            print(f"{asking.__name__}: {(asking.__doc__ or '').strip()}")
            for name, times in zip(("harness.transport()", "vcrpy"), zip(*rows, strict=True), strict=True):
                print(f"  {name:<20} best {min(times):6.2f} ms   median {statistics.median(times):6.2f} ms")
            best = [min(times) for times in zip(*rows, strict=True)]
            print(f"  {best[0] / best[1]:.0%} of vcrpy's time, by the best rounds")


if __name__ == "__main__":
    main()
