"""Whole sets compared: in one process or several, by any model, with files that are broken."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.comparing import Asked, compare_all
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.diff import Diff
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request
from harness.recording.prices import Price, Prices
from harness.stores.reading import in_directory


def write(folder: Path, question: str, answer: str, *, model: str = "m", timings: Any = None, **more: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    body = {"model": model, "messages": [{"role": "user", "content": question}], **more}
    request = Request("POST", "/v1/chat/completions", body, f"t.py::test_{question}")
    document = to_document(author(request, answer))
    document["response"]["body"]["__data__"]["usage"] = {"prompt_tokens": 1000, "completion_tokens": len(answer)}
    if timings:
        document["response"]["timings"] = timings
    (folder / f"{key(request)}.json").write_text(dumps(document))
    return key(request)


def compared(root: Path, **asked: Any) -> Diff:
    return compare_all(in_directory(root / "old"), in_directory(root / "new"), Asked(Canonicalizer, **asked))


@pytest.mark.slow
def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    for at in range(150):
        write(tmp_path / "old", str(at), f"Answer {at}.", seed=0)
        write(tmp_path / "new", str(at), f"Answer {at % 140}.", seed=at % 3)
    prices = Prices({"m": Price(1, 2)})
    one, two = (compared(tmp_path, processes=count, prices=prices, dialogues=True) for count in (1, 2))
    assert one == two
    assert one.summary["text"] == 10
    assert {pair.how for pair in one.pairs} == {"key", "test and order"}


def test_two_models_of_one_directory_are_compared(tmp_path: Path) -> None:
    for model, answer in (("gpt-4o", "Rome."), ("openai/gpt-5", "Rome!"), ("other", "Roma")):
        write(tmp_path, "capital", answer, model=model)
    both = in_directory(tmp_path), in_directory(tmp_path)
    found = compare_all(*both, Asked(Canonicalizer, models=("gpt-4o", "gpt-5")))
    (pair,) = found.pairs
    assert (pair.how, pair.model, pair.cls, pair.request) == ("fingerprint", "openai/gpt-5", "text", ())
    assert (found.added, found.removed) == ((), ())


def test_cost_and_time_are_figures(tmp_path: Path) -> None:
    write(tmp_path / "old", "a", "yes", timings={"first_byte": 0.2, "chunks": [0.1]})
    write(tmp_path / "new", "a", "yes", timings={"first_byte": 2.0, "chunks": [0.1]})
    write(tmp_path / "old", "b", "yes", timings={"first_byte": 0.2, "chunks": [0.1]})
    write(tmp_path / "new", "b", "yes", timings={"first_byte": 0.3, "chunks": [0.1]})
    found = compared(tmp_path, prices=Prices({"m": Price(1000, 1000)}))
    by_test = {pair.test_id: pair for pair in found.pairs}
    slower = by_test["t.py::test_a"]
    assert (slower.cls, [one.path for one in slower.differences]) == (
        "usage",
        ["latency.seconds", "latency.first_byte"],
    )
    assert by_test["t.py::test_b"].cls == "equal"
    assert found.totals[1].cost == pytest.approx(2 * 1.003)


def test_broken_files_are_told_and_leave_their_counterparts_single(tmp_path: Path) -> None:
    name = write(tmp_path / "old", "a", "yes")
    write(tmp_path / "new", "b", "yes")
    (tmp_path / "new" / f"{name}.json").write_text("{")
    (tmp_path / "old" / "notes.json").write_bytes(b"\xff")
    found = compared(tmp_path)
    assert [line.partition(": ")[0].rpartition("/")[2] for line in found.unreadable] == ["notes.json", f"{name}.json"]
    assert [one.name for one in found.removed] == [name]
    assert len(found.added) == 1


def test_progress_comes_to_its_end(tmp_path: Path) -> None:
    for side in ("old", "new"):
        write(tmp_path / side, "a", "yes")
        write(tmp_path / side, "b", side, seed=side)
    told: list[tuple[str, int, int]] = []
    compare_all(in_directory(tmp_path / "old"), in_directory(tmp_path / "new"), Asked(Canonicalizer),
                lambda *step: told.append(step))  # fmt: skip
    assert told == [("reading", 1, 2), ("reading", 2, 2), ("comparing", 2, 2)]


def test_a_vector_in_a_pair_is_short(tmp_path: Path) -> None:
    for side, last in (("old", 1.0), ("new", -1.0)):
        (tmp_path / side).mkdir()
        data = [{"object": "embedding", "index": 0, "embedding": [0.0] * 1500 + [last]}]
        document = {
            "request": {"url": "http://localhost/v1/embeddings", "body": {"model": "e", "input": "x"}},
            "response": {"body": {"object": "list", "data": data}, "is_streaming": False},
        }
        (tmp_path / side / "k.json").write_text(json.dumps(document))
    ((found,),) = (pair.differences for pair in compared(tmp_path).pairs)
    assert (found.cls, found.old) == ("text", [0.0, 0.0, 0.0, 0.0, "… 1501 numbers"])
