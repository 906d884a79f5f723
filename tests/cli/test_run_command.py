"""``harness run``: a command of any language with a server of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.cli.main import main
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request

ASK = """
import json, os, sys, urllib.error, urllib.request
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": sys.argv[1]}]}).encode())
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    print(json.load(opener.open(request))["choices"][0]["message"]["content"])
except urllib.error.HTTPError as error:
    print("answered", error.code)
print("key", os.environ["OPENAI_API_KEY"])
sys.exit(int((sys.argv + ["0"])[2]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a program that asks, and one recording."""
    tmp_path.joinpath("ask.py").write_text(ASK)
    request = Request(
        "POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Say hello"}]}
    )
    tmp_path.joinpath("recordings").mkdir()
    tmp_path.joinpath("recordings", f"{key(request)}.json").write_text(dumps(to_document(author(request, "Hello!"))))
    return tmp_path


class Done(NamedTuple):
    """What came of ``harness run``, what its command printed included."""

    returncode: int
    stdout: str
    stderr: str


Harness = Callable[..., Done]


@pytest.fixture
def harness(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Harness:
    """``harness run`` in this process, and its command in the project's directory."""
    monkeypatch.chdir(project)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["harness", "run", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capfd.readouterr())

    return call


def test_the_command_is_answered_and_its_code_is_the_code(harness: Harness) -> None:
    done = harness("--", sys.executable, "ask.py", "Say hello", "5")
    assert (done.returncode, done.stdout) == (5, "Hello!\nkey harness\n")
    assert "1 replayed, 0 recorded, 0 missed" in done.stderr


def test_the_command_that_records_takes_the_keys_of_the_upstreams_that_were_asked(
    project: Path, harness: Harness
) -> None:
    table = '[tool.harness.upstreams.anthropic]\nkey_env = "MY_ANTHROPIC"\n'
    project.joinpath("pyproject.toml").write_text(table)
    asks = project.joinpath("ask.py").read_text().replace('"m"', '"anthropic/m"')
    project.joinpath("ask.py").write_text(asks)
    done = harness("--", sys.executable, "ask.py", "Never said")
    assert "and nothing else:  MY_ANTHROPIC=… harness run --mode record-if-missing -- " in done.stderr


def test_a_command_that_passes_though_it_missed_fails(project: Path, harness: Harness) -> None:
    reports = ["--report", "run.json", "--report", "run.md"]
    done = harness("--scope", "mine", "--strict", *reports, "--", sys.executable, "ask.py", "Never said")
    assert (done.returncode, done.stdout.splitlines()[0]) == (3, "answered 404")
    assert 'messages[0].content  "Say hello"  ->  "Never said"' in done.stderr
    told = json.loads((project / "run.json").read_text())
    assert [miss["scope"] for miss in told["misses"]] == ["mine"]
    assert told["command"].startswith("OPENAI_API_KEY=… harness run --mode record-if-missing --strict --scope mine -- ")
    assert told["command"] in done.stderr
    assert told["command"] in (project / "run.md").read_text()
    assert harness("--", sys.executable, "ask.py", "Never said", "4").returncode == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--modee", "live", "--", "true"], "No such option '--modee'."),
        (["--mode", "rec", "--", "true"], "--mode: 'rec' is not a mode."),
        (["--report", "run.txt", "--", "true"], "--report: 'run.txt' says no form of a report."),
        ([], "Missing argument 'COMMAND...'"),
    ],
)
def test_a_mistake_is_a_sentence_and_code_2(mistake: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in mistake("run", *arguments)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (
            "no-such-program",
            127,
            "harness: no-such-program: No such file or directory\n  Is it installed, and in PATH?",
        ),
        ("./ask.py", 126, "harness: ./ask.py: Permission denied\n  Is it a program, and may it be run (chmod +x)?"),
    ],
)
def test_a_command_that_cannot_be_begun_has_the_code_of_shells(
    harness: Harness, command: str, code: int, said: str
) -> None:
    done = harness("--", command)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)


def test_the_flags_of_the_command_are_its_own(harness: Harness) -> None:
    done = harness(sys.executable, "-c", "import sys; print(sys.argv)", "--mode", "x", "--", "-h")
    assert done.stdout == "['-c', '--mode', 'x', '--', '-h']\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_the_commands(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal({number.value}, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "harness.cli", "run", "--", sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 7


def test_a_command_that_a_signal_ended_has_the_code_of_shells(harness: Harness) -> None:
    assert harness("--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def test_a_command_is_recorded_and_replayed(harness: Harness, upstream_url: str) -> None:
    ask = [sys.executable, "ask.py", "Say goodbye"]
    recorded = harness("--mode", "record-if-missing", "--upstream", upstream_url, "--", *ask)
    assert recorded.returncode == 0
    assert recorded.stdout.endswith("key sk-real\n")
    assert "0 replayed, 1 recorded, 0 missed" in recorded.stderr
    assert harness("--", *ask).stdout.splitlines()[0] == recorded.stdout.splitlines()[0]
