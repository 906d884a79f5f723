"""Refreshing by a Batch API: half the price, and a batch that outlives the process that began it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.backends import asking, batch
from harness.recording.model import Exchange, Request, Response
from tests.batch_upstream import batch_upstream
from tests.refresh.recorded import assistant, completion, record, refresh, texts, user, write
from tests.scripted_upstream import http, scripted


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(batch, "_SHORTEST_POLL", 0.01)
    monkeypatch.setattr(batch, "_QUIET_SECONDS", 0.05)
    monkeypatch.setattr(asking, "_LONGEST_STEP", 0.01)


def echo(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    assert "stream" not in body
    return 200, completion(f"{body['messages'][-1]['content']} {body['model']}")


def test_rounds_of_batches_follow_a_dialogue_and_cost_half(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('["m"]\ninput = 10000\noutput = 0\n')
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], f"old {word}", f"t::{word}")
    record(
        tmp_path / "recordings", [user("rome"), assistant("old rome"), user("more")], "More.", "t::rome", stream=True
    )
    with batch_upstream(echo) as (api, url):
        result = refresh(url, "--batch", "--prices", "prices.toml", "--json")
        bodies = [line["body"]["messages"] for one in api.batches.values() for line in one["lines"]]

    assert result.exit_code == 0, result.output
    assert (len(api.batches), api.asked, api.alone) == (2, 3, 0)
    assert bodies[-1] == [user("rome"), assistant("rome m"), user("more")]
    told = json.loads(result.stdout)
    assert told["refresh"]["spent"] == pytest.approx(1.5)
    assert "1.50 USD" in result.stderr
    assert "batch_0: completed, 2 answers" in result.stderr
    streamed = [path for path in (tmp_path / "recordings-refreshed").glob("*.json")
                if json.loads(path.read_text())["response"]["is_streaming"]]  # fmt: skip
    assert len(streamed) == 1
    assert not told["summary"]["structure"]


def test_what_a_batch_cannot_hold_is_asked_beside_it(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    asked = Request("POST", "/v1/images/generations", {"model": "m", "messages": [user("draw")]}, "t::b")
    write(tmp_path / "recordings", Exchange(asked, Response({"data": []})))
    with batch_upstream(echo) as (api, url):
        result = refresh(url, "--batch")

    assert (result.exit_code, api.asked, api.alone) == (0, 1, 1)
    assert "1 recording asked one by one, at the full price" in result.stderr


def test_models_go_into_batches_of_their_own_without_their_prefix(tmp_path: Path) -> None:
    for model in ("openai/m", "n"):
        record(tmp_path / "recordings", [user("rome")], "Rome.", model, model=model)
    with batch_upstream(echo) as (api, url):
        result = refresh(url, "--batch", "--times", "2")

    assert result.exit_code == 0, result.output
    assert sorted(one["lines"][0]["body"]["model"] for one in api.batches.values()) == ["m", "n"]
    assert [len(one["lines"]) for one in api.batches.values()] == [2, 2]


def test_an_error_of_one_request_is_recorded_and_a_passing_one_asked_again(tmp_path: Path) -> None:
    for word in ("bad", "busy", "good"):
        record(tmp_path / "recordings", [user(word)], word, word)
    busy = iter([True])

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        word = body["messages"][0]["content"]
        if word == "bad":
            return 400, {"error": {"message": "no", "type": "invalid_request_error"}}
        return (500, {"error": {"message": "busy"}}) if word == "busy" and next(busy, False) else echo(body)

    with batch_upstream(answer) as (api, url):
        result = refresh(url, "--batch", "--json")

    assert result.exit_code == 0, result.output
    assert (len(api.batches), api.asked) == (2, 4)
    assert json.loads(result.stdout)["summary"]["error"] == 1


def test_a_batch_that_failed_says_why(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    with batch_upstream(echo, end="failed") as (api, url):
        result = refresh(url, "--batch")

    assert (result.exit_code, len(api.batches)) == (2, 1)
    assert "The batch batch_0 is failed: Enqueued too much." in result.stderr


def test_an_upstream_without_batches_is_told(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    with scripted(http(b"{}"), http(b"no such thing", status=404)) as upstream:
        result = refresh(upstream.url, "--batch")
        assert len(upstream.requests) == 2

    assert result.exit_code == 2
    assert "POST /v1/files answered 404" in result.stderr


def test_a_batch_that_failed_is_not_waited_for_again(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    with batch_upstream(echo, end="failed") as (api, url):
        refresh(url, "--batch")
        api.end = "completed"
        result = refresh(url, "--batch")

    assert (result.exit_code, len(api.batches)) == (0, 2), result.output


def test_a_batch_that_is_gone_is_asked_anew(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    row = {"prefix": "", "endpoint": "/v1/chat/completions", "mark": "file-9", "id": "batch_9"}
    with batch_upstream(echo) as (api, url):
        refresh(url, "--batch", "--retries", "0", "--into", "first")
        [line] = api.batches["batch_0"]["lines"]
        ledger = tmp_path / "second" / ".refresh" / "batches.json"
        ledger.parent.mkdir(parents=True)
        ledger.write_text(json.dumps([{**row, "names": [line["custom_id"]]}]))
        result = refresh(url, "--batch", "--into", "second")

    assert (result.exit_code, len(api.batches)) == (0, 2), result.output


def blocks(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    text = f"{body['messages'][-1]['content']} again"
    if text.startswith("bad"):
        return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    usage = {"input_tokens": 5, "output_tokens": 2}
    return 200, {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "usage": usage,
                 "stop_reason": "end_turn", "content": [{"type": "text", "text": text}]}  # fmt: skip


def messages(tmp_path: Path) -> None:
    """Recordings of Anthropic's messages."""
    for word in ("rome", "oslo", "bad", "streamed"):
        body = {"model": "claude", "max_tokens": 9, "messages": [user(word)], "stream": word == "streamed"}
        status, said = blocks(body)
        request = Request("POST", "/anthropic/v1/messages", body, f"t::{word}")
        write(tmp_path / "recordings", Exchange(request, Response(said, status=status)))


