"""``harness --help``, ``harness demo`` and ``harness author``: from a command line to text, files and an exit code."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from harness import __version__
from harness.cli import demo
from harness.cli.author import author
from harness.cli.main import cli

ROOT = Path(__file__).parents[2]
SEED_TEST = (
    "tests/integration/responses/test_conversation_responses.py::TestConversationResponses::"
    "test_conversation_multi_turn_and_streaming[txt=openai/gpt-4o]"
)
SEED_KEY = "2e1939c376f00646141ffc9896f65fc6e439e8a9d9c6529452347eb946d6e227"
HELLO = ("--model", "gpt-4o", "--message", "user=Say hello")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)


def write(*arguments: str) -> Result:
    return CliRunner().invoke(author, arguments, catch_exceptions=True)


def test_an_interrupted_command_says_so_with_the_exit_code_of_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.checking.targets", interrupted)
    done = CliRunner().invoke(cli, ["verify"])
    assert (done.exit_code, done.output) == (130, "Interrupted.\n")


@pytest.mark.parametrize("wrong", [("--path", "/v1/embeddings"), ("--path", "chat/completions"), ("--model", " ")])
def test_what_no_client_would_ask_for_cannot_be_written_by_hand(wrong: tuple[str, str]) -> None:
    done = write(*HELLO, "--answer", "Hi", *wrong)
    assert (done.exit_code, f"Invalid value for '{wrong[0]}'" in done.output) == (2, True)
    assert not Path("recordings").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_an_output_that_finds_no_room_is_a_sentence() -> None:
    command = [sys.executable, "-m", "harness.cli", "--help"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "harness: the output could not be written: No space left on device\n  Make room.\n",
    )


def test_the_help_lists_everything() -> None:
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    for command in ("serve", "demo", "author", "diff"):
        assert f"\n  {command} " in shown.output
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0
    for group in ([], ["import"], ["export"]):
        listed = CliRunner().invoke(cli, [*group, "--help"]).output.partition("Commands:")[2]
        assert listed
        assert "..." not in listed
    assert CliRunner().invoke(cli, ["--version"]).output == f"harness, version {__version__}\n"
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2


@pytest.mark.parametrize("command", cli.list_commands(click.Context(cli)))
def test_every_command_has_help_with_an_example_for_eighty_columns(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(cli, [command, "--help"]).output
    assert re.search(rf"\n  Examples?:\n(.|\n)*harness {command}", shown)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "_HARNESS_COMPLETE" in CliRunner().invoke(cli, ["completion", shell]).output
    assert write(*HELLO, "--answer", "Hello!", "--test-id", "tests/a.py::test_one").exit_code == 0
    [file] = Path("recordings").iterdir()

    def completed(*words: str) -> list[str]:
        last = words[-1] if shell == "fish" else str(len(words))
        monkeypatch.setenv(
            "COMP_WORDS", shlex.join(["harness", *words]) if words[-1] else f"{shlex.join(['harness', *words[:-1]])} "
        )
        monkeypatch.setenv("COMP_CWORD", last)
        monkeypatch.setenv("_HARNESS_COMPLETE", f"{shell}_complete")
        lines = CliRunner().invoke(cli, prog_name="harness").output.splitlines()
        # The kind, the word, a description: zsh has each on a line of its own.
        return lines[1::3] if shell == "zsh" else [re.split(r"[,\t]", line)[1] for line in lines]

    assert completed("sh") == ["show"]
    assert completed("show", file.stem[:3]) == [file.stem]
    assert completed("ls", "--model", "gpt") == ["gpt-4o"]
    assert completed("stats", "tests/") == ["tests/a.py::test_one"]
    assert completed("show", "--te") == ["--test"]
    assert completed("serve", "--mode", "rec") == ["record", "record-if-missing"]


def test_the_help_imports_nothing_heavy() -> None:
    heavy = {"aiohttp", "deepdiff", "openai", "pydantic", "pytest", "rich", "sqlalchemy", "harness.wiring"}
    code = f"""
