"""Turns with MCP servers by their scripts: what is listed, called, asked again, held back, handed over."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.api.create_response import parse_create
from harness.errors import HarnessError, InvalidRequest, RecordingNotFound
from harness.turn.commands import (
    Ask,
    Begin,
    Called,
    CallTool,
    Chunk,
    Command,
    Emit,
    Ended,
    Failed,
    Input,
    Keep,
    Kept,
    Listed,
    ListTools,
    Refuse,
)
from harness.turn.machine import State, Turn
from harness.turn.messages import to_messages
from harness.turn.question import chat_body
from tests.server.conformance import check_event, check_stream, needs_descriptions
from tests.turn.script import BROKEN, HI, Played, chunk, feed, function, new_turn

SCHEMA = {"type": "object", "properties": {}}
READ = {"name": "read", "description": "Reads.", "input_schema": SCHEMA, "annotations": {"readOnlyHint": True}}
WRITE = {"name": "write", "description": None, "input_schema": SCHEMA, "annotations": None}
SERVER = {"type": "mcp", "server_label": "s", "server_url": "https://h/mcp", "require_approval": "never"}
USERS = {"type": "function", "name": "mine"}
LIST = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [READ, WRITE]}
REQUEST = {
    "type": "mcp_approval_request",
    "id": "mcpr_1",
    "server_label": "s",
    "name": "write",
    "arguments": '{"a": 1}',
}
APPROVAL = {"type": "mcp_approval_response", "id": "mcprr_1", "approval_request_id": "mcpr_1", "approve": True}
CALL = {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "write", "arguments": "{}", "output": "ok"}
STOP = chunk("stop")


def turn_with(*history: dict[str, Any], tools: Iterable[dict[str, Any]] = (SERVER,), **wanted: Any) -> Turn:
    return new_turn([LIST, *history], tools=list(tools), **wanted)


def called(*names: str, text: str = "") -> list[dict[str, Any]]:
    """A model's answer that calls these functions."""
    texts = [chunk(content=text)] if text else []
    return [*texts, *(chunk(**function(at, "{}", id=f"c{at}", name=name)) for at, name in enumerate(names)), STOP]


def follow(turn: Turn, *answers: list[dict[str, Any]]) -> Played:
    """Play a turn to its end: the n-th Ask gets the n-th answer, every call ``output of NAME``."""
    left = list(answers)
    played = Played()
    inputs: list[Input] = [Begin()]
    while inputs:
        played += feed(turn, inputs)
        inputs = _outcome(played.commands[-1], left)
    assert turn.state is State.ENDED
    assert left == []
    if played.events:
        check_stream(played.events)
    return played


def _outcome(command: Command, left: list[list[dict[str, Any]]]) -> list[Input]:
    match command:
        case ListTools():
            return [Listed([READ, WRITE])]
        case CallTool(_, name):
            return [Called(f"output of {name}", None, 1005)]
        case Ask():
            return [*map(Chunk, left.pop(0)), Ended(1007)]
        case Keep():
            return [Kept()]
    return []


def commands(played: Played) -> list[str]:
    return [type(command).__name__ for command in played.commands if not isinstance(command, Emit)]


def kinds(played: Played) -> list[str]:
    return [item["type"] for item in played.final["output"]]


def tools_of(ask: Ask) -> list[str]:
    return [tool["function"]["name"] for tool in ask.body["tools"]]


def test_a_list_is_asked_for_and_shown_once_the_model_answers() -> None:
    turn = new_turn(tools=[SERVER])
    before = feed(turn, [Begin(), Listed([READ, WRITE])])

    assert before.events == []
    assert commands(before) == ["ListTools", "Ask"]
    after = feed(turn, [Chunk(chunk(content="Hi")), Chunk(STOP), Ended(1007), Kept()])
    assert after.lines[:6] == [
        "created",
        "in_progress",
        "output_item.added 0 mcp_list_tools",
        "mcp_list_tools.in_progress 0",
        "mcp_list_tools.completed 0",
        "output_item.done 0 mcp_list_tools",
    ]


