"""Calls without a socket: both libraries, both kinds of clients, the scope and the settings of the test."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import httpx2
import openai
import pytest

import harness
from harness import ambient
from harness.backends.journal import Outcome
from harness.errors import SettingsError
from harness.opening import canonicalizer_of
from harness.recording.author import author
from harness.recording.model import Request
from harness.running import ServerThread
from harness.server.pipe import Deliver
from harness.settings import Settings
from harness.stores.directory import DirectoryStore
from tests.plugin.project import record

MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
STREAMED = {"model": "m", "messages": MESSAGES, "stream": True}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of any run of tests: what is missed here on purpose is not for the summary of the run that this is."""
    monkeypatch.setattr(ambient, "find", None)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with one recording, of no scope."""
    from harness.recording.key import key

    request = Request("POST", "/v1/chat/completions", {"messages": MESSAGES, "model": "m"})
    DirectoryStore(tmp_path, canonicalizer_of(Settings())).save(author(request, "Hello, you!"), key(request))
    return tmp_path


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_client_is_answered_whole_in_pieces_and_by_errors(library: ModuleType, place: Path) -> None:
    http = library.Client(transport=harness.transport(recordings=place))
    with openai.OpenAI(api_key="none", max_retries=0, http_client=http) as client:
        whole = client.chat.completions.create(model="m", messages=MESSAGES)
        assert whole.choices[0].message.content == "Hello, you!"
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
        assert len(pieces) > 2
        assert "".join(pieces) == "Hello, you!"
        assert client.responses.create(model="m", input="Say hello").output_text == "Hello, you!"
        with pytest.raises(openai.NotFoundError, match="No recording"):
            client.chat.completions.create(model="m", messages=[])
        # A client that leaves in the middle leaves nothing behind that the next call meets.
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as left:
            next(iter(left))
        assert client.models.list().data[0].id == "m"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_many_async_calls_at_once(library: ModuleType, place: Path, backend: str) -> None:
    async def main() -> None:
        http = library.AsyncClient(transport=harness.async_transport(recordings=place))
        async with openai.AsyncOpenAI(api_key="none", max_retries=0, http_client=http) as client:
            said: list[str] = []

            async def ask() -> None:
                whole = await client.chat.completions.create(model="m", messages=MESSAGES)
                async with http.stream("POST", "https://any/v1/chat/completions", json=STREAMED) as streamed:
                    pieces = [piece async for piece in streamed.aiter_bytes()]
                assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
                said.append(whole.choices[0].message.content or "")

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask)
            assert said == ["Hello, you!"] * 20

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(
    ("body", "needed"),
    [
        pytest.param(STREAMED, 1, id="found by its meaning"),
        pytest.param({"model": "m", "messages": MESSAGES}, 0, id="found by its key"),
    ],
)
def test_the_servers_thread_is_needed_once_at_most(
    library: ModuleType, body: dict[str, Any], needed: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bytes] = []
    call = ServerThread.call

    def counted(self: ServerThread, data: bytes, deliver: Deliver) -> Callable[[], None]:
        called.append(data)
        return call(self, data, deliver)

    monkeypatch.setattr(ServerThread, "call", counted)

    async def ask_async() -> Any:
        async with library.AsyncClient(transport=harness.async_transport(recordings=place)) as client:
            return await client.post("http://any/v1/chat/completions", json=body)

    with library.Client(transport=harness.transport(recordings=place)) as client:
        answers = [client.post("http://any/v1/chat/completions", json=body) for _ in range(3)]
    answers += [anyio.run(ask_async, backend=backend) for backend in ("asyncio", "trio")]
    first, *others = [(answer.status_code, sorted(answer.headers.multi_items()), answer.content) for answer in answers]
    assert others == [first] * 4
    assert len(called) == needed


def test_calls_of_many_threads_are_counted_as_one_sequence(place: Path) -> None:
    name = next(place.glob("*.json")).stem
    store = DirectoryStore(place, canonicalizer_of(Settings()))
    request = Request("POST", "/v1/chat/completions", {"messages": MESSAGES, "model": "m"})
    for number in range(2, 41):
        store.save(author(request, str(number)), f"{name}-{number}")
    server = ServerThread(Settings(recordings=place))

    def ask() -> str:
        with httpx.Client(transport=harness.transport(scope="mine")) as client:
            answer = client.post("http://any/v1/chat/completions", json=request.body)
        return str(answer.json()["choices"][0]["message"]["content"])

    expected = ["Hello, you!", *map(str, range(2, 41))]
    with server, pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(ambient, "find", lambda scope, _: ambient.Surroundings(server, scope))
        for _ in range(2):
            server.begin("mine")
            assert sorted(pool.map(lambda _: ask(), range(40))) == sorted(expected)
        server.begin("mine")
        assert [ask() for _ in range(3)] == expected[:3]
        assert server.parts.journal.count() == {Outcome.REPLAYED: 83}


def test_a_call_that_is_cancelled_or_takes_too_long(place: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    upstream = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    slow = harness.async_transport(recordings=place, mode="live", upstream=upstream)

    async def main() -> None:
        async with httpx2.AsyncClient(transport=slow, timeout=0.05) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.post("http://any/v1/chat/completions", json={"model": "m", "messages": []})
            task = asyncio.create_task(client.post("http://any/v1/embeddings", json={"model": "m"}, timeout=None))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with silent:
        asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://api.openai.com/v1/models", "GET /v1/models"),
        ("https://openrouter.ai/api/v1/odd?a=b", "GET /v1/odd"),
        ("http://127.0.0.1:8080/odd", "GET /v1/odd"),
    ],
)
def test_the_server_is_asked_for_what_any_provider_would_be_asked(place: Path, url: str, path: str) -> None:
    with httpx.Client(transport=harness.transport(recordings=place)) as client:
        answer = client.get(url)
        head = client.head(url)
    assert answer.status_code == 200 or path in answer.json()["error"]["message"]
    assert (head.status_code, head.content) == (answer.status_code, b"")


@pytest.mark.parametrize("wrong", [{"recording": "x"}, {"mode": "rec"}])
def test_settings_that_mean_nothing_say_so(wrong: dict[str, str]) -> None:
    with httpx.Client(transport=harness.transport(**wrong)) as client, pytest.raises(SettingsError):
        client.get("http://any/v1/models")


def test_importing_it_is_cheap() -> None:
    code = "import sys, harness; print([name for name in sys.modules if name in ('aiohttp', 'httpx', 'pydantic')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_outside_of_pytest_it_is_the_directory_and_the_environment(place: Path) -> None:
    code = (
        "import harness, openai\n"
        "http = openai.DefaultHttpxClient(transport=harness.transport())\n"
        "client = openai.OpenAI(api_key='none', http_client=http)\n"
        "messages = [{'role': 'user', 'content': 'Say hello'}]\n"
        "print(client.chat.completions.create(model='m', messages=messages).choices[0].message.content)\n"
    )
    place.joinpath("kept").mkdir()
    for file in place.glob("*.json"):
        file.rename(place / "kept" / file.name)
    place.joinpath("pyproject.toml").write_text("[tool.harness]\nrecordings = 'kept'\n")
    said = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=place)
    assert said == "Hello, you!\n"


INJECTED = """
    import openai, pytest, threading
    import harness
    from app import ask

    http = lambda **more: openai.DefaultHttpxClient(transport=harness.transport(**more))

    @pytest.fixture(autouse=True)
    def key(monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "none")

    @pytest.mark.parametrize("x", [1, 2])
    def test_scoped(x):
        said = []
        thread = threading.Thread(target=lambda: said.append(ask("Say hello", http_client=http())))
        thread.start()
        thread.join()
        assert [ask("Say hello", http_client=http()), *said] == [f"Hello {x}!"] * 2

    @pytest.mark.harness(recordings="other")
    def test_marked():
        assert ask("Say hello", http_client=http()) == "Other!"
        assert ask("Say hello", http_client=http(recordings="recordings", scope="named")) == "Named!"

    def test_missed():
        ask("Never said", http_client=http())
"""


def test_in_a_test_it_has_the_scope_and_the_settings_of_the_test(pytester: pytest.Pytester) -> None:
    for number in (1, 2):
        record(pytester, "Say hello", f"Hello {number}!", f"test_in.py::test_scoped[{number}]")
    record(pytester, "Say hello", "Named!", "named")
    record(pytester, "Say hello", "Other!", below="other")
    pytester.makepyfile(test_in=INJECTED)
    result = pytester.runpytest("--harness-strict", "-k", "not marked")
    result.assert_outcomes(passed=2, failed=1, deselected=1)
    result.stdout.fnmatch_lines(["E*RecordingNotFound: No recording for POST*", "4 replayed, 0 recorded, 1 missed"])
    pytester.runpytest("-k", "marked").assert_outcomes(passed=1, deselected=3)
