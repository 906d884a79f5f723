"""``harness refresh`` from outside: recordings and flags in; requests, recordings, text and exit code out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.main import cli
from harness.errors import RecordingError
from harness.recording.model import MULTIPART, Exchange, Request, Response
from harness.refresh import compared
from harness.stores.directory import DirectoryStore
from harness.stores.staging import Staging
from tests.refresh.recorded import answered, assistant, completion, record, refresh, texts, user, write
from tests.scripted_upstream import ScriptedUpstream, chunk, http, scripted, stream

SCOPE = "tests/test_a.py::test_a"
FAST = ("--retries", "0")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text('["m"]\ninput = 10000\noutput = 0\n["n"]\ninput = 20000\noutput = 0\n')
    return path


def asked(upstream: ScriptedUpstream) -> list[Any]:
    """The bodies of what was asked, without the proof of the key."""
    return [body for head, body in upstream.requests if not head.startswith("GET /v1/models")]


def echo(body: dict[str, Any]) -> bytes:
    """An upstream that says what it was told last, and by whom it was asked to be."""
    return answered(f"{body['messages'][-1]['content']} {body['model']}") if body else http(b"{}")


def test_all_is_asked_again_into_another_directory_and_compared(tmp_path: Path) -> None:
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], f"{word} m", SCOPE)
    name = record(tmp_path / "recordings", [user("bern")], "old answer")
    before = {path.name: path.read_bytes() for path in (tmp_path / "recordings").iterdir()}
    with scripted(reply=echo) as upstream:
        result = refresh(upstream.url)

    assert result.exit_code == 0, result.output
    assert "3 recordings, 3 requests to http://127.0.0.1" in result.stderr
    assert "3 pairs: 1 text, 2 equal" in result.stdout
    assert f"text  {name[:12]}" in result.stdout
    assert texts(tmp_path / "recordings-refreshed") == ["bern m", "oslo m", "rome m"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "recordings").iterdir()} == before
    assert not (tmp_path / "recordings-refreshed" / ".refresh").exists()


def test_a_dry_run_asks_nothing_and_writes_nothing(tmp_path: Path, prices: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)
    record(tmp_path / "recordings", [user("[redacted]")], "Secret.", SCOPE)
    form = {MULTIPART: [{"name": "file", "filename": "a.wav", "sha256": "0", "size": 1}]}
    write(tmp_path / "recordings", Exchange(Request("POST", "/v1/audio/transcriptions", form), Response({})))
    with scripted(reply=echo) as upstream:
        result = refresh(
            upstream.url, "--dry-run", "--prices", prices, "--model", "m=n", "--test", "tests", "--jobs", "2"
        )
        as_json = refresh(upstream.url, "--dry-run", "--json")
        assert upstream.requests == []

    assert result.exit_code == 0
    assert "4.00 USD" in result.stdout
    assert "1 request with [redacted] for a secret, sent so" in result.stdout
    told = json.loads(as_json.stdout)["estimate"]
    assert (told["requests"], told["input_tokens"], told["cost"]) == (2, 200, None)
    assert "a.wav" in told["left"][0]["reason"]
    assert not (tmp_path / "recordings-refreshed").exists()


def test_later_turns_are_estimated_at_the_price_of_the_new_model(tmp_path: Path, prices: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)
    record(tmp_path / "recordings", [user("rome"), assistant("Rome."), user("more")], "More.", SCOPE)
    result = refresh("http://127.0.0.1:1/v1", "--dry-run", "--prices", prices, "--model", "m=n", "--unset", "sedd")

    assert [line.split()[:3] for line in result.stdout.splitlines() if "/v1/chat" in line] == [
        ["/v1/chat/completions", "n", "2"]
    ]
    assert "4.00 USD" in result.stdout
    assert "no request has sedd: --unset changes nothing there" in result.stdout


def test_files_may_be_a_pattern_that_no_shell_took_apart(tmp_path: Path) -> None:
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], word, word)
    result = refresh("http://127.0.0.1:1/v1", "--dry-run", "recordings/*.json")

    assert "2 recordings, 2 requests" in result.stdout, result.output


def test_another_model_and_other_settings_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    record(folder, [user("rome")], "rome m", SCOPE, temperature=1)
    kept = record(folder, [user("oslo")], "oslo other", SCOPE, model="other")
    with scripted(reply=echo) as upstream:
        result = refresh(upstream.url, "--into", folder, "--model", "m=n", "--set", "seed=7", "--unset", "temperature")

        assert asked(upstream) == [{"model": "n", "messages": [user("rome")], "seed": 7}]
    assert result.exit_code == 0, result.output
    assert "1 recording written to" in result.stderr
    assert "1 of an older name removed" in result.stderr
    assert texts(folder) == ["oslo other", "rome n"]
    assert (folder / f"{kept}.json").exists()
    assert "the request differs" in result.stdout


def test_later_turns_quote_the_new_answers(tmp_path: Path) -> None:
    turns = [user("one"), assistant("old one"), user("two"), assistant("old two"), user("three")]
    for length in (1, 3, 5):
        record(tmp_path / "recordings", turns[:length], f"old {turns[length - 1]['content']}", SCOPE)
    with scripted(reply=echo) as upstream:
        result = refresh(upstream.url)
        bodies = asked(upstream)

    assert bodies[-1]["messages"] == [user("one"), assistant("one m"), user("two"), assistant("two m"), user("three")]
    assert "2 later turns quoting an earlier answer: it will quote the new one" in result.stderr
    assert "2 later turns asked with the new answers" in result.stderr

    with scripted(reply=echo) as upstream:
        result = refresh(upstream.url, "--frozen")
        assert max((body["messages"] for body in asked(upstream)), key=len) == turns
    assert "left as recorded (--frozen)" in result.stderr


def test_a_turn_that_the_new_answer_does_not_lead_to_is_asked_as_recorded_and_says_so(tmp_path: Path) -> None:
    function = {"name": "weather", "arguments": "{}"}
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    first = Request("POST", "/v1/chat/completions", {"model": "m", "messages": [user("one")]}, SCOPE)
    write(tmp_path / "recordings", Exchange(first, Response(completion("", tool_calls=called["tool_calls"]))))
    turns = [user("one"), called, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
    name = record(tmp_path / "recordings", turns, "It is sunny.", SCOPE)
    with scripted(answered("No tool needed.")) as upstream:
        result = refresh(upstream.url, "--json")
        assert turns in [body["messages"] for body in asked(upstream)]

    (told,) = json.loads(result.stdout)["refresh"]["as_recorded"]
    assert told["name"] == f"{name}.json"
    assert told["reason"] == "the recorded turn answers weather({}), and it calls no tool"
    assert "asked as recorded, the new answer before it does not fit" in result.stderr


def test_a_result_that_stands_for_another_call_is_remarked(tmp_path: Path) -> None:
    def called(city: str) -> list[dict[str, Any]]:
        function = {"name": "weather", "arguments": json.dumps({"city": city})}
        return [{"id": "call_0000000001", "type": "function", "function": function}]

    first = Request("POST", "/v1/chat/completions", {"model": "m", "messages": [user("one")]}, SCOPE)
    write(tmp_path / "recordings", Exchange(first, Response(completion("", tool_calls=called("Rome")))))
    turns = [user("one"), {"role": "assistant", "content": "", "tool_calls": called("Rome")},
             {"role": "tool", "tool_call_id": "call_0000000001", "content": "sunny"}]  # fmt: skip
    record(tmp_path / "recordings", turns, "It is sunny.", SCOPE)
    new = http(json.dumps(completion("", tool_calls=called("Oslo"))).encode())
    with scripted(http(b"{}"), new, answered("It is sunny.")) as upstream:
        result = refresh(upstream.url, "--json")

    remarks = [pair.get("remark", "") for pair in json.loads(result.stdout)["pairs"]]
    told = " ".join(result.stderr.split())
    words = 'the result of weather({"city": "Rome"}) stands for weather({"city": "Oslo"})'
    assert words in told
    assert words in remarks


def test_sequences_streams_and_other_endpoints(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    names = [record(folder, [user("rome")], f"{number}", SCOPE, number, stream=True) for number in (1, 2)]
    embedding = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}]}
    asks = Request("POST", "/v1/embeddings", {"model": "e", "input": "x"}, SCOPE)
    names.append(write(folder, Exchange(asks, Response(embedding))))

    def reply(body: dict[str, Any]) -> bytes:
        return http(json.dumps(embedding).encode()) if "input" in body else stream(chunk("new"), chunk(finish="stop"))

    with scripted(reply=reply) as upstream:
        result = refresh(upstream.url, "--into", "new")
        assert [body["stream"] for body in asked(upstream) if "stream" in body] == [True, True]

    assert result.exit_code == 0, result.output
    assert sorted(path.stem for path in (tmp_path / "new").glob("*.json")) == sorted(names)
    document = json.loads((tmp_path / "new" / f"{names[1]}.json").read_text())
    assert document["response"]["is_streaming"] is True


def test_what_failed_is_asked_by_the_same_command_and_nothing_twice(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::a")
    record(tmp_path / "recordings", [user("oslo")], "Oslo.", "t::b")
    record(tmp_path / "recordings", [user("oslo"), assistant("Oslo."), user("more")], "More.", "t::b")

    def flaky(body: dict[str, Any]) -> bytes:
        return http(b"down", status=500) if body and body["messages"][0]["content"] == "oslo" else echo(body)

    with scripted(reply=flaky) as upstream:
        first = refresh(upstream.url, *FAST)
    assert first.exit_code == 2
    assert "The upstream answered 500: down" in first.stderr
    assert "it comes after" in first.stderr
    assert texts(tmp_path / "recordings-refreshed") == ["rome m"]

    with scripted(reply=echo) as upstream:
        second = refresh(upstream.url, *FAST)
        assert [body["messages"][-1]["content"] for body in asked(upstream)] == ["oslo", "more"]
    assert second.exit_code == 0
    assert "1 answer of an unfinished refresh: there already, not asked again" in second.stderr
    assert texts(tmp_path / "recordings-refreshed") == ["more m", "oslo m", "rome m"]


def test_nothing_is_asked_for_a_directory_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    # Root, whom CI runs as, may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and Path(path).name == "recordings"))
    with scripted(answered("Rome!")) as upstream:
        refused = refresh(upstream.url, "--into", "recordings")
        assert asked(upstream) == []

    assert "recordings cannot be written to" in str(refused.exception)


def test_one_refresh_at_a_time_writes_to_a_directory(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", "t::rome")
    into = tmp_path / "recordings-refreshed"
    with scripted(answered("Rome!")) as upstream:
        with Staging(into).alone():
            second = refresh(upstream.url)
            dry = refresh(upstream.url, "--dry-run")
            elsewhere = refresh(upstream.url, "--into", "elsewhere")
        assert not into.exists()
        third = refresh(upstream.url)

    assert isinstance(second.exception, RecordingError)
    assert second.exception.message == "Another refresh into recordings-refreshed is under way."
    assert [dry.exit_code, elsewhere.exit_code, third.exit_code] == [0, 0, 0]
    assert texts(into) == ["Rome!"]


def test_of_a_test_all_is_replaced_or_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    record(folder, [user("rome")], "Rome.", "t::a")
    record(folder, [user("oslo")], "Oslo.", "t::a")

    def flaky(body: dict[str, Any]) -> bytes:
        return http(b"down", status=500) if body and body["messages"][0]["content"] == "oslo" else echo(body)

    with scripted(reply=flaky) as upstream:
        result = refresh(upstream.url, *FAST, "--into", folder)

    assert texts(folder) == ["Oslo.", "Rome."]
    assert "1 waiting for the rest of their test" in result.stderr
    assert not (folder / ".refresh" / "placing.json").exists()


def test_killed_while_answers_are_put_in_place_the_next_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    for temperature in (0, 1):
        record(folder, [user("rome")], f"{temperature}", "t::a", temperature=temperature)
    record(folder, [user("oslo")], "Oslo.", "t::b", temperature=1)
    command = ("--into", folder, "--set", "temperature=0")
    save = DirectoryStore.save
    saved: list[str] = []

    def killed(self: DirectoryStore, exchange: Exchange, name: str) -> bool:
        if len(saved) == 2:
            raise SystemExit(137)
        saved.append(name)
        return save(self, exchange, name)

    with scripted(reply=echo) as upstream:
        with monkeypatch.context() as patched:
            patched.setattr(DirectoryStore, "save", killed)
            assert refresh(upstream.url, *command).exit_code == 137
        before = len(asked(upstream))
        result = refresh(upstream.url, *command)
        assert len(asked(upstream)) == before == 3

    assert (result.exit_code, "is in" in result.stderr) == (0, True)
    assert texts(folder) == ["oslo m", "rome m", "rome m"]
    assert not (folder / ".refresh").exists()
    assert not check(folder)


def check(folder: Path) -> str:
    """What ``harness verify`` finds."""
    result = CliRunner().invoke(cli, ["verify", str(folder)])
    return "" if result.exit_code == 0 else result.output


def test_interrupted_in_the_diff_it_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with scripted(reply=echo) as upstream:
        with monkeypatch.context() as patched:
            patched.setattr(compared, "compare_all", interrupted)
            first = refresh(upstream.url)
        second = refresh(upstream.url)
        assert len(asked(upstream)) == 1

    assert (first.exit_code, second.exit_code) == (130, 0)
    assert "Interrupted. The same command goes on from there" in first.stderr


def test_a_restart_asks_all_of_it_again(tmp_path: Path) -> None:
    for word in ("rome", "oslo"):
        record(tmp_path / "recordings", [user(word)], word, word)
    with scripted(http(b"{}"), answered("one"), http(b"down", status=500)) as upstream:
        refresh(upstream.url, *FAST, "--jobs", "1")
    with scripted(reply=echo) as upstream:
        refresh(upstream.url, "--restart")
        assert len(asked(upstream)) == 2


def test_the_budget_is_kept_over_several_runs(tmp_path: Path, prices: Path) -> None:
    for number in range(5):
        record(tmp_path / "recordings", [user(f"{number}")], "x", f"t::{number}")
    # Each request costs 1.00 at these prices.
    with scripted(reply=echo) as upstream:
        first = refresh(upstream.url, "--budget", "2.5", "--prices", prices)
        assert len(asked(upstream)) == 2
        again = refresh(upstream.url, "--budget", "2.5", "--prices", prices)
        assert len(asked(upstream)) == 2
        rest = refresh(upstream.url, "--budget", "9", "--prices", prices)
        assert len(asked(upstream)) == 5

    assert (first.exit_code, again.exit_code, rest.exit_code) == (2, 2, 0)
    assert "3 recordings not asked: the budget of 2.5 is used up" in first.stderr


def test_a_bad_key_is_told_before_anything_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)
    refused = http(b'{"error": {"message": "Incorrect API key provided: sk-very-wrong-key"}}', status=401)
    for key, words in (("sk-very-wrong-key", "refuses the key"), ("", "refuses requests without a key")):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with scripted(refused) as upstream:
            result = refresh(upstream.url)
            assert [head.split(" ")[:2] for head, _ in upstream.requests] == [["GET", "/v1/models"]]
        assert words in str(result.exception)
        assert not key or key not in str(result.exception)
    assert not (tmp_path / "recordings-refreshed").exists()


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)

    assert "could not be asked" in str(refresh("http://127.0.0.1:1/v1").exception)


def test_asked_several_times_a_difference_is_measured_against_the_models_own(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("steady")], "steady m", "t::a")
    record(tmp_path / "recordings", [user("moody")], "It is one of many moods", "t::b")
    moods = iter(
        ["It is one of few moods", "It is two of many moods", "It is any of the moods", "Moods it is one of"] * 3
    )

    def reply(body: dict[str, Any]) -> bytes:
        if not body:
            return http(b"{}")
        is_moody = body["messages"][0]["content"] == "moody"
        return answered(next(moods) if is_moody else f"steady {body['model']}")

    with scripted(reply=reply) as upstream:
        result = refresh(upstream.url, "--model", "m=n", "--times", "3", "--control", "--fail-on", "text", "--json")
        assert len(asked(upstream)) == 2 * 3 * 2

    found = json.loads(result.stdout)
    own = {pair["test_id"]: pair.get("own_variation", False) for pair in found["pairs"]}
    assert own == {"t::a": False, "t::b": True}
    assert (
        "larger than the variation of its own (4 old, 3 new answers: by chance at most 1 time in 35)"
        in found["pairs"][0]["remark"] + found["pairs"][1]["remark"]
    )
    assert result.exit_code == 1
    assert "1 difference larger than the model's own variation, 1 it shows against itself" in result.stderr


def test_of_a_sequence_all_answers_are_of_one_model(tmp_path: Path) -> None:
    for number, word in enumerate(("one", "two", "three"), 1):
        record(tmp_path / "recordings", [user("Hi")], f"It is number {word}", SCOPE, number)
    words = iter(["four", "five", "one", "two", "three", "six"])
    with scripted(reply=lambda body: answered(f"It is number {next(words)}") if body else http(b"{}")) as upstream:
        result = refresh(upstream.url, "--times", "2", "--jobs", "1", "--json")

    pairs = json.loads(result.stdout)["pairs"]
    remarks = {pair["remark"] for pair in pairs if pair["class"] != "equal"}
    assert remarks == {"no larger than what either model shows against itself (3 old, 6 new answers)"}


def test_with_few_answers_chance_is_told(tmp_path: Path) -> None:
    for number in range(3):
        record(tmp_path / "recordings", [user("Hi")], "It was", f"t::{number}")
    with scripted(answered("It is")) as upstream:
        result = refresh(upstream.url, "--times", "2")

    assert "3 differences larger than the model's own variation, 0 it shows against itself" in result.stderr
    assert "by chance up to 1.0 would be larger" in result.stderr


def test_what_only_varies_fails_no_build(tmp_path: Path) -> None:
    record(tmp_path / "recordings", [user("moody")], "one mood", "t::b")
    with scripted(http(b"{}"), answered("one mood"), answered("two moods"), answered("one mood")) as upstream:
        result = refresh(upstream.url, "--times", "2", "--jobs", "1", "--fail-on", "any")

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--control"], "--control needs --times"),
        (["--budget", "1"], "--budget needs --prices"),
        (["--json", "--markdown"], "choose one"),
        (["ffff"], "No recording of ffff"),
        (["--set", "temperature"], "has no value"),
        (["--set", "temperature="], "--set 'temperature=\"\"'"),
        (["--model", "m=a", "--model", "m=b"], "--model m=a and m=b"),
        (["absent.json"], "absent.json is not there"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], words: str) -> None:
    record(tmp_path / "recordings", [user("rome")], "Rome.", SCOPE)
    result = refresh("http://127.0.0.1:1/v1", *arguments)

    assert result.exit_code != 0
    assert words in f"{result.output} {result.exception}"