def test_parallel_calls_run_in_order_each_item_closed_before_the_next() -> None:
    played = follow(turn_with(), called("read", "write", text="Look."), [chunk(content="Done."), STOP])

    assert commands(played) == ["Ask", "CallTool", "CallTool", "Ask", "Keep"]
    assert played.lines[8:20] == [
        "output_item.added 1 mcp_call in_progress",
        "mcp_call.in_progress 1",
        "mcp_call_arguments.delta 1 {}",
        "mcp_call_arguments.done 1 {}",
        "mcp_call.completed 1",
        "output_item.done 1 mcp_call completed",
        "output_item.added 2 mcp_call in_progress",
        "mcp_call.in_progress 2",
        "mcp_call_arguments.delta 2 {}",
        "mcp_call_arguments.done 2 {}",
        "mcp_call.completed 2",
        "output_item.done 2 mcp_call completed",
    ]
    assert kinds(played) == ["message", "mcp_call", "mcp_call", "message"]
    assert played.kept[0].new_items == (HI, *played.final["output"])
    told = played.asked[1].body["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [message["content"] for message in told[1:]] == ["Look.", "output of read", None, "output of write"]


@needs_descriptions
def test_every_event_is_one_of_openais() -> None:
    turn = turn_with(REQUEST, APPROVAL, tools=[SERVER, USERS])
    for event in follow(turn, called("read"), called("mine", "read")).events:
        check_event(event)


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        (None, ["read", "write"]),
        ("always", ["read", "write"]),
        ("never", []),
        ({"never": {"tool_names": ["read"]}}, ["write"]),
        ({"always": {"tool_names": ["read"]}}, ["read", "write"]),
        ({"always": {"tool_names": ["read"]}, "never": {"tool_names": ["read", "write"]}}, ["read"]),
        ({"never": {"read_only": True}}, ["write"]),
        ({"never": {"read_only": False}}, ["read"]),
    ],
)
def test_who_is_asked_for_which_tool(policy: Any, asks: list[str]) -> None:
    turn = turn_with(tools=[SERVER | {"require_approval": policy}])
    answers = [called("read", "write"), [chunk(content="Done."), STOP]]

    played = follow(turn, *answers[: 1 if asks else 2])

    asked = [item["name"] for item in played.final["output"] if item["type"] == "mcp_approval_request"]
    assert asked == asks
    assert played.final["status"] == "completed"


def test_a_request_for_approval_is_shown_whole() -> None:
    played = follow(turn_with(tools=[SERVER | {"require_approval": "always"}]), called("write"))

    assert played.lines[2:4] == [
        "output_item.added 0 mcp_approval_request",
        "output_item.done 0 mcp_approval_request",
    ]
    assert [event["item"]["arguments"] for event in played.events[2:4]] == ["{}", "{}"]


def test_an_approved_call_runs_before_the_model_is_asked() -> None:
    turn = turn_with(REQUEST, APPROVAL)
    before = feed(turn, [Begin()])

    assert before.commands == [CallTool("s", "write", {"a": 1})]
    after = feed(turn, [Called("ok", None, 1003)])
    assert after.lines[:2] == ["created", "in_progress"]
    assert after.lines[-1] == "output_item.done 0 mcp_call completed"
    [ask] = after.asked
    assert [message["content"] for message in ask.body["messages"]] == ["Hi", None, "ok"]
    failed = feed(turn, [Failed(BROKEN), Kept()])
    assert failed.final["status"] == "failed"


def test_an_approved_call_that_cannot_be_answered_is_a_plain_error() -> None:
    missing = RecordingNotFound("none")

    assert feed(turn_with(REQUEST, APPROVAL), [Begin(), Failed(missing)]).commands[-1] == Refuse(missing)


def test_what_was_answered_is_not_called_again() -> None:
    done = CALL | {"approval_request_id": "mcpr_1"}

    assert commands(follow(turn_with(REQUEST, APPROVAL, done), [STOP])) == ["Ask", "Keep"]


@pytest.mark.parametrize("history", [[APPROVAL], [REQUEST | {"server_label": "t"}, APPROVAL]])
def test_an_approval_of_nothing_is_refused(history: list[dict[str, Any]]) -> None:
    [command] = feed(turn_with(*history), [Begin()]).commands

    assert isinstance(command, Refuse)
    assert isinstance(command.error, InvalidRequest)


def test_a_user_function_ends_the_turn_with_the_other_calls_done() -> None:
    played = follow(turn_with(tools=[SERVER, USERS]), called("mine", "read"))

    assert commands(played) == ["Ask", "CallTool", "Keep"]
    assert kinds(played) == ["function_call", "mcp_call"]


def test_a_miss_in_the_middle_fails_the_response() -> None:
    turn = turn_with()
    answer: list[Input] = [*map(Chunk, called("read")), Ended(1007)]

    played = feed(turn, [Begin(), *answer, Failed(RecordingNotFound("none")), Kept()])

    assert played.final["status"] == "failed"
    assert [keep.append for keep in played.kept] == [False]
    check_stream(played.events)


