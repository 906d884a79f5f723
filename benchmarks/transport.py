"""A replayed call through the transport, beside the same call through vcrpy's replay, in turns.

Each round is what a test does: open a cassette (vcrpy, recorded by itself) or nothing (harness), ask once. The answer
is the same, and one client of the same library asks. (A client is made once: without a transport of its own httpx
builds a TLS context for it, which would count against vcrpy.) The first round of each does not count. Of the others the
best does, for a busy machine is busy for both, by the processor's time as by the clock. What the client itself costs,
when a constant answers it, is shown beside: of a stream most is its own, a validated object for each chunk.

    pip install vcrpy httpx openai
    python benchmarks/transport.py
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

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
BODY: Any = {"messages": MESSAGES, "model": "gpt-4o"}
REQUEST = Request("POST", "/v1/chat/completions", BODY)
PATH = "/chat/completions"

Ask = Callable[[], Coroutine[Any, Any, str]]
"""One call. Those of a client without async never wait."""


def whole_by_openai(url: str, http: httpx.Client) -> Ask:
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask() -> str:
        return client.chat.completions.create(**BODY).choices[0].message.content or ""

    return ask


def stream_by_openai(url: str, http: httpx.Client) -> Ask:
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask() -> str:
        return "".join(
            chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**BODY, stream=True)
        )

    return ask


def whole_by_async_openai(url: str, http: httpx.AsyncClient) -> Ask:
    client = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask() -> str:
        return (await client.chat.completions.create(**BODY)).choices[0].message.content or ""

    return ask


def stream_by_async_openai(url: str, http: httpx.AsyncClient) -> Ask:
    client = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask() -> str:
        chunks = await client.chat.completions.create(**BODY, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return ask


def whole_by_httpx(url: str, http: httpx.Client) -> Ask:
    """The HTTP of it alone: what the two ways of replaying differ in."""

    async def ask() -> str:
        return str(http.post(url + PATH, json=BODY).json()["choices"][0]["message"]["content"])  # noqa: ASYNC212 - it waits for nobody

    return ask


class Constant(httpx.MockTransport):
    """Answers each request with what the harness answered the first time, at once."""

    def __init__(self, folder: Path) -> None:
        self._transport, self._known = harness.transport(recordings=folder), {}
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.content not in self._known:
            answer = self._transport.handle_request(request)
            self._known[request.content] = answer.headers.raw, answer.read()
        headers, body = self._known[request.content]
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


KINDS: list[tuple[Callable[[str, Any], Ask], type[Any], Callable[..., Any]]] = [
    # What asks, its HTTP client, and our transport for that.
    (whole_by_openai, httpx.Client, harness.transport),
    (stream_by_openai, httpx.Client, harness.transport),
    (whole_by_async_openai, httpx.AsyncClient, harness.async_transport),
    (stream_by_async_openai, httpx.AsyncClient, harness.async_transport),
    (whole_by_httpx, httpx.Client, harness.transport),
]


@contextlib.asynccontextmanager
async def calls(place: Path, kind: int) -> AsyncIterator[list[Ask]]:
    """The call through the transport, through vcrpy, and to a constant, over the same recorded answer."""
    asking, client, transport = KINDS[kind]
    folder, cassette = place / "recordings", str(place / f"{asking.__name__}.yaml")
    DirectoryStore(folder, canonicalizer_of(Settings())).save(author(REQUEST, ANSWER), key(REQUEST))
    with ServerThread(Settings(recordings=folder)) as server:
        ask = asking(server.base_url, client(trust_env=False))
        with vcr.VCR(record_mode=vcr.mode.ALL).use_cassette(cassette):
            await ask()
    recorder = vcr.VCR(record_mode=vcr.mode.NONE)

    async def through_vcrpy() -> str:
        with recorder.use_cassette(cassette):
            return await ask()

    ours, constant = (
        asking("http://any/v1", client(transport=made)) for made in (transport(recordings=folder), Constant(folder))
    )
    yield [ours, through_vcrpy, constant]


class Cost(NamedTuple):
    """Milliseconds by the clock, and of the processor, all threads together."""

    wall: float
    cpu: float


async def cost(call: Ask) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    assert await call() == ANSWER
    return Cost((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)


async def measure(place: Path, kind: int) -> None:
    async with calls(place, kind) as three:
        rows = [[await cost(call) for call in three] for _ in range(ROUNDS)][1:]
    print(KINDS[kind][0].__name__.replace("_", " "))
    for name, costs in zip(("harness.transport()", "vcrpy", "a constant"), zip(*rows, strict=True), strict=True):
        wall, cpu = zip(*costs, strict=True)
        print(
            f"  {name:<20} best {min(wall):5.2f} ms, median {statistics.median(wall):5.2f}; processor {min(cpu):5.2f}"
        )
    walls, cpus = ([min(getattr(row[who], what) for row in rows) for who in range(3)] for what in Cost._fields)
    print(f"  {walls[0] / walls[1]:.0%} of vcrpy's time, {cpus[0] / cpus[1]:.0%} of its processor's time", end="; ")
    print(f"without the client itself {(cpus[0] - cpus[2]) / (cpus[1] - cpus[2]):.0%}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for kind in range(len(KINDS)):
            asyncio.run(measure(Path(folder), kind))


if __name__ == "__main__":
    main()
