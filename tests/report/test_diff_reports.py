"""A diff told to people and to programs."""

import io
import json
from typing import Any

from rich.console import Console

from harness.recording.diff import Diff, diff
from harness.recording.model import Exchange, Request, Response
from harness.report.diff_json import render_json
from harness.report.diff_terminal import print_diff

TEST = "tests/test_weather.py::test_rome[txt=ollama/llama3.2:3b-instruct-fp16-basic::equality]"
KEY = "3fa91c0e77d2" + "0" * 52


def chat(content: str | None, *, calls: Any = None, scope: str | None = TEST, **more: Any) -> Exchange:
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Exchange(
        Request("POST", "/v1/chat/completions", {"model": "m"}, scope), Response({"choices": [choice], **more})
    )


def call(city: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps({"city": city})}}


def one(old: Exchange, new: Exchange) -> Diff:
    return diff({KEY: old}, {KEY: new})


def printed(found: Diff, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_diff(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_has_every_class_and_every_pair() -> None:
    found = diff(
        {KEY: chat("Rome.", usage={"total_tokens": 1}), "gone": chat(None, scope="other")},
        {
            KEY: chat("Oslo.", usage={"total_tokens": 1}),
            f"{KEY}-2": chat(None, scope="a"),
            "new": chat(None, scope="b"),
        },
    )
    document = json.loads(render_json(found))
    assert document["summary"] == {
        "error": 0, "structure": 0, "text": 1, "usage": 0, "equal": 1
    }  # fmt: skip
    first = document["pairs"][0]
    assert first == {
        "name": f"{KEY}.json",
        "new_name": f"{KEY}.json",
        "test_id": TEST,
        "class": "text",
        "differences": [{"path": "choices[0].message.content", "old": "Rome.", "new": "Oslo."}],
    }
    assert document["added"] == [{"name": "new.json", "test_id": "b"}]


def test_json_says_null_where_there_is_nothing() -> None:
    document = json.loads(render_json(one(chat(None), chat(None, calls=[call("Rome")]))))
    (found,) = document["pairs"][0]["differences"]
    assert found["old"] is None
    assert found["new"] == {"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}


def test_the_terminal_shows_test_class_and_both_values() -> None:
    text = printed(one(chat(None, calls=[call("Rome")]), chat("Rome.", calls=[call("Oslo")])))
    assert "structure  3fa91c0e77d2\n" in text
    assert "tests/test_weather.py\n" in text.replace(" \n", "\n").replace(" ", "")
    assert "choices[0].message.tool_calls[0].function.arguments.city" in text
    assert '- "Rome"' in text
    assert '+ "Oslo"' in text
    assert "1 pair: 1 structure" in text


def test_a_tool_call_reads_like_a_call() -> None:
    text = printed(one(chat("Hm."), chat("Hm.", calls=[call("Rome")])))
    assert "- (absent)" in text
    assert '+ get_weather({"city": "Rome"})' in text


def test_nothing_is_wider_than_the_terminal_or_coloured_in_a_pipe() -> None:
    old, new = chat("word " * 500 + "Rome" + " more" * 500), chat("word " * 500 + "Oslo" + " more" * 500)
    text = printed(one(old, new))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_a_long_text_is_shown_from_where_it_parts() -> None:
    text = printed(one(chat("word " * 500 + "Rome." + " more" * 500), chat("word " * 500 + "Oslo.")), width=400)
    assert "- …word" in text
    assert "word Rome. more" in text
    assert 'word Oslo."' in text


def test_what_looks_alike_is_told_apart() -> None:
    text = printed(one(chat("caf\u00e9"), chat("cafe\u0301")))
    assert r"caf\u00e9" in text
    assert r"cafe\u0301" in text
    assert r"a\u00a0b" in printed(one(chat("a\u00a0b"), chat("a b")))
    assert 'Zoë"' in printed(one(chat("Zoë"), chat("Zoe")))


def test_an_answer_cannot_move_the_cursor_or_style_the_report() -> None:
    text = printed(one(chat("\x1b[31mred\x9b2J"), chat("[bold]red[/bold]\r")))
    assert not {"\x1b", "\x9b", "\r"} & set(text)
    assert "[bold]red[/bold]" in text


def test_usage_takes_one_line() -> None:
    text = printed(one(chat("a", usage={"total_tokens": 1}), chat("a", usage={"total_tokens": 2})))
    assert "  usage.total_tokens  1 -> 2\n" in text


def test_equal_tests_are_one_row_and_many_differences_are_cut() -> None:
    old = {str(n): chat("same", scope=f"t.py::test_{n}") for n in range(5)}
    text = printed(diff(old, old))
    assert "5 tests without a difference" in text
    assert "test_3" not in text
    calls = [call("Rome") for _ in range(20)]
    assert "and 12 places more" in printed(one(chat("a"), chat("a", calls=calls)))


def test_added_and_removed_are_listed() -> None:
    text = printed(diff({"gone": chat("a", scope="t.py::old")}, {}))
    assert "removed  gone\n  t.py::old" in text
    assert "0 pairs: 1 removed" in text