def test_a_list_that_fails_is_a_plain_error() -> None:
    error = HarnessError("no list", http_status=424)

    assert feed(new_turn(tools=[SERVER]), [Begin(), Failed(error)]).commands == [ListTools("s"), Refuse(error)]


def test_arguments_that_are_none_are_told_to_the_model() -> None:
    garbled = [chunk(**function(0, "[1]", id="c", name="read")), STOP]

    played = follow(turn_with(), garbled, [chunk(content="Oh."), STOP])

    assert commands(played) == ["Ask", "Ask", "Keep"]
    assert played.final["output"][0]["error"]["code"] == -32602


def test_calls_past_the_most_are_passed_over_and_the_model_is_told() -> None:
    turn = turn_with(max_tool_calls=2, tools=[SERVER, USERS])
    in_vain = called("write", "read")

    played = follow(turn, called("read"), called("write", "read"), in_vain, [chunk(content="So."), STOP])

    assert kinds(played) == ["mcp_call", "mcp_call", "message"]
    # One that goes on calling is not offered them any more.
    assert [tools_of(ask) for ask in played.asked] == [["mine", "read", "write"]] * 3 + [["mine"]]
    skipped = "Tool call skipped: maximum tool calls limit (2) reached."
    told = [message["content"] for message in played.asked[-1].body["messages"] if message["role"] == "tool"]
    assert told == ["output of read", "output of write", skipped, skipped, skipped]


def test_a_model_that_never_ends_is_stopped() -> None:
    played = follow(turn_with(), *[called("read")] * 130)

    assert len([command for command in played.commands if isinstance(command, CallTool)]) == 128
    assert [ask.body.get("tool_choice") for ask in played.asked[-2:]] == [None, "none"]


def test_an_answer_that_was_cut_off_calls_nothing() -> None:
    played = follow(turn_with(), [*called("read", "write")[:-1], chunk("length")])

    assert commands(played) == ["Ask", "Keep"]
    assert [item["status"] for item in played.final["output"]] == ["incomplete", "incomplete"]
    assert played.final["status"] == "incomplete"


def test_a_call_whose_name_comes_late_is_known_all_the_same() -> None:
    pieces = [chunk(**function(0, '{"a"', id="c")), chunk(**function(0, ": 1}", name="read")), STOP]

    played = follow(turn_with(), pieces, [STOP])

    assert [command for command in played.commands if isinstance(command, CallTool)] == [
        CallTool("s", "read", {"a": 1})
    ]


def test_usage_is_summed_and_what_is_forced_is_forced_once() -> None:
    usage = {"usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens": 2}}
    turn = turn_with(tool_choice={"type": "mcp", "server_label": "s", "name": "read"})

    played = follow(turn, [*called("read"), usage], [chunk(content="So."), STOP, usage])

    assert [ask.body.get("tool_choice") for ask in played.asked] == [
        {"type": "function", "function": {"name": "read"}},
        None,
    ]
    assert played.final["usage"] == {
        "input_tokens": 6,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }


def choice_of(**wanted: Any) -> Any:
    [ask] = feed(turn_with(**wanted), [Begin()]).asked
    return ask.body["tool_choice"]


def test_servers_may_be_chosen_from() -> None:
    names = [{"type": "function", "function": {"name": name}} for name in ("read", "write")]
    every = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": names}}
    server = {"type": "mcp", "server_label": "s"}

    assert choice_of(tool_choice=server) == every
    assert choice_of(tool_choice={"type": "allowed_tools", "mode": "required", "tools": [server]}) == every
    [command] = feed(turn_with(tool_choice=server | {"name": "none"}), [Begin()]).commands
    assert isinstance(command, Refuse)


def test_names_that_no_chat_takes_are_changed_and_changed_back() -> None:
    turn = new_turn(tools=[SERVER])
    dotted = READ | {"name": "files.read/all"}

    played = feed(turn, [Begin(), Listed([dotted]), *map(Chunk, called("files_read_all")), Ended(1007)])

    assert tools_of(played.asked[0]) == ["files_read_all"]
    assert played.commands[-1] == CallTool("s", "files.read/all", {})


def test_allowed_tools_are_all_that_is_shown() -> None:
    turn = new_turn(tools=[SERVER | {"allowed_tools": ["write"]}])

    played = feed(turn, [Begin(), Listed([READ, WRITE]), Chunk(chunk(content="Hi")), Ended(1007), Kept()])

    assert tools_of(played.asked[0]) == ["write"]
    assert played.final["output"][0]["tools"] == [WRITE]


