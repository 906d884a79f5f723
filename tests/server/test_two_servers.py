"""Two servers over one state: 50 conversations at once, turns sent to either, and one server killed in the middle."""

import asyncio
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from harness.stores.state_address import reach_of, state_url, url_of
from harness.stores.state_engine import open_database
from tests.scripted_upstream import chunk, scripted, stream

ROOT = Path(__file__).parents[2]
CONVERSATIONS = 50
TURNS = 20
PATIENCE = 60.0
"""Seconds that a client waits for a conversation that is locked: longer than a killed server's lock lasts."""

_log = logging.getLogger(__name__)

pytestmark = pytest.mark.slow


@dataclass
class Server:
    process: "subprocess.Popen[bytes]"
    url: str


@dataclass
class Talk:
    """What one client knows of its conversation: the turns it saw answered, and those whose answer it did not see."""

    id: str
    seen: dict[int, str] = field(default_factory=dict)
    unseen: set[int] = field(default_factory=set)


@dataclass
class Clients:
    """Many clients at once, each with a conversation of its own; ``at`` is called when so many turns are done."""

    servers: Sequence[Server]
    at: dict[int, Callable[[], None]]
    dice: random.Random
    done: int = 0
    locked: int = 0
    waits: list[float] = field(default_factory=list)

    async def talk(self) -> list[Talk]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(self._converse(session, number) for number in range(CONVERSATIONS)))

    async def _converse(self, session: aiohttp.ClientSession, number: int) -> Talk:
        conversation = await self._send(session, "conversations", {"metadata": {"number": str(number)}})
        assert conversation is not None, "no server is killed before every conversation is there"
        talk = Talk(conversation["id"])
        for turn in range(TURNS):
            body = {"model": "m", "input": f"{number}.{turn}", "conversation": talk.id, "stream": bool(turn % 2)}
            begin = time.monotonic()
            response = await self._send(session, "responses", body)
            self.waits.append(time.monotonic() - begin)
            if response is None:
                talk.unseen.add(turn)
            else:
                assert response["status"] == "completed", response
                talk.seen[turn] = response["id"]
            self.done += 1
            self.at.pop(self.done, lambda: None)()
        return talk

    async def _send(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of whichever server; None when it broke off. Nothing is sent twice."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            server = self.dice.choice(self.servers)
            try:
                async with session.post(f"{server.url}/{path}", json=body) as answer:
                    status, data = answer.status, await answer.text()
            except aiohttp.ClientConnectorError:
                continue  # It did not hear of it.
            except aiohttp.ClientError:
                return None
            found = _answered(data) if status == 200 else json.loads(data)
            if found is None or status == 200:
                return found
            assert found["error"]["code"] == "conversation_locked", found
            self.locked += 1
            await asyncio.sleep(0.05)
        raise AssertionError(f"locked or not served for {PATIENCE} s")


def _answered(data: str) -> dict[str, Any] | None:
    """The object of an answer, or the Response that a stream ends with; None for a stream that broke off."""
    if data.startswith("{"):
        whole: dict[str, Any] = json.loads(data)
        return whole
    if not data.endswith("data: [DONE]\n\n"):
        return None
    last: dict[str, Any] = json.loads(data.split("data: ")[-2])
    response: dict[str, Any] = last["response"]
    return response


@contextmanager
def serving(folder: Path, state: str, *flags: str) -> Iterator[Server]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--state", state, *flags]
    log = folder / f"log-{time.monotonic_ns()}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environ)
    try:
        yield Server(process, _url(process, log))
    finally:
        process.terminate()
        process.wait(10)
        assert "Traceback" not in log.read_text(), log.read_text()


def _url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"OPENAI_BASE_URL\s+(\S+)\s", log.read_text()):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def echo(request: dict[str, Any]) -> bytes:
    """Answers the last message with its own words, so that an answer in the wrong place is seen."""
    return stream(chunk("echo "), chunk(request["messages"][-1]["content"]), chunk(finish="stop"))


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the servers keep their state."""
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "state.db")


@pytest.fixture(params=["live", "replay"])
def flags(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Servers over an upstream that answers at once (ids at random), or over one recording for all (ids counted)."""
    if request.param == "live":
        with scripted(reply=echo) as upstream:
            yield ["--mode", "live", "--upstream", upstream.url]
            _check_questions([body["messages"] for _, body in upstream.requests])
        return
    (tmp_path / "pyproject.toml").write_text('[tool.harness.match]\nignore = ["messages"]\n')
    command = "author --model m --message user=? --answer echo".split()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "harness.cli", *command], cwd=tmp_path, env=environ, check=True)
    yield ["--mode", "replay"]