@pytest.mark.parametrize("lost", [0, 1])
def test_messages_go_into_anthropics_batches(tmp_path: Path, lost: int) -> None:
    messages(tmp_path)
    with batch_upstream(blocks, lost=lost) as (api, url):
        for number in range(3):
            api.take([{"custom_id": f"{number}", "body": {"model": "another's"}}])
        (tmp_path / "pyproject.toml").write_text(f'[tool.harness.upstreams.anthropic]\nbase_url = "{url}"\n')
        first = refresh(url, "--batch", "--retries", "0", "--json")
        result = refresh(url, "--batch", "--json") if lost else first

    assert (first.exit_code, result.exit_code) == (2 if lost else 0, 0), result.output
    # Streams are no batch's.
    assert (len(api.batches), api.asked, api.alone) == (4, 3 + 3, 1)
    assert json.loads(result.stdout)["summary"]["error"] == 0
    assert len(list((tmp_path / "recordings-refreshed").glob("*.json"))) == 4


def test_a_batch_whose_id_was_not_read_is_found_again(tmp_path: Path) -> None:
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], word, word)
    with batch_upstream(echo, lost=1) as (api, url):
        first = refresh(url, "--batch", "--retries", "0")
        # Behind ours on the list, on another page of it.
        api.batches |= {f"batch_{number}": {**api.batches["batch_0"], "id": f"batch_{number}", "input_file_id": "other"}
                        for number in (1, 2, 3)}  # fmt: skip
        result = refresh(url, "--batch")

    assert (first.exit_code, result.exit_code) == (2, 0), result.output
    assert (len(api.batches), api.asked) == (4, 2)
    assert "batch_0: was begun by an earlier run" in result.stderr
    assert texts(tmp_path / "recordings-refreshed") == ["oslo m", "rome m"]


def test_within_a_run_a_batch_whose_id_was_not_read_is_found_too(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    with batch_upstream(echo, lost=1) as (api, url):
        result = refresh(url, "--batch")

    assert (result.exit_code, len(api.batches), api.asked) == (0, 1, 1), result.output


@pytest.mark.slow
def test_a_batch_that_was_begun_is_waited_for_by_the_next_run(tmp_path: Path) -> None:
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], word, word)
    with batch_upstream(echo, held=True) as (api, url):
        command = [sys.executable, "-m", "harness.cli", "refresh", "--upstream", url, "--batch"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        while not (tmp_path / "recordings-refreshed" / ".refresh" / "batches.json").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        api.held = False
        result = refresh(url, "--batch")

    assert result.exit_code == 0, result.output
    assert (len(api.batches), api.asked, api.alone) == (1, 2, 0)
    assert texts(tmp_path / "recordings-refreshed") == ["oslo m", "rome m"]


def test_a_file_has_no_more_requests_than_it_may(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch, "LIMIT", 2)
    for number in range(5):
        record(tmp_path / "recordings", [user(f"{number}")], "x", f"t::{number}")
    with batch_upstream(echo) as (api, url):
        refresh(url, "--batch")

    assert sorted(len(one["lines"]) for one in api.batches.values()) == [1, 2, 2]
