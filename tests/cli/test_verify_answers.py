"""What ``harness verify`` says of answers: streams that are not whole, and errors that say they are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.ids import completion_id
from harness.recording.key import key
from harness.recording.model import Exchange, Request, Response
from tests.cli.kept import found, run, write
from tests.cli.kept import project as project  # noqa: PLC0414 - the fixture, by its name


@pytest.mark.parametrize(
    "change",
    [
        lambda chunks: chunks[:2],
        lambda chunks: chunks[:0],
        lambda chunks: [chunks[0], None, *chunks[1:]],
        lambda chunks: [{**chunks[0], "__data__": "x"}, *chunks[1:]],
        lambda chunks: [{**chunks[0], "__data__": {**chunks[0]["__data__"], "choices": "x"}}, *chunks[1:]],
    ],
)
def test_a_stream_that_is_not_whole_is_found(change: Any) -> None:
    file = write("Count", answer="One, two, three.")
    document = json.loads(file.read_text("utf-8"))
    response = document["response"]
    response["body"] = change(response["body"])
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "type")}


RESPONDED = ["response.created", "response.output_text.delta", "response.completed"]
SAID = ["message_start", "content_block_delta", "message_stop"]


@pytest.mark.parametrize(
    ("path", "events", "is_whole"),
    [
        ("/v1/responses", RESPONDED, True),
        ("/v1/responses", RESPONDED[:2], False),
        ("/v1/responses", [RESPONDED[0], "error"], True),
        ("/v1/messages", SAID, True),
        ("/v1/messages", SAID[:2], False),
        ("/v1/messages", [SAID[0], "", SAID[2]], False),
    ],
)
def test_of_events_the_last_one_is_there_and_each_is_json(path: str, events: list[str], is_whole: bool) -> None:
    data = [f'{{"type": "{kind}"}}' if kind else '{"type": "conte' for kind in events]
    lines = [line for one in data for line in (f"data: {one}", "")]
    request = Request("POST", path, {"model": "m", "stream": True}, "t")
    file = Path(f"recordings/{key(request)}.json")
    file.write_text(dumps(to_document(Exchange(request, Response(lines, is_streaming=True)))), "utf-8")
    assert found() == (set() if is_whole else {(str(file), "type")})


def test_lines_of_ollama_end_with_one_that_is_done() -> None:
    request = Request("POST", "/api/chat", {"model": "m"}, "t")
    file = Path(f"recordings/{key(request)}.json")
    for is_done in (True, False):
        body = [{"message": {"content": "Yes."}, "done": False}, {"message": {"content": ""}, "done": is_done}]
        file.write_text(dumps(to_document(Exchange(request, Response(body, is_streaming=True)))), "utf-8")
        assert found() == (set() if is_done else {(str(file), "type")})


def test_chunks_of_another_answer_are_found() -> None:
    file = write("Count", answer="One, two, three.")
    document = json.loads(file.read_text("utf-8"))
    document["response"]["body"][1]["__data__"]["id"] = completion_id("0" * 12)
    file.write_text(dumps(document), "utf-8")
    assert found() == {(str(file), "type")}


@pytest.mark.parametrize(
    "change",
    [
        {"status": 500},
        {"status": "200"},
        {"status": 0},
        {"is_exception": True},
        {"body": {"error": {"message": "Overloaded"}}},
    ],
)
def test_an_error_says_that_it_is_one_and_an_answer_that_it_is_none(change: Any) -> None:
    request = Request("POST", "/v1/chat/completions", {"model": "m", "messages": []}, "t")
    document = to_document(author(request, "Yes."))
    file = Path(f"recordings/{key(request)}.json")
    document["response"] |= change
    file.write_text(dumps(document), "utf-8")
    assert {name for name, _ in found()} == {str(file)}
    assert len(json.loads(run("verify", "--json").output)["findings"]) == 1


def test_a_stream_that_is_said_to_have_broken_off_is_in_order() -> None:
    file = write("Count", answer="One, two, three.")
    document = json.loads(file.read_text("utf-8"))
    document["response"] |= {"body": document["response"]["body"][:2], "is_broken": True}
    file.write_text(dumps(document), "utf-8")
    assert found() == set()
