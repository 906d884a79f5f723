"""Responses in the background, through the real client: polled, streamed, resumed, cancelled, deleted, abandoned."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from harness.stores.state import open_state, state_url
from tests.scripted_upstream import ScriptedUpstream, chunk, http, scripted, stream
from tests.server.conformance import check_event, check_response, check_stream, needs_descriptions

HELLO = stream(chunk("Hel"), chunk("lo"), chunk(finish="stop"))
BEGINNING = ["response.created", "response.queued", "response.in_progress"]
PATIENCE = 10.0


def settings_of(upstream: ScriptedUpstream, directory: Path) -> Settings:
    return Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=directory, state=str(directory / "state.db"))


@contextmanager
def client_of(settings: Settings) -> Iterator[OpenAI]:
    with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        yield client


class World:
    """An upstream that says Hello, and waits where it is told to until ``go`` is set; a server; its client."""

    def __init__(self, upstream: ScriptedUpstream, settings: Settings, client: OpenAI) -> None:
        self.upstream, self.settings, self.client = upstream, settings, client

    def go(self) -> None:
        assert self.upstream.pause
        self.upstream.pause.set()


@contextmanager
def world(directory: Path, *answers: bytes, after: bytes = b"\r\n\r\n") -> Iterator[World]:
    pause = threading.Event()
    with scripted(*(answers or (HELLO,)), pause=pause, pause_after=after) as upstream:
        settings = settings_of(upstream, directory)
        with client_of(settings) as client:
            try:
                yield World(upstream, settings, client)
            finally:
                pause.set()


def begin(client: OpenAI, **more: Any) -> Any:
    return client.responses.create(model="m", input="Hi", background=True, **more)


def ended(client: OpenAI, response_id: str) -> Any:
    """The response once it has ended."""
    end = time.monotonic() + PATIENCE
    while (response := client.responses.retrieve(response_id)).status in ("queued", "in_progress"):
        assert time.monotonic() < end, "it never ends"
        time.sleep(0.01)
    return response


def until_asked(world: World) -> None:
    end = time.monotonic() + PATIENCE
    while not world.upstream.requests:
        assert time.monotonic() < end, "nobody asked"
        time.sleep(0.01)


def dumped(events: Any) -> list[dict[str, Any]]:
    return [event.model_dump(mode="json", exclude_unset=True) for event in events]


def resumed(client: OpenAI, response_id: str, after: int | None = None) -> list[dict[str, Any]]:
    options: Any = {} if after is None else {"starting_after": after}
    return dumped(client.responses.retrieve(response_id, stream=True, **options))


def items_of(client: OpenAI, conversation_id: str) -> list[str]:
    items: Any = client.conversations.items.list(conversation_id, order="asc")
    return [item.content[0].text for item in items]


def test_it_is_queued_polled_and_completed(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        conversation = at.client.conversations.create()
        created = begin(at.client, conversation=conversation.id)
        assert (created.status, created.background, created.output) == ("queued", True, [])
        until_asked(at)
        assert at.client.responses.retrieve(created.id).status in ("queued", "in_progress")
        assert [item.type for item in at.client.responses.input_items.list(created.id)] == ["message"]
        assert items_of(at.client, conversation.id) == []
        at.go()
        final = ended(at.client, created.id)
        assert (final.status, final.output_text, final.id) == ("completed", "Hello", created.id)
        assert items_of(at.client, conversation.id) == ["Hi", "Hello"]
        again = at.client.responses.create(model="m", input="On", previous_response_id=created.id)
        assert again.output_text == "Hello"


def test_one_that_is_cut_off_is_incomplete(tmp_path: Path) -> None:
    with world(tmp_path, stream(chunk("Hel"), chunk(finish="length"))) as at:
        at.go()
        final = ended(at.client, begin(at.client).id)
        assert (final.status, final.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_it_is_streamed_as_it_comes_and_resumed_anywhere(tmp_path: Path) -> None:
    with world(tmp_path, after=b'"Hel"}, "finish_reason": null}]}\n\n') as at:
        early = []
        with begin(at.client, stream=True) as events:
            for event in events:
                early.append(event)
                if event.type == "response.output_text.delta":
                    break
        assert [event.type for event in early[:3]] == BEGINNING
        response_id = early[0].response.id
        assert at.client.responses.retrieve(response_id).status == "in_progress"
        with client_of(at.settings) as other:
            threading.Timer(0.05, at.go).start()
            rest = resumed(other, response_id, early[-1].sequence_number)
            assert other.responses.retrieve(response_id).status == "completed"
            whole = resumed(other, response_id)
        assert whole == dumped(early) + rest
        check_stream(whole)
        assert whole == resumed(at.client, response_id)
        last = len(whole) - 1
        assert resumed(at.client, response_id, last - 1) == whole[-1:]
        assert resumed(at.client, response_id, last) == resumed(at.client, response_id, 999) == []


@needs_descriptions
def test_every_event_conforms(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        created = begin(at.client)
        check_response(created.model_dump(mode="json", exclude_unset=True))
        at.go()
        for event in resumed(at.client, created.id):
            check_event(event)
        said = raw(at.client, "GET", f"responses/{created.id}?stream=true")
        assert said.startswith(b"event: response.created\ndata: {")
        assert said.endswith(b"data: [DONE]\n\n")


def raw(client: OpenAI, method: str, path: str, body: Any = None) -> bytes:
    base = urlsplit(str(client.base_url))
    connection = HTTPConnection(base.netloc, timeout=PATIENCE)
    try:
        connection.request(method, f"{base.path}{path}", json.dumps(body))
        return connection.getresponse().read()
    finally:
        connection.close()


def test_it_is_cancelled_and_nothing_of_it_is_left_in_its_conversation(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        conversation = at.client.conversations.create()
        created = begin(at.client, conversation=conversation.id)
        until_asked(at)
        cancelled = at.client.responses.cancel(created.id)
        assert cancelled.status == "cancelled"
        assert at.client.responses.cancel(created.id) == cancelled == at.client.responses.retrieve(created.id)
        assert [event["type"] for event in resumed(at.client, created.id)] == BEGINNING
        at.go()
        second = at.client.responses.create(model="m", input="Again", conversation=conversation.id)
        assert second.output_text == "Hello"
        assert items_of(at.client, conversation.id) == ["Again", "Hello"]
        check_response(cancelled.model_dump(mode="json", exclude_unset=True))


def test_one_that_is_cancelled_at_once_has_asked_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.server.background.HEAD_START_SECONDS", PATIENCE)
    nothing_recorded = Settings(recordings=tmp_path)
    with client_of(nothing_recorded) as client:
        created = begin(client)
        assert client.responses.retrieve(created.id).status == "queued"
        assert client.responses.cancel(created.id).status == "cancelled"


def test_a_stream_of_one_that_is_cancelled_ends(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        events = begin(at.client, stream=True)
        response_id = next(events).response.id
        until_asked(at)
        at.client.responses.cancel(response_id)
        assert [event.type for event in events] == BEGINNING[1:]


def test_another_server_cancels_and_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.server.background._WATCH_SECONDS", 0.02)
    with world(tmp_path) as at, client_of(at.settings) as other:
        for end in (other.responses.cancel, other.responses.delete):
            conversation = at.client.conversations.create()
            created = begin(at.client, conversation=conversation.id)
            assert other.responses.retrieve(created.id).status in ("queued", "in_progress"), "it is not failed"
            end(created.id)
            # Its server stops working on it: the conversation is free.
            unlocked(at, conversation.id)
        at.go()


def unlocked(at: World, conversation_id: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            at.client.responses.delete(begin(at.client, conversation=conversation_id).id)
        except openai.BadRequestError as error:
            assert error.code == "conversation_locked"
            time.sleep(0.01)
        else:
            return
    pytest.fail("the conversation stays locked")


def test_what_was_not_in_the_background_is_neither_cancelled_nor_streamed(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        at.go()
        response = at.client.responses.create(model="m", input="Hi")
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
            at.client.responses.cancel(response.id)
        with pytest.raises(openai.BadRequestError, match="not created with 'background=true'") as caught:
            at.client.responses.retrieve(response.id, stream=True)
        assert caught.value.param == "stream"


def test_a_finished_one_is_not_cancelled_any_more(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        at.go()
        final = ended(at.client, begin(at.client).id)
        assert at.client.responses.cancel(final.id) == final


def test_one_that_runs_is_deleted(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        conversation = at.client.conversations.create()
        events = begin(at.client, conversation=conversation.id, stream=True)
        response_id = next(events).response.id
        until_asked(at)
        at.client.responses.delete(response_id)
        assert {event.type for event in events} <= set(BEGINNING)
        for call in (at.client.responses.retrieve, at.client.responses.cancel, at.client.responses.delete):
            with pytest.raises(openai.NotFoundError):
                call(response_id)
        at.go()
        at.client.responses.create(model="m", input="Again", conversation=conversation.id)
        assert items_of(at.client, conversation.id) == ["Again", "Hello"]


def test_one_that_runs_is_no_previous_response(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        created = begin(at.client)
        with pytest.raises(openai.BadRequestError, match="has not ended yet"):
            at.client.responses.create(model="m", input="On", previous_response_id=created.id)


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (400, "context_length_exceeded", "invalid_prompt"),
        (429, "slow_down", "rate_limit_exceeded"),
        (500, "oops", "server_error"),
    ],
)
def test_an_upstream_that_says_no_makes_it_fail(tmp_path: Path, status: int, said: str, code: str) -> None:
    body = f'{{"error": {{"message": "No.", "type": "t", "param": null, "code": "{said}"}}}}'.encode()
    with world(tmp_path, http(body, status=status)) as at:
        at.go()
        events = dumped(begin(at.client, stream=True))
        assert [event["type"] for event in events] == [*BEGINNING, "response.failed"]
        final = ended(at.client, events[0]["response"]["id"])
        assert (final.status, final.error.code, final.error.message) == ("failed", code, "No.")


def test_a_miss_makes_it_fail_and_what_is_wrong_with_the_request_does_not(tmp_path: Path) -> None:
    with client_of(Settings(recordings=tmp_path)) as client:
        conversation = client.conversations.create()
        final = ended(client, begin(client, conversation=conversation.id).id)
        assert (final.status, final.error.code) == ("failed", "server_error")
        assert "No recording for POST /v1/chat/completions" in final.error.message
        assert items_of(client, conversation.id) == []
        with pytest.raises(openai.NotFoundError):
            begin(client, conversation="conv_0")
        with pytest.raises(openai.BadRequestError):
            client.responses.create(
                model="m",
                input=[{"type": "function_call_output", "call_id": "c", "output": "1"}],
                background=True,
            )


def test_two_replays_give_the_same_bytes(tmp_path: Path) -> None:
    with scripted(HELLO) as upstream:
        record = replace(settings_of(upstream, tmp_path), mode=Mode.RECORD, state=None)
        first, second, third = (play(settings) for settings in (record, *[Settings(recordings=tmp_path)] * 2))
    assert b'"status":"completed"' in second.replace(b": ", b":")
    assert first == second == third


def play(settings: Settings) -> bytes:
    with client_of(settings) as client:
        conversation = client.conversations.create()
        said = []
        for stream_it in (False, True):
            body = {"model": "m", "input": "Hi", "background": True, "stream": stream_it}
            answer = raw(client, "POST", "responses", body | {"conversation": conversation.id})
            response_id = re.search(r"resp_\w+", answer.decode())
            assert response_id, answer
            ended(client, response_id[0])
            path = f"responses/{response_id[0]}"
            said += [answer, raw(client, "GET", path), raw(client, "GET", f"{path}?stream=true")]
            said.append(raw(client, "GET", f"conversations/{conversation.id}/items"))
            conversation = client.conversations.create()
        return b"".join(said)


def test_a_server_that_ends_lets_it_finish(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        with client_of(at.settings) as brief:
            created = begin(brief)
            until_asked(at)
            at.go()
        assert at.client.responses.retrieve(created.id).status == "completed"


def test_a_server_that_ends_fails_what_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.server.background.GRACE_SECONDS", 0.05)
    with world(tmp_path) as at:
        with client_of(at.settings) as brief:
            conversation = brief.conversations.create()
            created = begin(brief, conversation=conversation.id)
            until_asked(at)
        final = at.client.responses.retrieve(created.id)
        assert (final.status, final.error.code if final.error else None) == ("failed", "server_error")
        at.go()
        at.client.responses.create(model="m", input="Again", conversation=conversation.id)
        assert items_of(at.client, conversation.id) == ["Again", "Hello"]


def test_one_that_nobody_works_on_has_failed(tmp_path: Path) -> None:
    with world(tmp_path) as at:
        created = begin(at.client).model_dump(mode="json", exclude_unset=True)
        left = created | {"id": "resp_left", "status": "in_progress"}
        asyncio.run(leave(tmp_path / "state.db", left))
        first, last = resumed(at.client, "resp_left")
        assert (first["type"], last["type"], last["sequence_number"]) == ("response.created", "response.failed", 1)
        assert "server that ran this response ended" in last["response"]["error"]["message"]
        assert at.client.responses.retrieve("resp_left").status == "failed"
        assert at.client.responses.retrieve(created["id"]).status in ("queued", "in_progress")


async def leave(path: Path, response: dict[str, Any]) -> None:
    """What a server leaves that is killed, once its lease has run out."""
    state = await open_state(state_url(str(path)))
    event = {"type": "response.created", "sequence_number": 0, "response": response}
    await state.begin_response(response, input_items=[], events=[event])
    await state.take_lease(response["id"], "gone", -1)
    await state.close()


def test_a_database_that_fails_ends_it_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> bool:
        raise OSError("disk full")

    monkeypatch.setattr("harness.stores.state.SqlState.add_events", broken)
    with world(tmp_path) as at:
        at.go()
        created = begin(at.client)
        assert ended(at.client, created.id).status == "completed"
        check_stream(resumed(at.client, created.id))
        monkeypatch.setattr("harness.stores.state.SqlState.save_turn", broken)
        failed = ended(at.client, begin(at.client).id)
        assert (failed.status, failed.error.code) == ("failed", "server_error")
        assert "could not be written down" in failed.error.message


@pytest.mark.slow
def test_a_killed_servers_response_fails_and_leaves_its_conversation_alone(tmp_path: Path) -> None:
    with world(tmp_path, after=b'"Hel"}, "finish_reason": null}]}\n\n') as at:
        process, url = serve(at.settings)
        with OpenAI(base_url=url, api_key="k", max_retries=0) as client:
            conversation = client.conversations.create()
            for event in begin(client, conversation=conversation.id, stream=True):
                if event.type == "response.created":
                    response_id = event.response.id
                if event.type == "response.output_text.delta":
                    break
            process.send_signal(signal.SIGKILL)
            process.communicate()
        process, url = serve(at.settings)
        try:
            with OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                events = resumed(client, response_id)
                final = client.responses.retrieve(response_id)
                assert final.status == "failed"
                assert final.error
                assert final.error.code == "server_error"
                assert events[-1]["type"] == "response.failed"
                check_stream(events)
                assert items_of(client, conversation.id) == []
                at.go()
                unlocked_answer = client.responses.create(model="m", input="Again", conversation=conversation.id)
                assert unlocked_answer.output_text == "Hello"
                assert items_of(client, conversation.id) == ["Again", "Hello"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def serve(settings: Settings) -> tuple["subprocess.Popen[str]", str]:
    command = [sys.executable, "-m", "harness.cli", "serve", "--mode", "live", "--port", "0"]
    places = ["--upstream", settings.upstream, "--state", str(settings.state), "--recordings", str(settings.recordings)]
    process = subprocess.Popen([*command, *places], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"OPENAI_BASE_URL\s+(\S+)", line)
        if found:
            return process, found[1]
    raise AssertionError("the server did not start")