@pytest.mark.parametrize("other", [USERS | {"name": "read"}, SERVER | {"server_label": "t"}])
def test_two_tools_of_one_name_are_refused(other: dict[str, Any]) -> None:
    turn = new_turn(tools=[SERVER, other])
    played = feed(turn, [Begin(), Listed([READ])])
    if other["type"] == "mcp":
        played += feed(turn, [Listed([READ])])

    assert isinstance(played.commands[-1], Refuse)
    assert turn.state is State.ENDED


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def result(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "1"}


def test_calls_of_both_kinds_stay_one_message() -> None:
    told = to_messages([HI, call("a"), CALL, call("b"), result("a"), result("b")])

    assert [message["role"] for message in told] == ["user", "assistant", "tool", "tool", "tool"]
    assert [made["function"]["name"] for made in told[1]["tool_calls"]] == ["f", "write", "f"]
    assert told[2]["tool_call_id"] == told[1]["tool_calls"][1]["id"]
    assert len(told[2]["tool_call_id"]) <= 40


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"output": None, "error": "old words"}, "Error: old words"),
        ({"output": None, "error": {"type": "http_error", "code": 502, "message": "gone"}}, "Error: gone"),
        (
            {
                "output": None,
                "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "a"}, {"x": 1}]},
            },
            'Error: [{"type": "text", "text": "a"}, {"x": 1}]',
        ),
        ({"output": None}, ""),
    ],
)
def test_what_the_model_is_told_of_a_call(said: dict[str, Any], told: str) -> None:
    assert to_messages([CALL | said])[-1]["content"] == told


NAMES = st.sampled_from(["read", "write", "mine", "asked"])
ASKED = {"server_label": "a", "require_approval": "always"}
OTHER = {"type": "mcp_list_tools", "id": "mcpl_2", "server_label": "a", "tools": [READ | {"name": "asked"}]}


@settings(deadline=None)
@given(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=4), st.integers(1, 5))
def test_whatever_is_called_the_stream_keeps_its_laws(rounds: list[list[str]], most: int) -> None:
    turn = turn_with(OTHER, tools=[SERVER, SERVER | ASKED, USERS], max_tool_calls=most)
    answers = [*(called(*names) for names in rounds), [chunk(content="Done."), STOP]]
    left = list(answers)
    played = Played()
    inputs: list[Input] = [Begin()]
    while inputs:
        played += feed(turn, inputs)
        inputs = _outcome(played.commands[-1], left)

    check_stream(played.events)
    json.dumps(played.events)
    made = [command for command in played.commands if isinstance(command, CallTool)]
    assert len(made) <= most
    assert [item["name"] for item in played.final["output"] if item["type"] == "mcp_call"] == [
        command.name for command in made
    ]


def test_what_became_too_long_by_its_calls_is_asked_again_without_the_oldest() -> None:
    turn = turn_with(HI | {"id": "msg_0"}, CALL, truncation="auto")
    too_long = InvalidRequest("Too long.", code="context_length_exceeded")

    played = feed(turn, [Begin(), *map(Chunk, called("read")), Ended(1007), Called("ok", None, 1008)])
    played += feed(turn, [Failed(too_long), Failed(too_long)])

    assert [len(ask.body["messages"]) for ask in played.asked] == [4, 6, 5, 3]
    assert [message["content"] for message in played.asked[-1].body["messages"]] == ["Hi", None, "ok"]
    last = feed(turn, [Failed(too_long), Kept()])
    assert last.final["error"]["code"] == "invalid_prompt"


def test_a_choice_among_tools_that_are_not_known_yet_is_no_fault() -> None:
    wanted = parse_create({"model": "m", "tools": [SERVER], "tool_choice": {"type": "mcp", "server_label": "s"}})

    assert "tools" not in chat_body(wanted, [HI])
    assert [tool["function"]["name"] for tool in chat_body(wanted, [LIST, HI])["tools"]] == ["read", "write"]


def test_in_the_background_all_is_shown_at_once_and_a_list_that_fails_is_a_failure() -> None:
    turn = new_turn(tools=[SERVER], background=True)

    played = feed(turn, [Begin()])
    assert (played.lines, played.commands[-1]) == (["created", "queued", "in_progress"], ListTools("s"))
    played += feed(turn, [Failed(HarnessError("no list", http_status=424)), Kept()])
    assert played.lines[3:] == [
        "output_item.added 0 mcp_list_tools",
        "mcp_list_tools.in_progress 0",
        "mcp_list_tools.failed 0",
        "output_item.done 0 mcp_list_tools",
        "failed",
    ]
    assert played.events[-2]["item"]["error"] == "no list"
    assert played.final["status"] == "failed"
