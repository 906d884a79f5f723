"""``harness ls``, ``show`` and ``stats``: which recordings there are, what they say, what they come to."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from harness.cli.main import cli
from harness.errors import RecordingError
from harness.recording.author import author
from harness.recording.description import Content, Description
from harness.recording.format import dumps, to_document
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange, Json, Request, Response
from harness.report.listing_terminal import render_list
from harness.running import ServerThread
from harness.settings import Settings

ROME, PARIS = "tests/test_weather.py::test_rome", "tests/test_weather.py::test_paris"
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": {"type": "object"}},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_", "ANTHROPIC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    Path("recordings").mkdir()


def save(exchange: Exchange, number: int = 1) -> str:
    name = recording_name(key(exchange.request), number)
    Path(f"recordings/{name}.json").write_text(dumps(to_document(exchange)), "utf-8")
    return name


def text(question: str, scope: str | None = ROME, answer: str = "It rains.", **body: Json) -> str:
    messages = [{"role": "user", "content": question}]
    return save(
        author(Request("POST", "/v1/chat/completions", {"model": "m", "messages": messages, **body}, scope), answer)
    )


def tools(scope: str = PARIS) -> str:
    request = Request(
        "POST",
        "/v1/chat/completions",
        {"model": "openai/big", "messages": [{"role": "user", "content": "Weather?"}], "tools": [TOOL]},
        scope,
    )
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 1200, "completion_tokens": 30, "total_tokens": 1230}
    return save(Exchange(request, Response({"object": "chat.completion", "choices": [choice], "usage": usage})))


def vectors() -> str:
    request = Request("POST", "/v1/embeddings", {"model": "e", "input": "x"}, None)
    row = {"object": "embedding", "index": 0, "embedding": [0.5]}
    return save(Exchange(request, Response({"object": "list", "data": [row], "model": "e"})))


def failure() -> str:
    request = Request("POST", "/v1/chat/completions", {"model": "m", "messages": []}, ROME)
    return save(Exchange(request, Response({"error": {"message": "Messages are empty."}}, status=400)))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def names(*arguments: str) -> set[str]:
    done = run("ls", "--json", *arguments)
    found = {one["name"] for one in json.loads(done.output)}
    assert done.exit_code == (0 if found else 1)
    return found


def test_recordings_are_listed_by_what_is_asked_for() -> None:
    said, called, embedded, failed = text("Rain?", stream=True), tools(), vectors(), failure()
    structured = text("As JSON", answer="{}", response_format={"type": "json_object"})

    assert names() == {said, called, embedded, failed, structured}
    assert names("--content", "tools") == {called}
    assert names("--content", "text", "--content", "stream") == {said}
    assert names("--content", "structured") == {structured}
    assert names("--content", "error") == {failed}
    assert (
        names("--content", "embeddings") == names("--test", "shared") == names("--endpoint", "embeddings") == {embedded}
    )
    assert names("--model", "big") == names(PARIS) == names(called[:8]) == {called}
    assert names("tests/test_weather.py", "--model", "m") == {said, failed, structured}
    assert names("--model", "none") == set()


def test_the_list_is_for_eighty_columns() -> None:
    called, said = tools(), text("Rain?", stream=True)
    listed = run("ls")
    assert listed.output.splitlines()[:-1] == [
        PARIS,
        f"  {called[:12]}  openai/big  chat/completions  tools  1200+30 tokens",
        ROME,
        f"  {said[:12]}  m  chat/completions  text stream",
    ]
    assert max(map(len, listed.output.splitlines())) <= 80


def test_what_is_longer_than_the_terminal_is_wide_goes_on_in_the_next_line() -> None:
    def one(digit: str, model: str) -> Description:
        content = (Content.STRUCTURED, Content.STREAM)
        return Description(digit * 64, "", ROME, model, "/v1/chat/completions", content, 1200, 30, 9, "", "")

    found = [one("a", "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free"), one("b", "日本語の長いモデル"), one("c", "m")]
    lines = render_list(found, 3, 80).splitlines()
    starts = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]

    assert max(map(cell_len, lines)) <= 80
    assert starts == ["a" * 12, "b" * 12, "c" * 12]
    # In a pipe each is one line.
    assert len(render_list(found, 3).splitlines()) == 5
    # Wide characters take two columns.
    columns = {cell_len(line[: line.index("chat/")]) for line in render_list(found[1:], 3).splitlines()[1:-1]}
    assert len(columns) == 1


def test_what_the_list_calls_a_recording_is_what_shows_it() -> None:
    name = text("Rain?")
    for folder in ("a", "b"):
        Path(f"recordings/{folder}").mkdir()
        shutil.copy(f"recordings/{name}.json", f"recordings/{folder}/{name}.json")
    Path(f"recordings/{name}.json").unlink()
    listing = Exchange(Request("GET", "/v1/models", {}), Response({"object": "list", "data": [{"id": "m"}]}))
    Path(f"recordings/models-{name}-489e004e.json").write_text(dumps(to_document(listing)), "utf-8")

    for word in (f"a/{name[:12]}", f"models-{name}-489e004e"):
        assert word in run("ls").output
        assert "1 recording of 3" in run("ls", word).output
        assert run("show", word).exit_code == 0
    files = [one["file"] for one in json.loads(run("ls", "--json").output)]
    assert min(files) == f"recordings/a/{name}.json"


def test_an_empty_word_is_none() -> None:
    text("Rain?")
    for command in ("ls", "show", "stats", "refresh"):
        assert "an empty word names nothing" in run(command, "").output


def test_wide_characters_are_broken_where_the_terminal_ends() -> None:
    text("雨が降りますか " * 12)
    lines = run("show", ROME).output.splitlines()
    asked = lines[lines.index("user:") + 1 : lines.index("assistant:") - 1]
    assert max(map(cell_len, asked)) <= 80
    assert "".join("".join(asked).split()) == "雨が降りますか" * 12


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_recordings_are_listed_by_age() -> None:
    old = text("Old")
    who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([str(shutil.which("git")), *arguments], check=True, env={**os.environ, **who, **dates})
    new = text("New")

    assert names("--older", "30d") == {old}
    assert names("--newer", "30d") == {new}
    assert names("--newer", "90000d", "--older", "4 weeks") == {old}
    assert run("ls", "--older", "soon").exit_code == 2


@pytest.mark.parametrize(
    "command",
    ["ls", "stats", "show --test tests/test_weather.py recordings", "refresh --dry-run --into new", "diff recordings",
     "export cassettes --into out"],
)  # fmt: skip
def test_every_command_passes_over_recordings_of_tools_and_says_so(command: str) -> None:
    tools()
    request = {"test_id": "t", "provider": "p", "tool_name": "search", "kwargs": {"query": "?"}}
    of_tool = {"test_id": "t", "request": request, "response": {"body": {}, "is_streaming": False}}
    Path("recordings/tool.json").write_text(json.dumps(of_tool, indent=2) + "\n", "utf-8")

    if command.startswith("diff"):
        shutil.copytree("recordings", "before")
        command = "diff before recordings"
    done = run(*command.split())

    assert (done.exit_code, "not an exchange" in done.output) == (0, False)
    counted = 2 if command.startswith("diff") else 1
    named = f"Passed over: {counted} recording{'s' if counted > 1 else ''} of tools, not of an HTTP API."
    assert done.stderr.count("Passed over") == 1
    assert named in done.stderr
    with pytest.raises(RecordingError, match=r"tool.json is of a tool, not of an HTTP API"):
        run("show", "recordings/tool.json")


def test_a_broken_file_is_named_and_passed_over() -> None:
    said = text("Rain?")
    Path("recordings/broken.json").write_text("{", "utf-8")
    listed = CliRunner().invoke(cli, ["ls", "--json"])
    assert [one["name"] for one in json.loads(listed.stdout)] == [said]
    assert "recordings/broken.json: not JSON" in listed.stderr
    shown = CliRunner().invoke(cli, ["show", "recordings/broken.json"])
    assert "recordings/broken.json: not JSON" in shown.stderr
    assert isinstance(shown.exception, RecordingError)


def test_a_folder_that_nobody_may_look_into_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("recordings/secret")
    folder.mkdir()
    scan = os.scandir

    def refusing(path: str) -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    # Root may look into every folder.
    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(RecordingError, match="recordings/secret cannot be looked into") as refused:
        run("ls")
    assert refused.value.hint == "chmod u+rx recordings/secret"


def test_a_dialogue_is_shown() -> None:
    called = tools()
    assert run("show", called[:6]).output.splitlines() == [
        f"recordings/{called}.json",
        "POST /v1/chat/completions  openai/big",
        PARIS,
        "may call get_weather: The weather of a city.",
        "",
        "user:",
        "  Weather?",
        "",
        "assistant:",
        '  -> get_weather({"city": "Rome"})',
        "",
        "(ended by tool_calls, 1,200 tokens in, 30 out)",
    ]
    [shown] = json.loads(run("show", f"recordings/{called}.json", "--json").output)
    assert (shown["name"], shown["test"], shown["status"]) == (called, PARIS, 200)
    assert shown["said"][0]["calls"] == [{"name": "get_weather", "arguments": {"city": "Rome"}}]


def test_a_long_answer_is_broken_into_lines_and_not_cut() -> None:
    said = text("Tell me", answer="Once upon a time. " * 20 + "\n    indented\x1b[31m")
    shown = run("show", said).output
    assert max(map(len, shown.splitlines()[3:])) <= 80
    assert shown.count("Once") == 20
    assert "\n      indented\\u001b[31m\n" in shown


def test_the_number_in_a_sequence_picks_one() -> None:
    first = text("Twice")
    request = Request(
        "POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Twice"}]}, ROME
    )
    save(author(request, "Another."), 2)
    assert "Another." in run("show", f"{first[:12]}-2").output
    assert "It rains." not in run("show", f"{first[:12]}-2").output
    # Both answer one request.
    assert run("show", first[:12], "--curl").exit_code == 0


def test_what_is_not_there_and_what_is_not_one_is_told() -> None:
    text("Rain?"), tools()
    assert run("show").exit_code == 2
    with pytest.raises(RecordingError, match="No recording that can be read is 123456"):
        run("show", "123456")
    Path("empty").mkdir()
    with pytest.raises(RecordingError, match="No recording that can be read is empty"):
        run("show", "empty")
    with pytest.raises(RecordingError, match="These are 2 recordings") as refused:
        run("show", "tests/test_weather.py", "--curl")
    assert refused.value.hint.count("harness show") == 2
    sent = Request("POST", "/v1/audio/x", {"__binary__": {"sha256": "0", "size": 1}}, None, media_type="audio/wav")
    name = save(Exchange(sent, Response({"text": "x"})))
    with pytest.raises(RecordingError, match="only the digest was recorded"):
        run("show", name, "--python")


@pytest.mark.parametrize("command", ["ls", "stats"])
def test_where_nothing_is_found_it_is_said_what_was_looked_for(command: str) -> None:
    text("Rain?")
    done = run(command, "recrodings", "ffff")
    assert done.exit_code == 1
    for word, kind in (("recrodings", "test"), ("ffff", "key")):
        said = f"{word} is no directory and no .json file here; looked for as a {kind} in recordings.\n"
        assert said in done.stderr
    assert "looked for" not in run(command, ROME).stderr


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A server that replays what the test has recorded, for what runs beside it."""
    with ServerThread(replace(Settings(), recordings=Path("recordings").absolute())) as server:
        root = server.base_url.removesuffix("/v1")
        yield {
            **os.environ,
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "k",
            "ANTHROPIC_BASE_URL": root,
            "no_proxy": "*",
        }