import sys
from harness.cli.main import cli
cli(["--help"], standalone_mode=False)
print(sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("\n[]\n")


def test_what_a_terminal_cannot_show_ends_nothing() -> None:
    for folder, answer in (("old", "雨"), ("new", "晴れ")):
        said = ("--model", "m", "--message", "user=天気?", "--answer", answer, "--recordings", folder)
        assert CliRunner().invoke(cli, ["author", *said]).exit_code == 0
    command = [sys.executable, "-m", "harness.cli", "diff", "old", "new"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "")
    assert "1 pair: 1 text" in done.stdout


def test_what_only_looks_at_recordings_imports_no_server() -> None:
    # Nor do the processes that it shares the work with.
    code = "import sys, harness.opening, harness.listing; print({'aiohttp', 'asyncio', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"


def test_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    shown = CliRunner().invoke(demo.demo, catch_exceptions=False)
    assert shown.exit_code == 0
    for text in (
        "you  Say hello",
        "gpt-4o  Hello! How can I assist you today?",
        f"from recording {SEED_KEY[:12]}",
        "you  Say goodbye",
        "gpt-4o  Goodbye! If you need anything else, feel free to reach out. Have a great day!   (streamed)",
        "from recording 2c7ef062cd35",
    ):
        assert text in shown.output
    last = shown.output.partition("Try next:\n")[2].splitlines()
    assert [line.partition("#")[0].split()[-1] for line in last if "harness serve" in line] == ["serve"]
    assert len(last) == 3


def test_the_demo_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    shown = CliRunner().invoke(demo.demo)
    assert shown.exit_code == 2
    assert "pip install openai" in shown.output


def test_commands_are_shown_as_they_can_be_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [".venv/bin/harness"])
    assert demo.folder() == ".venv/bin/"
    command = tmp_path / "harness"
    command.touch(0o755)
    assert demo.folder() == ""


def test_an_authored_recording_has_the_key_of_the_seeds_first_turn() -> None:
    answer = "Hello! How can I assist you today?"
    done = write(*HELLO, "--answer", answer, "--test-id", SEED_TEST, "--path", "/v1/v1/chat/completions")
    assert done.exit_code == 0, done.output
    path = Path("recordings", f"{SEED_KEY}.json")
    assert done.output == f"{path.absolute()}\n"
    document = json.loads(path.read_text())
    assert document["request"]["provider_metadata"] == {"authored": True}
    chunks = [chunk["__data__"] for chunk in document["response"]["body"]]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == answer
    assert path.read_bytes() == (ROOT / path).read_bytes()


def test_authoring_twice_needs_force() -> None:
    assert write(*HELLO, "--answer", "One.").exit_code == 0
    (path,) = Path("recordings").iterdir()
    refused = write(*HELLO, "--answer", "Two.")
    assert refused.exit_code == 2
    assert "--force" in refused.output
    assert "One." in path.read_text()
    assert write(*HELLO, "--answer", "Two.", "--force").exit_code == 0
    assert "Two." in path.read_text()


def test_a_whole_answer_and_another_place() -> None:
    assert write(*HELLO, "--answer", "Hi.", "--whole", "--recordings", "stubs").exit_code == 0
    (path,) = Path("stubs").iterdir()
    assert json.loads(path.read_text())["response"]["body"]["__data__"]["choices"][0]["message"]["content"] == "Hi."


@pytest.mark.parametrize("message", ["Say hello", "robot=Say hello", "=Say hello"])
def test_a_message_without_a_role(message: str) -> None:
    refused = write("--model", "m", "--message", message, "--answer", "Hi.")
    assert refused.exit_code == 2
    assert "write ROLE=TEXT" in refused.output
    assert not Path("recordings").exists()


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint() -> None:
    Path("file").touch()
    command = [
        str(Path(sys.executable).with_name("harness")),
        "author",
        *HELLO,
        "--answer",
        "Hi.",
        "--recordings",
        "file",
    ]
    command += ["--answer", "Hi.", "--recordings", "file"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("harness: ")
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr
