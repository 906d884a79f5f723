"""A replayed call through the transport, beside the same call through vcrpy's replay, in turns.

Each round is what a test does: its scope begins and its calls are made, each for the first time (harness), or its own
cassette of so many interactions is opened and the same calls are made (vcrpy, recorded by itself). A last one makes the
call that was made before. The answers are the same, and one client of the same library asks. (A client is made once:
without a transport of its own httpx builds a TLS context for it, which would count against vcrpy.) The first rounds
do not count. Of the others the best does, for a busy machine is busy for both, by the processor's time as by the clock.
What the client itself costs, when a constant answers it, is shown beside: of a stream most is its own, a validated
object for each chunk.

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
from harness import ambient
from harness.opening import canonicalizer_of
from harness.recording.author import author
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Settings
from harness.stores.directory import DirectoryStore

ROUNDS, WARM = 120, 20
ANSWER = "It is sunny in Rome, with a light breeze from the sea and twenty-four degrees in the shade. " * 4
PATH = "/chat/completions"

Ask = Callable[[dict[str, Any]], Coroutine[Any, Any, str]]
"""One call with this body. Those of a client without async never wait."""


def body_of(test: int, call: int, *, stream: bool) -> dict[str, Any]:
    question = {"role": "user", "content": f"What is the weather in Rome, on day {test} at {call} o'clock?"}
    return {"messages": [question], "model": "gpt-4o"} | ({"stream": True} if stream else {})


def whole_by_openai(url: str, http: httpx.Client) -> Ask:
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask(body: dict[str, Any]) -> str:
        return client.chat.completions.create(**body).choices[0].message.content or ""

    return ask


def stream_by_openai(url: str, http: httpx.Client) -> Ask:
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask(body: dict[str, Any]) -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**body))

    return ask


def whole_by_async_openai(url: str, http: httpx.AsyncClient) -> Ask:
    client = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask(body: dict[str, Any]) -> str:
        return (await client.chat.completions.create(**body)).choices[0].message.content or ""

    return ask


def stream_by_async_openai(url: str, http: httpx.AsyncClient) -> Ask:
    client = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)

    async def ask(body: dict[str, Any]) -> str:
        chunks = await client.chat.completions.create(**body)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return ask


def whole_by_httpx(url: str, http: httpx.Client) -> Ask:
    """The HTTP of it alone: what the two ways of replaying differ in."""

    async def ask(body: dict[str, Any]) -> str:
        return str(http.post(url + PATH, json=body).json()["choices"][0]["message"]["content"])  # noqa: ASYNC212 - it waits for nobody

    return ask


class Constant(httpx.MockTransport):
    """Answers each request with what the harness answered the very first time, at once."""

    def __init__(self) -> None:
        self._transport, self._known = harness.transport(), None
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self._known is None:
            answer = self._transport.handle_request(request)
            self._known = answer.headers.raw, answer.read()
        headers, body = self._known
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


KINDS: list[tuple[Callable[[str, Any], Ask], type[Any], Callable[..., Any]]] = [
    # What asks, its HTTP client, and our transport for that.
    (whole_by_openai, httpx.Client, harness.transport),
    (stream_by_openai, httpx.Client, harness.transport),
    (whole_by_async_openai, httpx.AsyncClient, harness.async_transport),
    (stream_by_async_openai, httpx.AsyncClient, harness.async_transport),
    (whole_by_httpx, httpx.Client, harness.transport),
]

CASES = {
    "one call, new in each test": (1, False),
    "ten calls, new in each test": (10, False),
    "a call again": (1, True),
}
"""How many calls a test makes, and whether each test makes those of the first."""

Round = Callable[[int], Coroutine[Any, Any, None]]
"""A test by its number."""


@contextlib.asynccontextmanager
async def rounds(place: Path, kind: int, calls: int, *, again: bool) -> AsyncIterator[list[Round]]:
    """A test through the transport, through vcrpy, and against a constant, over the same recorded answers."""
    asking, client, transport = KINDS[kind]
    is_stream = asking.__name__.startswith("stream")
    tests = 1 if again else ROUNDS
    bodies = [[body_of(test, call, stream=is_stream) for call in range(calls)] for test in range(tests)]
    _record(place, bodies)
    scope = ["none"]
    with ServerThread(Settings(recordings=place)) as server:
        ambient.find = lambda _, __: ambient.Surroundings(server, scope[0])
        http = client(trust_env=False)
        real = [asking(server.scoped(_scope(test)), http) for test in range(tests)]
        cassettes = [str(place / f"{test}.yaml") for test in range(tests)]
        for ask, cassette, rows in zip(real, cassettes, bodies, strict=True):
            with vcr.VCR(record_mode=vcr.mode.ALL).use_cassette(cassette):
                await _ask_all(ask, rows)
        recorder = vcr.VCR(record_mode=vcr.mode.NONE)
        ours = asking("http://any/v1", client(transport=transport()))
        constant = asking("http://any/v1", client(transport=Constant()))

        async def by_harness(test: int) -> None:
            scope[0] = _scope(test % tests)
            server.begin(scope[0])
            await _ask_all(ours, bodies[test % tests])

        async def by_vcrpy(test: int) -> None:
            with recorder.use_cassette(cassettes[test % tests]):
                await _ask_all(real[test % tests], bodies[test % tests])

        async def by_constant(test: int) -> None:
            await _ask_all(constant, bodies[test % tests])

        yield [by_harness, by_vcrpy, by_constant]


def _scope(test: int) -> str:
    return f"tests/test_weather.py::test_day[{test}]"


def _record(place: Path, bodies: list[list[dict[str, Any]]]) -> None:
    store = DirectoryStore(place, canonicalizer_of(Settings()))
    for test, rows in enumerate(bodies):
        for body in rows:
            request = Request("POST", "/v1/chat/completions", body, _scope(test))
            store.save(author(request, ANSWER), key(request))


async def _ask_all(ask: Ask, bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        assert await ask(body) == ANSWER


class Cost(NamedTuple):
    """Milliseconds of a call by the clock, and of the processor, all threads together."""

    wall: float
    cpu: float


async def cost(round_: Round, test: int, calls: int) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    await round_(test)
    scale = 1000 / calls
    return Cost((time.perf_counter() - wall) * scale, (time.process_time() - cpu) * scale)


async def measure(place: Path, kind: int, case: str) -> None:
    calls, again = CASES[case]
    async with rounds(place, kind, calls, again=again) as three:
        rows = [[await cost(one, test, calls) for one in three] for test in range(ROUNDS)][WARM:]
    print(f"{KINDS[kind][0].__name__.replace('_', ' ')}: {case}")
    for name, costs in zip(("harness.transport()", "vcrpy", "a constant"), zip(*rows, strict=True), strict=True):
        wall, cpu = zip(*costs, strict=True)
        print(
            f"  {name:<20} best {min(wall):5.2f} ms, median {statistics.median(wall):5.2f}; processor {min(cpu):5.2f}"
        )
    walls, cpus = ([min(getattr(row[who], what) for row in rows) for who in range(3)] for what in Cost._fields)
    print(f"  {walls[0] / walls[1]:.0%} of vcrpy's time, {cpus[0] / cpus[1]:.0%} of its processor's time", end="; ")
    print(f"without the client itself {(cpus[0] - cpus[2]) / (cpus[1] - cpus[2]):.0%}", flush=True)


def main() -> None:
    for case in CASES:
        for kind in range(len(KINDS)):
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(measure(Path(folder), kind, case))


if __name__ == "__main__":
    main()
