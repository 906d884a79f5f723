"""Hundreds of recordings made of the samples: other tests, models and texts, named in each generation's own way."""

import copy
import json
import random
import re
from pathlib import Path
from urllib.parse import urlsplit

from harness.recording.ids import completion_id
from harness.recording.key import digest
from harness.recording.model import Json

Document = dict[str, Json]

_LONG_DECIMAL = re.compile(r"\d+\.\d{4,}")
_MODELS = ("gpt-4o-mini", "llama3.1:8b", "claude-3-5", "o4-mini")


def names(document: Document) -> dict[str, str]:
    """What each generation hashes to name a recording."""
    request = document["request"]
    body = request.get("body", request.get("payload"))
    plain = {"method": request["method"].upper(), "endpoint": urlsplit(request["url"]).path, "body": body}
    hashed = {"plain": plain, "rounded": {**plain, "body": _rounded(body)}}
    tested = {f"{name} of a test": {**value, "test_id": document.get("test_id")} for name, value in hashed.items()}
    return {name: digest(value) for name, value in {"request": request, **hashed, **tested}.items()}


def _rounded(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, str):
        return _LONG_DECIMAL.sub(lambda found: f"{float(found[0]):.5f}", value)
    return round(value, 5) if isinstance(value, float) else value


def build(root: Path, samples: list[Path], count: int, chance: random.Random) -> list[Path]:
    """Write ``count`` recordings below ``root``; each is in order, and no two ask the same."""
    made: list[Path] = []
    sources = [(file, file.read_text("utf-8")) for file in samples]
    for number in range(count * 2):
        file, text = sources[number % len(sources)]
        document = json.loads(text)
        stem = _renamed(file.stem, document, number, chance)
        path = root / chance.choice(["", "chat", "suite/recordings"]) / f"{stem}.json"
        if stem in {one.stem for one in made}:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=text.isascii()) + "\n", "utf-8")
        made.append(path)
        if len(made) == count:
            return made
    raise AssertionError("too few samples")


def _renamed(stem: str, document: Document, number: int, chance: random.Random) -> str:
    """Make another recording of a document; its name, by the rule that named it."""
    old = names(document)
    listing = re.fullmatch(r"models-([0-9a-f]+)-[0-9a-f]{8}", stem)
    base = listing[1] if listing else stem
    rule = next((name for name, value in old.items() if value.startswith(base)), None)
    _vary(document, number, chance)
    new = names(document)
    # For a while, ids were of the older name, and the file did not say the test that its own name is for.
    told = new if rule else names({**document, "test_id": f"tests/test_untold.py::test_{number}"})
    for name in old:
        document["response"] = _exchanged(document["response"], completion_id(old[name]), completion_id(new[name]))
    name = told[rule or "rounded of a test"][: len(base)]
    return f"models-{name}-{digest(document['response'])[:8]}" if listing else name


def _vary(document: Document, number: int, chance: random.Random) -> None:
    request = document["request"]
    body = request["body"] if "body" in request else request["payload"]
    said = f"variant {number} {chance.choice(['', 'ä', '日本'])}"
    if "model" in body and chance.random() < 0.3:
        body["model"] = f"{chance.choice(_MODELS)}-{number % 7}"
        if "model" in request:
            request["model"] = body["model"]
    if isinstance(body.get("messages"), list):
        body["messages"].append({"role": "user", "content": said})
    elif "prompt" in body:
        body["prompt"] = f"{body['prompt']} {said}"
    elif "input" in body:
        body["input"] = [said] if isinstance(body["input"], list) else said
    if document.get("test_id"):
        document["test_id"] = f"tests/{number}/{document['test_id']}"
        if "test_id" in request:
            request["test_id"] = document["test_id"]


def _exchanged(value: Json, old: str, new: str) -> Json:
    if isinstance(value, dict):
        return {name: _exchanged(item, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [_exchanged(item, old, new) for item in value]
    return new if value == old else copy.copy(value)
