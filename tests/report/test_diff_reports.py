"""A diff told to people and to programs."""

import base64
import hashlib
import io
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from harness.recording.diff import Diff, diff
from harness.recording.model import Exchange, Request, Response
from harness.report.diff_html import render_html
from harness.report.diff_json import render_json
from harness.report.diff_junit import render_junit
from harness.report.diff_markdown import LIMIT, render_markdown
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
    assert {name: first[name] for name in ("name", "new_name", "test_id", "class", "differences")} == {
        "name": f"{KEY}.json",
        "new_name": f"{KEY}.json",
        "test_id": TEST,
        "class": "text",
        "differences": [{"path": "choices[0].message.content", "old": "Rome.", "new": "Oslo.", "class": "text"}],
    }
    assert (first["paired_by"], first["model"], first["endpoint"]) == ("key", "m", "/v1/chat/completions")
    assert first["similarity"] == pytest.approx(0.2)
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
    assert "word [-Rome. more" in text
    assert 'word {+Oslo.+}"' in text


def test_what_looks_alike_is_told_apart() -> None:
    text = printed(one(chat("caf\u00e9"), chat("cafe\u0301")))
    assert r"caf\u00e9" in text
    assert r"cafe\u0301" in text
    assert r"[-a\u00a0-]b" in printed(one(chat("a\u00a0b"), chat("a b")))
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


def asked(prompt: str, answer: str, name: str) -> dict[str, Exchange]:
    exchange = chat(answer)
    body = {"model": "m", "messages": [{"role": "system", "content": prompt}, {"role": "user", "content": "Hi"}]}
    return {name: replace(exchange, request=replace(exchange.request, body=body))}


def test_where_the_request_changed_its_difference_stands_first() -> None:
    found = diff(asked("Be kind.", "Hello!", "a"), asked("Be brief.", "Hi!", "b"))
    for text in (printed(found), render_markdown(found), render_junit(found, "usage")):
        assert text.index("kind") < text.index("Hello")
    assert "paired by test and order" in printed(found)


def test_a_schema_that_no_longer_fits_is_said() -> None:
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    form = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}
    old, new = (
        replace(one, request=replace(one.request, body={"model": "m", **form}))
        for one in (chat('{"city": "Rome"}'), chat('{"town": "Rome"}'))
    )
    for text in (printed(one(old, new), width=200), render_markdown(one(old, new))):
        assert "no longer fits the request" in text
        assert "is a required property" in text


def test_what_there_is_to_say_of_a_pair_is_in_every_report_and_own_variation_fails_nothing() -> None:
    found = one(chat("Rome."), chat("Oslo."))
    remarked = replace(found, pairs=tuple(replace(pair, remark="it <varies>", is_own=True) for pair in found.pairs))

    assert "it <varies>" in printed(remarked)
    assert "it &lt;varies&gt;" in render_markdown(remarked)
    assert "varies" in render_html(remarked)
    (pair,) = json.loads(render_json(remarked, {"beside": 1}))["pairs"]
    assert (pair["remark"], pair["own_variation"]) == ("it <varies>", True)
    assert (found.reaches("text"), found.is_equal) == (True, False)
    assert (remarked.reaches("text"), remarked.is_equal) == (False, True)
    for one_of_both, failures in ((found, "1"), (remarked, "0")):
        assert ET.fromstring(render_junit(one_of_both, "text"))[0].get("failures") == failures  # noqa: S314 - ours


def test_drift_is_told_apart() -> None:
    found = one(chat("a", model="m-1"), chat("a", model="m-2", extra=True))
    text = printed(found)
    assert "notable  m: answered by another model" in text
    assert "m-1 -> m-2" in text
    assert "minor    extra: appeared" in text
    assert "answered by another model" in render_markdown(found)


HOSTILE = (
    """</script><script>alert(1)</script><img src=x onerror=alert(2)> ``` @everyone | </details> \x00\x1b \ud800"""
)


def test_a_comment_cannot_be_broken_by_what_a_model_said() -> None:
    text = render_markdown(
        one(chat(f"{HOSTILE}\n````\nold"), chat(f"{HOSTILE}\n````\nnew", scope=f"t.py::t[{HOSTILE}]"))
    )
    outside = "".join(text.split("`````")[::2])
    assert "<script>" not in outside
    assert "<img" not in outside
    assert outside.count("<details>") == outside.count("</details>") == 1


def test_a_comment_keeps_the_limit_and_says_what_is_left_out() -> None:
    old = {str(at): chat(f"{at} old ü " * 200, scope=f"t.py::test_{at}") for at in range(300)}
    new = {str(at): chat(f"{at} new ü " * 200, scope=f"t.py::test_{at}") for at in range(300)}
    text = render_markdown(diff(old, new))
    assert LIMIT * 0.8 < len(text.encode()) <= LIMIT
    assert "more did not fit" in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize(("level", "failures"), [("usage", 3), ("text", 2), ("structure", 1), ("error", 0), (None, 0)])
def test_junit_fails_what_is_of_the_level_or_worse(level: Any, failures: int) -> None:
    old = {"s": chat("a", calls=[call("Rome")]), "t": chat("a"), "u": chat("a", usage={"n": 1}), "e": chat(HOSTILE)}
    new = {"s": chat("a", calls=[call("Oslo")]), "t": chat(HOSTILE), "u": chat("a", usage={"n": 2}), "e": chat(HOSTILE)}
    root = ET.fromstring(render_junit(diff(old, new), level))  # noqa: S314, our own report
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "tests/test_weather.py",
        "4",
        str(failures),
    )
    assert len(root.findall(".//failure")) == failures


def test_the_page_holds_its_data_and_nothing_of_it_is_markup() -> None:
    page = render_html(one(chat(HOSTILE), chat(f"{HOSTILE}!", scope=HOSTILE)))
    head, _, rest = page.partition('<script type="application/json" id="data">')
    data, _, script = rest.partition("</script>")
    assert "<" not in data
    assert json.loads(data)["pairs"][0]["test"] == HOSTILE.replace("\ud800", "?")
    assert script.count("<script>") == 1
    code = script.partition("<script>")[2].partition("</script>")[0]
    assert base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() in head
    assert "default-src 'none'" in head
    assert "http:" not in code + head