def requests() -> list[tuple[str, str]]:
    """Names of recordings of several kinds, with what running their code prints."""
    hostile = "It's $HOME `id` \"x\" \\ \nJSON\n'''"
    messages: dict[str, Any] = {"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": hostile}]}
    answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Claude's"}]}
    listing = {"object": "list", "data": [{"id": "listed", "object": "model"}]}
    data, filename = b"RIFF\xff\r\n--", "it's a;sound.wav"
    Path(filename).write_bytes(data)
    file = {"filename": filename, "media_type": "audio/wav", "sha256": sha256(data).hexdigest(), "size": len(data)}
    form = {"__multipart__": [{"name": "model", "value": "w"}, {"name": "file", **file},
                              {"name": "prompt", "value": f"@x;{hostile}".replace("\n", " ")}]}  # fmt: skip
    spoken = {"__binary__": {"media_type": "audio/mpeg", "base64": "/3BlZWNo"}}
    speech = Request("POST", "/v1/audio/speech", {"model": "t", "input": hostile})
    return [
        (text(hostile, answer="Whole.", temperature=0.5, grammar="root ::= x"), "Whole."),
        (text(hostile, answer="Streamed", stream=True), "Streamed"),
        (vectors(), "0.5"),
        (save(Exchange(Request("POST", "/v1/messages", messages), Response(answer))), "Claude's"),
        (save(Exchange(Request("POST", "/v1/audio/transcriptions", form), Response({"text": "Heard"}))), "Heard"),
        (save(Exchange(speech, Response(spoken, media_type="audio/mpeg"))), "peech"),
        (save(Exchange(Request("GET", "/v1/models", {}), Response(listing))), "listed"),
        (save(Exchange(Request("DELETE", "/v1/files/x", {}, query="a=b%20c"), Response({"deleted": "x"}))), "deleted"),
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_shell_command_makes_the_request(environment: dict[str, str]) -> None:
    for name, said in requests():
        command = run("show", name, "--curl").output
        done = subprocess.run(["/bin/sh", "-euc", command], env=environment, capture_output=True, check=True)
        assert said.encode() in done.stdout


@pytest.mark.slow
def test_the_script_makes_the_request(environment: dict[str, str]) -> None:
    for name, said in requests():
        script = run("show", name, "--python").output
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
        assert said.encode() in done.stdout


def test_sums_are_by_test_model_endpoint_and_content() -> None:
    text("Rain?"), text("Rain?", PARIS), text("Rain?", None, "No."), tools(), vectors()
    sums = json.loads(run("stats", "--json").output)

    assert (sums["total"]["recordings"], sums["total"]["tokens_in"], sums["total"]["tokens_out"]) == (5, 1200, 30)
    assert {one["name"]: one["recordings"] for one in sums["by_test"]} == {ROME: 1, PARIS: 2, "(no test)": 2}
    assert {one["name"]: one["recordings"] for one in sums["by_model"]} == {"m": 3, "openai/big": 1, "e": 1}
    assert {one["name"]: one["recordings"] for one in sums["by_content"]} == {"text": 3, "tools": 1, "embeddings": 1}
    [repeated] = sums["repeated"]
    assert (len(repeated["files"]), repeated["same_answer"]) == (3, False)

    shown = run("stats").output
    assert "1 question asked more than once, in 3 recordings; 0 always answered the same." in shown
    assert max(map(len, shown.split("Largest")[0].splitlines())) <= 80
    assert run("stats", "--model", "none").exit_code == 1
