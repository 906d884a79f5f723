"""``harness verify`` over recordings of every generation, with faults of every kind: exactly those, each mended."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.corpus import Document, build
from tests.recording.conftest import samples as samples  # noqa: PLC0414 - the fixture, by its name
from tests.secrets_for_tests import ANYWHERE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

COUNT = 330

Plant = Callable[["Planter"], set[Path]]


class Planter:
    """Plants faults in recordings that have none yet."""

    def __init__(self, files: list[Path], chance: random.Random) -> None:
        self.chance = chance
        self._free = list(files)
        chance.shuffle(self._free)

    def take(self, fits: Callable[[Path, Document], bool] = lambda *_: True) -> Path:
        found = next(file for file in self._free if fits(file, json.loads(file.read_text("utf-8"))))
        self._free.remove(found)
        return found

    def bytes(self, change: Callable[[bytes], bytes]) -> set[Path]:
        file = self.take()
        file.write_bytes(change(file.read_bytes()))
        return {file}

    def document(
        self, change: Callable[[Document], Any], fits: Callable[[Path, Document], bool] = lambda *_: True
    ) -> set[Path]:
        """Change a recording in place, or replace it by what comes back."""
        file = self.take(fits)
        document = json.loads(file.read_text("utf-8"))
        changed = change(document)
        file.write_text(json.dumps(changed if isinstance(changed, dict) else document, indent=2) + "\n", "utf-8")
        return {file}

    def renamed(self, name: Callable[[Path], str], fits: Callable[[Path, Document], bool]) -> set[Path]:
        file = self.take(fits)
        return {file.rename(file.with_name(name(file)))}

    def copied(
        self, name: Callable[[Path], str], fits: Callable[[Path, Document], bool] = lambda *_: True
    ) -> set[Path]:
        file = self.take(fits)
        return {Path(shutil.copy(file, file.with_name(name(file))))}

    def secret(self) -> str:
        return self.chance.choice(ANYWHERE)

    def digest(self) -> str:
        return f"{self.chance.getrandbits(256):064x}"


def is_keyed(file: Path, document: Document) -> bool:
    return len(file.stem) == 64 and "id_normalization_mapping" in document and "body" in document["request"]


def is_first(file: Path, _: Document) -> bool:
    return len(file.stem) == 12


def is_stream(_: Path, document: Document) -> bool:
    body = document["response"]["body"]
    return isinstance(body, list) and bool(body) and isinstance(body[0], dict) and "choices" in body[0]["__data__"]


def is_tested_stream(file: Path, document: Document) -> bool:
    return is_stream(file, document) and "test_id" in document


def is_whole(_: Path, document: Document) -> bool:
    return isinstance(document["response"]["body"], dict) and "__type__" in document["response"]["body"]


def is_completion(file: Path, document: Document) -> bool:
    return is_whole(file, document) and "choices" in document["response"]["body"]["__data__"]


def is_first_answer(file: Path, document: Document) -> bool:
    return is_keyed(file, document) and is_tested_stream(file, document)


def asks(_: Path, document: Document) -> bool:
    return bool(document["request"].get("body"))


def has_headers(_: Path, document: Document) -> bool:
    return "headers" in document["request"]


PLANTS: dict[str, Plant] = {
    "truncated": lambda p: p.bytes(lambda data: data[: len(data) // 2]),
    "empty": lambda p: p.bytes(lambda _: b""),
    "not JSON": lambda p: p.bytes(lambda data: data.replace(b'":', b'";', 1)),
    "in conflict": lambda p: p.bytes(lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n>>>>>>> x\n"),
    "not UTF-8": lambda p: p.bytes(lambda data: data.replace(b'"request"', b'"\xe9": 1, "request"', 1)),
    "a byte order mark": lambda p: p.bytes(lambda data: b"\xef\xbb\xbf" + data),
    "line ends of Windows": lambda p: p.bytes(lambda data: data.replace(b"\n", b"\r\n")),
    "another indentation": lambda p: p.bytes(lambda data: json.dumps(json.loads(data), indent=4).encode() + b"\n"),
    "no final newline": lambda p: p.bytes(lambda data: data[:-1]),
    "keys in order of the alphabet": lambda p: p.bytes(
        lambda data: json.dumps(json.loads(data), indent=2, sort_keys=True).encode() + b"\n"
    ),
    "a key twice": lambda p: p.bytes(
        lambda data: data.replace(b'"request": {', b'"request": {\n    "method": "X",', 1)
    ),
    "another order": lambda p: p.document(lambda document: dict(reversed(document.items()))),
    "no response": lambda p: p.document(lambda document: document.pop("response")["body"] and None),
    "no body of the response": lambda p: p.document(
        lambda document: document["response"].pop("body") and None, is_whole
    ),
    "no URL": lambda p: p.document(lambda document: document["request"].pop("url") and None),
    "edited": lambda p: p.document(lambda document: document["request"]["body"].update(temperature=0.123), asks),
    "of another test": lambda p: p.document(lambda document: document.update(test_id="tests/x.py::test_x"), is_keyed),
    "another model beside": lambda p: p.document(lambda document: document["request"].update(model="another"), asks),
    "a class of nobody's": lambda p: p.document(
        lambda document: document["response"]["body"].update(__type__="subprocess.Popen"), is_whole
    ),
    "no class": lambda p: p.document(lambda document: document["response"]["body"].pop("__type__") and None, is_whole),
    "a stream that says it is none": lambda p: p.document(
        lambda document: document["response"].update(is_streaming=False), is_stream
    ),
    "a whole that says it is a stream": lambda p: p.document(
        lambda document: document["response"].update(is_streaming=True), is_whole
    ),
    "a stream without its end": lambda p: p.document(
        lambda document: document["response"].update(body=document["response"]["body"][:1]), is_tested_stream
    ),
    "a chunk of nothing": lambda p: p.document(
        lambda document: document["response"]["body"].insert(1, None), is_stream
    ),
    "no list of choices": lambda p: p.document(
        lambda document: document["response"]["body"][0]["__data__"].update(choices=None), is_stream
    ),
    "another name": lambda p: p.renamed(lambda _: f"{p.digest()}.json", is_keyed),
    "a word for a name": lambda p: p.renamed(lambda file: f"weather-{file.stem[:5]}.json", is_keyed),
    "capitals": lambda p: p.renamed(lambda file: f"{file.stem.upper()}.json", is_keyed),
    "another short name": lambda p: p.renamed(lambda _: f"{p.digest()[:12]}.json", is_first),
    "a copy": lambda p: p.copied(lambda file: f"{file.stem}-copy.json"),
    "a copy in capitals": lambda p: p.copied(lambda file: f"{file.stem.upper()}.json", is_keyed),
    "a copy as a second answer": lambda p: p.copied(lambda file: f"{file.stem}-2.json", is_first_answer),
    "a copy as a third answer": lambda p: p.copied(lambda file: f"{file.stem}-3.json", is_first_answer),
    "a chunk of another answer": lambda p: p.document(
        lambda document: document["response"]["body"][1]["__data__"].update(id="rec-0123456789ab"), is_tested_stream
    ),
    "an answer that says it is an error": lambda p: p.document(
        lambda document: document["response"].update(status=500), is_completion
    ),
    "an error that says it is an answer": lambda p: p.document(
        lambda document: document["response"].update(body={"error": {"message": "Overloaded"}}), is_completion
    ),
    "not a number": lambda p: p.bytes(lambda data: data.replace(b'"response": {', b'"response": {\n    "x": NaN,', 1)),
    "an edit of the model": lambda p: p.document(
        lambda document: document["request"]["body"].update(model="another"), asks
    ),
    "capitals to the end": lambda p: p.renamed(lambda file: file.name.upper(), is_keyed),
    "what an editor left": lambda p: p.copied(lambda file: f"{file.name}~"),
    "what a write left": lambda p: p.copied(lambda file: f".{file.stem[:16]}-abcd.json.tmp"),
    "a second without a first": lambda p: p.renamed(lambda file: f"{file.stem}-2.json", is_keyed),
    "a secret in an answer": lambda p: p.document(
        lambda document: document["response"]["body"]["__data__"].update(x_said=f"It is {p.secret()}"), is_whole
    ),
    "a secret in a chunk": lambda p: p.document(
        lambda document: document["response"]["body"][-1]["__data__"].update(x_said=f"It is {p.secret()}"), is_stream
    ),
    "a secret in a request": lambda p: p.document(
        lambda document: document["request"]["body"].update(x_said=f"Use {p.secret()}"), asks
    ),
    "a secret in a header": lambda p: p.document(
        lambda document: document["request"]["headers"].update({"x-api-key": "0123456789abcdef" * 2}), has_headers
    ),
    "a password in a URL": lambda p: p.document(
        lambda document: document["request"].update(url=document["request"]["url"].replace("://", "://me:aB3dE6gH9@")),
        has_headers,
    ),
}


def verify(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "harness.cli", "verify", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def environment() -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "OPENAI_", "GIT_"))}
    return {**bare, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_exactly_the_planted_faults_are_found_and_their_commands_mend_them(tmp_path: Path, samples: list[Path]) -> None:
    chance = random.Random(1)  # noqa: S311 - any chance that is the same every time
    root = tmp_path / "recordings"
    files = build(root, samples, COUNT, chance)
    assert verify(tmp_path)["findings"] == []
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607 - the user's git
    planter = Planter(files, chance)
    planted = {name: {str(file.relative_to(tmp_path)) for file in plant(planter)} for name, plant in PLANTS.items()}

    findings = verify(tmp_path)["findings"]
    found = {finding["file"] for finding in findings}
    assert {name for name, some in planted.items() if not some <= found} == set()
    assert found - set().union(*planted.values()) == set()

    left = [finding["command"] for finding in verify(tmp_path, "--fix")["findings"]]
    # All of one kind at once: each would start a process of its own.
    rekey = [command.removeprefix("harness rekey ") for command in left if command.startswith("harness rekey ")]
    others = [command for command in left if not command.startswith("harness rekey ")]
    script = "; ".join([*others, f"harness rekey {' '.join(rekey)}"])
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, check=False)
    assert verify(tmp_path)["findings"] == []
