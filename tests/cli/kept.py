"""A project with recordings in order, for tests of what keeps them so; import its fixture by its name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key, recording_name
from harness.recording.model import Request


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("recordings").mkdir()


def write(text: str, number: int = 1, answer: str = "Yes.", scope: str | None = "t") -> Path:
    """A recording in order; its file."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}
    request = Request("POST", "/v1/chat/completions", body, scope)
    file = Path(f"recordings/{recording_name(key(request), number)}.json")
    file.write_text(dumps(to_document(author(request, answer))), "utf-8")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def found(*arguments: str) -> set[tuple[str, str]]:
    """The findings as (file, kind); the exit code says the same."""
    done = run("verify", "--json", *arguments)
    findings = json.loads(done.output)["findings"]
    assert done.exit_code == (1 if findings else 0)
    assert all(finding["message"] and finding["command"] for finding in findings)
    return {(finding["file"], finding["kind"]) for finding in findings}


def edit(file: Path, **request: Any) -> None:
    document = json.loads(file.read_text("utf-8"))
    document["request"]["body"].update(request)
    file.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def commands() -> set[str]:
    return {finding["command"] for finding in json.loads(run("verify", "--json").output)["findings"]}


def provided(text: str, number: int = 1, answer: str = "Yes.", **changes: Any) -> Path:
    """A recording as a provider's answer makes it."""
    file = write(text, number, answer)
    document = json.loads(file.read_text("utf-8"))
    del document["request"]["provider_metadata"]
    for chunk in document["response"]["body"]:
        chunk["__data__"] |= changes
    file.write_text(dumps(document), "utf-8")
    return file
