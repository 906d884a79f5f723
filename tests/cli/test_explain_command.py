"""``harness explain``: every form of a request, every way to be answered, readable at 80 columns."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.errors import HarnessError
from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request
from tests.secrets_for_tests import SECRETS

PATH = "/v1/chat/completions"
RULES = '[tool.harness.match]\npresets = ["dates"]\n'


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("pyproject.toml").write_text(RULES, "utf-8")
    Path("recordings").mkdir()


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def record(text: str, scope: str | None = None) -> str:
    request = Request("POST", PATH, body(text), scope)
    name = key(request)
    Path(f"recordings/{name}.json").write_text(dumps(to_document(author(request, "Yes."))), "utf-8")
    return name


def run(said: Any, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", "-", *arguments], input=json.dumps(said))


def hit(said: Any, *arguments: str) -> Any:
    done = run(said, *arguments, "--json")
    found = json.loads(done.output)["hit"]
    assert done.exit_code == (0 if found["by"] else 1)
    return found


def test_every_way_to_be_answered() -> None:
    own, shared, other = record("On 2025-01-03", "t"), record("Shared on 2025-01-03"), record("Other", "u")

    assert hit(body("On 2025-01-03"), "--scope", "t")["by"] == "key"
    found = hit(body("On 2026-11-22"), "--scope", "t")
    assert (found["by"], found["recordings"]) == ("fingerprint in scope", [own])
    assert found["put_back"] == [{"recorded": "2025-01-03", "present": "2026-11-22"}]
    assert [place["path"] for place in found["differences"]] == ["body.messages[0].content"]
    found = hit(body("Shared on 2026-11-22"), "--scope", "t")
    assert (found["by"], found["recordings"]) == ("fingerprint, shared", [shared])
    found = hit(body("Other"), "--scope", "t")
    assert (found["by"], found["recordings"], found["scope"]) == ("fingerprint in another scope", [other], "u")
    found = hit(body("Another"), "--scope", "t")
    assert found["by"] is None
    assert found["nearest"]["recording"] == other


def test_a_strict_look_up_says_what_only_means_the_same() -> None:
    name = record("On 2025-01-03")
    found = hit(body("On 2026-11-22"), "--strict")
    assert found["by"] is None
    assert found["nearest"] == {"recording": name, "scope": None, "differences": []}


def test_every_form_of_a_request_comes_to_the_same() -> None:
    name = record("Hi", "t")
    request = {"method": "post", "path": PATH, "body": body("Hi"), "scope": "t"}
    Path("body.json").write_text(json.dumps(body("Hi")), "utf-8")

    outputs = {
        CliRunner().invoke(cli, ["explain", file, "--json", *more]).output
        for file, more in ((f"recordings/{name}.json", []), ("body.json", ["--scope", "t"]))
    }
    outputs.add(run(request, "--json").output)

    [output] = outputs
    assert json.loads(output)["key"] == name


def test_the_report_is_readable_at_80_columns_and_shows_each_rule() -> None:
    name = record("Today is 2025-01-03. " + "Say something long. " * 10)
    asked = body("Today is 2026-11-22. " + "Say something long. " * 10, temperature=None, n=1)
    done = run(asked)

    assert done.exit_code == 0
    for rule in ("null is absent", "n: 1 is what one gets", "dates: <date>"):
        assert f"\n  {rule}\n" in done.output
    assert f"Answered by {name[:12]}, found by its fingerprint, among shared recordings." in done.output
    assert '"2025-01-03"\n      -> "2026-11-22"' in done.output
    rules, _, rest = done.output.partition("Canonical request")
    assert max(map(len, (rules + rest.partition("\nkey ")[2]).split("\n")[1:])) <= 80


def test_a_secret_is_said_to_be_there_and_not_shown() -> None:
    secret = SECRETS["openai"]
    said = body("Hi", api_key=secret, metadata={secret: secret})
    done = run(said)
    assert "redacted     body.api_key" in done.output
    assert "redacted     body.metadata.[redacted]" in done.output
    assert secret not in done.output
    assert secret not in run(said, "--json").output


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "standard input: not JSON"),
        ('{"input": "x"}', "does not say its endpoint"),
        ('{"path": 1, "body": {}}', '"path" is neither text nor null'),
        ('{"request": {}, "response": {}}', '"request" has no "url"'),
    ],
)
def test_what_is_no_request_is_said_to_be_none(said: str, message: str) -> None:
    done = CliRunner().invoke(cli, ["explain", "-"], input=said)
    assert isinstance(done.exception, HarnessError)
    assert message in done.exception.message
    assert done.exception.hint


def test_nothing_but_what_is_copied_is_wider_than_80_columns() -> None:
    scope = f"tests/test_long.py::test_{'x' * 80}"
    record(f"Nearest {'n' * 200}", scope)
    said = body(f"{'word ' * 60}{'w' * 300}", note="y" * 200)
    shown = run({"method": "POST", "path": f"{PATH}", "body": said, "scope": scope}).output

    wide = [line for line in shown.splitlines() if len(line) > 80]
    assert all(scope in line and line.startswith("  ") for line in wide)
    assert shown.replace("\n", "").replace(" ", "").count("w" * 300) == 1
