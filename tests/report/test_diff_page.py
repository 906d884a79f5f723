"""The page in a real browser: opened from its file, filtered, unfolded, with the network out of reach."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.recording.diff import Diff, dialogue_of, diff
from harness.recording.model import Exchange, Request, Response
from harness.report.diff_html import render_html
from tests.browser import chromium

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def chat(answer: str, test: str, model: str = "m", calls: Any = None) -> Exchange:
    body = {"model": model, "messages": [{"role": "user", "content": f"Question {HOSTILE}"}]}
    message = {"role": "assistant", "content": answer, "tool_calls": calls}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return Exchange(Request("POST", "/v1/chat/completions", body, test), Response({"choices": choices}))


def call(city: str) -> list[dict[str, Any]]:
    arguments = f'{{"place": {{"city": "{city}"}}}}'
    return [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": arguments}}]


def sides() -> Diff:
    from dataclasses import replace

    old = {
        "tool": chat("", "t.py::test_tool", "gpt-a", call("Rome")),
        "text": chat(f"The sky is blue. {HOSTILE}", "t.py::test_text", "gpt-b"),
        "same": chat("Yes.", "t.py::test_same", "gpt-b"),
    }
    new = {
        **old,
        "tool": chat("", "t.py::test_tool", "gpt-a", call("Oslo")),
        "text": chat(f"The sky is red. {HOSTILE}", "t.py::test_text", "gpt-b"),
        "more": chat("New.", "t.py::test_more"),
    }
    found = diff(old, new)
    pairs = (replace(pair, dialogue=dialogue_of(old[pair.name], new[pair.name])) for pair in found.pairs)
    return replace(found, pairs=tuple(pairs))


@pytest.fixture
def page(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page in Chromium, which fails the test on any error of its script."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'harness[slow]'")
    base = tmp_path_factory.getbasetemp()
    browser = chromium(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
    file = tmp_path / "diff.html"
    file.write_text(render_html(sides()))
    errors: list[str] = []
    with api.sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=browser.path,
            args=["--no-sandbox"],
            env={**os.environ, **browser.environment},
        )
        opened = running.new_page(viewport={"width": 1000, "height": 800})
        opened.set_default_timeout(15_000)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on(
            "request", lambda request: errors.append(request.url) if not request.url.startswith("file:") else None
        )
        opened.goto(file.as_uri())
        yield opened
        running.close()
    assert errors == []


def shown(page: Any) -> list[str]:
    return [str(text) for text in page.locator("#pairs .test").all_inner_texts()]


def test_filters_by_class_test_and_model(page: Any) -> None:
    assert shown(page) == ["t.py::test_tool", "t.py::test_text", "t.py::test_more"]
    page.click("button[data-class=equal]")
    assert "t.py::test_same" in shown(page)
    page.click("button[data-class=text]")
    page.click("button[data-class=added]")
    assert shown(page) == ["t.py::test_tool", "t.py::test_same"]
    page.select_option("#model", "gpt-b")
    assert shown(page) == ["t.py::test_same"]
    page.select_option("#model", "")
    page.fill("#test", "TOOL")
    assert shown(page) == ["t.py::test_tool"]
    assert page.inner_text("#shown") == "1 of 4 shown"


def test_a_pair_unfolds_to_words_bubbles_and_trees(page: Any) -> None:
    page.click("details.pair:nth-of-type(1) > summary")
    page.locator("details[open] .place del").wait_for()  # a pair is written out when it is unfolded
    assert page.locator(".bubble.assistant .tree .key", has_text="city").count() == 2
    assert [page.inner_text(f"details[open] .place {tag}") for tag in ("del", "ins")] == ["Rome", "Oslo"]
    page.click("details.pair:nth-of-type(2) > summary")
    second = page.locator("details.pair").nth(1)
    assert (second.locator("del").inner_text(), second.locator("ins").inner_text()) == ("blue", "red")
    assert HOSTILE in second.locator(".bubble.user").inner_text()
    assert page.title() == "harness diff"
    assert page.locator("img").count() == 0