def test_no_item_is_lost_doubled_or_out_of_its_place(tmp_path: Path, place: str, flags: list[str]) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(tmp_path, place, *flags)) for _ in range(2)]
        talks = _talk(servers, {})
        assert all(list(talk.seen) == list(range(TURNS)) for talk in talks)
        for server in servers:
            asyncio.run(_check(server, place, talks))


def test_a_server_that_is_killed_leaves_no_half_turn(tmp_path: Path, place: str, flags: list[str]) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(tmp_path, place, *flags)) for _ in range(2)]
        talks = _talk(servers, {CONVERSATIONS * TURNS // 3: lambda: servers[0].process.send_signal(signal.SIGKILL)})
        assert any(talk.unseen for talk in talks), "no turn was broken off: the kill shows nothing"
        third = stack.enter_context(serving(tmp_path, place, *flags))
        for server in (servers[1], third):
            asyncio.run(_check(server, place, talks))


def _talk(servers: Sequence[Server], at: dict[int, Callable[[], None]]) -> list[Talk]:
    clients = Clients(servers, at, random.Random(11))  # noqa: S311 - which server is asked is no secret
    begin = time.monotonic()
    talks = asyncio.run(clients.talk())
    took, unseen = time.monotonic() - begin, sum(len(talk.unseen) for talk in talks)
    median, slowest = sorted(clients.waits)[clients.done // 2], max(clients.waits)
    _log.info("%d turns in %.1f s, each %.2f s, the slowest %.2f s", clients.done, took, median, slowest)
    _log.info("%d times locked, %d broken off", clients.locked, unseen)
    return talks


async def _check(server: Server, place: str, talks: Sequence[Talk]) -> None:
    """Each conversation holds the turns that were seen, in order and whole, and of the others all or nothing."""
    ids: list[str] = []
    answers: set[str] = set()
    async with aiohttp.ClientSession() as session:
        for number, talk in enumerate(talks):
            items = await _items(session, f"{server.url}/conversations/{talk.id}/items")
            texts = [item["content"][0]["text"] for item in items]
            turns = [int(asked.partition(".")[2]) for asked in texts[::2]]
            assert turns == sorted(talk.seen.keys() | (set(turns) & talk.unseen)), f"conversation {number}: {texts}"
            assert texts[::2] == [f"{number}.{turn}" for turn in turns]
            assert [text.removesuffix(f" {number}.{turn}") for text, turn in zip(texts[1::2], turns, strict=True)] == [
                "echo"
            ] * len(turns), "an answer to something else"
            ids += [talk.id, *(item["id"] for item in items)]
            answers |= {item["id"] for item in items[1::2]}
    kept = await _responses(place)
    assert kept.keys() >= {response_id for talk in talks for response_id in talk.seen.values()}
    assert sorted(answers) == sorted(answer for output in kept.values() for answer in output), "half a turn"
    ids += kept
    assert len(ids) == len(set(ids)), "an id was given twice"


async def _items(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    """All items, oldest first, page by page."""
    items: list[dict[str, Any]] = []
    query = {"order": "asc", "limit": "30"}
    while True:
        async with session.get(url, params=query) as answer:
            page = await answer.json()
        items += page["data"]
        if not page["has_more"]:
            return items
        query["after"] = page["last_id"]


async def _responses(place: str) -> dict[str, list[str]]:
    """What the database itself holds: each response with the ids of its output."""
    url = url_of(state_url(place))
    database = open_database(url, reach_of(url))
    wanted = text("SELECT id, CAST(data AS TEXT) FROM harness_responses")
    rows = await database.run(lambda connection: connection.execute(wanted).all(), writes=False)
    await database.close()
    return {id_: [item["id"] for item in json.loads(data)["output"]] for id_, data in rows}


def _check_questions(questions: Sequence[Sequence[dict[str, Any]]]) -> None:
    """The model was asked with every turn before, each with its own answer, and nothing else."""
    assert questions
    for messages in questions:
        texts = [message["content"] for message in messages]
        assert texts[1::2] == [f"echo {asked}" for asked in texts[:-1:2]]
        assert len({asked.partition(".")[0] for asked in texts[::2]}) == 1
        turns = [int(asked.partition(".")[2]) for asked in texts[::2]]
        assert turns == sorted(set(turns))
