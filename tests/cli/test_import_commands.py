"""``harness import`` and ``harness export``: what comes in, what is left out, what is never overwritten."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.recording.author import author
from harness.recording.format import dumps, loads, to_document, to_exchange
from harness.recording.key import key, recording_name
from harness.recording.model import Json, Request
from tests.recording.test_har import archive, entry

URL = "https://api.openai.com/v1/chat/completions"
SECRET = "my-own-k3y-of-mine"


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    Path("pyproject.toml").touch()


def run(*arguments: str, code: int = 0) -> str:
    done: Result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def interaction(question: str, answer: Json = None, *, url: str = URL, **response: Any) -> dict[str, Any]:
    """One of a cassette, as vcrpy writes it."""
    said = answer or {"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"content": f"{question}!"}}]}
    return {
        "request": {
            "method": "POST",
            "uri": url,
            "headers": {"Authorization": [f"Bearer {SECRET}"], "content-type": ["application/json"]},
            "body": json.dumps({"model": "m", "messages": [{"role": "user", "content": f"{question} {SECRET}"}]}),
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"], "set-cookie": ["a=b"]},
            "body": {"string": json.dumps(said)},
            **response,
        },
    }


OTHER: dict[str, Any] = {
    "request": {"method": "GET", "uri": "https://www.example.org/simple", "headers": {}, "body": None},
    "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "x"}},
}


def cassette(place: str, *interactions: dict[str, Any]) -> Path:
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = yaml.safe_dump({"version": 1, "interactions": list(interactions)}).encode()
    path.write_bytes(gzip.compress(data) if place.endswith(".gz") else data)
    return path


def scopes(below: str = "recordings") -> dict[str, int]:
    found: dict[str, int] = {}
    for path in Path(below).rglob("*.json"):
        document = loads(path.read_text("utf-8"))
        assert key(to_exchange(document).request) == path.stem.partition("-")[0]
        found[str(document["test_id"])] = found.get(str(document["test_id"]), 0) + 1
    return found


def test_cassettes_become_the_recordings_of_their_tests() -> None:
    Path("tests").mkdir()
    Path("tests/test_a.py").write_text("def test_one(): ...\nclass TestX:\n    def test_two(self): ...")
    Path("tests/test_b.py").write_text("import os\ndef test_apart(): ...")
    cassette("tests/cassettes/test_a/test_one.yaml", interaction("a"), OTHER, interaction("b"), interaction("a"))
    cassette("tests/cassettes/test_a/TestX.test_two[a-1.5].yaml.gz", interaction("a"))
    # pytest-vcr keeps those of all modules in one folder.
    cassette("tests/cassettes/test_apart.yaml", interaction("a"))

    text = run("import", "cassettes", "tests")

    assert text.splitlines()[0] == "Wrote 5 recordings to recordings/."
    assert text.splitlines()[1] == "Left out 1 exchange that no model answered (www.example.org 1)."
    assert text.splitlines()[-2:] == ["Keep the cassettes that hold them:", "  tests/cassettes/test_a/test_one.yaml"]
    assert scopes() == {
        "tests/test_a.py::test_one": 3,
        "tests/test_a.py::TestX::test_two[a-1.5]": 1,
        "tests/test_b.py::test_apart": 1,
    }
    texts = [path.read_text() for path in Path("recordings").iterdir()]
    assert not any(SECRET in text for text in texts)
    assert all(to_exchange(loads(text)).metadata == {"cassette": True} for text in texts)
    assert run("verify").startswith("5 recordings: 0 findings")
    assert "Wrote 0 recordings to recordings/; 5 recordings there already." in run("import", "cassettes", "tests")


def test_a_projects_own_layout_tells_the_test_by_what_is_near() -> None:
    Path("tests/sub").mkdir(parents=True)
    for module in ("tests/test_a.py", "tests/test_b.py", "tests/sub/test_c.py", "test_d.py"):
        Path(module).write_text(
            "def test_one(): ...\n" + "def test_two(): ...\n" * (module in ("tests/test_a.py", "test_d.py"))
        )
    cassette("tests/_vcr/test_b/test_one.yaml", interaction("a"))
    cassette("tests/_vcr/apart/test_two[x].yaml", interaction("a"))
    cassette("tests/_vcr/apart/test_one.yaml", interaction("a"))
    cassette("tests/cassettes/test_e/gpt_4o.yaml", interaction("a"))

    run("import", "cassettes", ".", "--root", ".")
    assert scopes() == {
        "tests/test_b.py::test_one": 1,
        "tests/test_a.py::test_two[x]": 1,
        "tests/_vcr/apart/test_one": 1,
        "tests/cassettes/test_e/gpt_4o": 1,
    }


def test_an_error_that_a_cassette_has_for_an_answer_is_in_order() -> None:
    cassette("tests/cassettes/test_a/test_one.yaml", interaction("a", {"error": {"message": "Filtered."}}))
    run("import", "cassettes", "tests")
    assert run("verify").startswith("1 recording: 0 findings")
    [file] = Path("recordings").iterdir()
    file.write_text(file.read_text().replace('"cassette": true', '"cassette": false'))
    assert "status 200 stands on an error" in run("verify", code=1)


def test_a_host_of_ones_own_is_said_to_be_a_provider() -> None:
    page = {**OTHER, "request": {**OTHER["request"], "uri": "https://llm.example.com/v1/models"}}
    cassette("cassettes/test_a/test_one.yaml", page)

    assert "(llm.example.com 1)" in run("import", "cassettes", ".")
    assert "Wrote 1 recording " in run("import", "cassettes", ".", "--host", "llm.example.com")


def test_nothing_is_overwritten_in_silence() -> None:
    path = cassette("cassettes/test_a/test_one.yaml", interaction("a"))
    run("import", "cassettes", ".", "--into", "kept")
    before = {file: file.read_bytes() for file in Path("kept").iterdir()}
    cassette(str(path), interaction("a", {"choices": []}))

    text = run("import", "cassettes", ".", "--into", "kept", code=1)
    assert "is there, and says something else" in text
    assert "--overwrite replaces it." in text
    assert before == {file: file.read_bytes() for file in Path("kept").iterdir()}
    text = run("import", "cassettes", ".", "--into", "kept", "--overwrite")
    assert text.splitlines() == ["Wrote 1 recording to kept/.", "Passed over 1 file of another kind."]


def test_what_cannot_come_in_is_told_with_its_reason() -> None:
    broken = interaction("a", headers={"content-encoding": ["gzip"]}, body={"string": b"\xff\xfe"})
    cassette("cassettes/test_a/test_one.yaml", broken, interaction("b"))
    Path("cassettes/test_a/test_two.yaml").write_text("a: [")

    text = run("import", "cassettes", "cassettes", code=1)
    assert "skipped: cassettes/test_a/test_one.yaml, interaction 1\n  its body is not gzip" in text
    assert "skipped: cassettes/test_a/test_two.yaml\n  not YAML" in text
    assert "Wrote 1 recording to recordings/." in text
    assert "Skipped 2, for the reasons above." in text


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_exported_is_imported_the_same(form: str) -> None:
    own = interaction("a", url="http://me:pass@localhost:8000/v1/chat/completions")
    cassette("tests/cassettes/test_a/test_one[a-b].yaml", interaction("bb"), OTHER, own, interaction("bb"))
    cassette("cassettes/shared.yaml", interaction("c"))
    run("import", "cassettes", ".", "--into", "one")
    text = run("export", "cassettes", "one", "--into", "out", "--format", form)
    run("import", "cassettes", "out", "--root", "out", "--into", "two")

    assert text == "Wrote 2 cassettes to out/.\n"
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob(f"*.{form}")) == [
        f"cassettes/shared.{form}",
        f"tests/cassettes/test_a/test_one[a-b].{form}",
    ]
    one, two = ({path.name: path.read_bytes() for path in Path(place).iterdir()} for place in ("one", "two"))
    assert one == two
    (exported,) = Path("out/tests").rglob(f"*.{form}")
    asked = [found["request"] for found in yaml.safe_load(exported.read_text())["interactions"]]
    assert [(one["uri"], json.loads(one["body"])["messages"][0]["content"].split()[0]) for one in asked] == [
        (URL, "bb"),
        ("http://localhost:8000/v1/chat/completions", "a"),
        (URL, "bb"),
    ]
    assert scopes("two") == {"tests/test_a.py::test_one[a-b]": 3, "None": 1}


def test_a_cassette_that_is_there_is_not_overwritten() -> None:
    cassette("tests/cassettes/test_a/test_one.yaml", interaction("a"))
    run("import", "cassettes", "tests")
    assert "is there, and says something else" in run("export", "cassettes", code=1)
    assert "Wrote 1 cassette to tests/cassettes/." in run("export", "cassettes", "--overwrite")


def test_pytest_vcrs_layout_is_given_back() -> None:
    Path("tests").mkdir()
    Path("tests/test_a.py").write_text("def test_one(): ...")
    cassette("tests/cassettes/test_one.yaml", interaction("a"))
    cassette("tests/cassettes/test_call/sync.yaml", interaction("b"))
    run("import", "cassettes", "tests")
    run("export", "cassettes", "--flat", "--into", "out")
    found = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.yaml"))
    assert found == ["tests/cassettes/test_call/sync.yaml", "tests/cassettes/test_one.yaml"]


def test_what_a_cassette_has_of_other_hosts_stays_in_it() -> None:
    kept = cassette("tests/cassettes/test_a/test_one.yaml", OTHER, interaction("a"), OTHER)
    run("import", "cassettes", "tests")
    assert "is there, and says something else" in run("export", "cassettes", code=1)
    for _ in range(2):
        run("export", "cassettes", "--overwrite")
    found = yaml.safe_load(kept.read_text())["interactions"]
    assert [one["request"]["uri"] for one in found] == [URL, *[OTHER["request"]["uri"]] * 2]

    cassette("tests/cassettes/test_a/test_one.yaml", OTHER)
    assert "Wrote 1 cassette" in run("export", "cassettes")
    assert len(yaml.safe_load(kept.read_text())["interactions"]) == 2


def test_what_a_cassette_cannot_say_is_told() -> None:
    recorded = author(Request("POST", "/v1/chat/completions", {"model": "m", "messages": []}, "t"), "Hi")
    document = to_document(recorded)
    document["response"]["is_broken"] = True
    Path("recordings").mkdir()
    Path(f"recordings/{key(recorded.request)}.json").write_text(dumps(document))
    assert "its stream broke off" in run("export", "cassettes", code=1)
    Path("empty").mkdir()
    assert "No recordings in" in run("export", "cassettes", "empty", code=2)


def test_an_archive_becomes_recordings() -> None:
    other = entry(url="https://example.com/", method="GET", postData={})
    Path("a.har").write_text(archive(entry(), other, entry({"mimeType": "text/event-stream", "size": 0}), entry()))

    text = run("import", "har", "a.har", code=1)
    assert "skipped: a.har, entry 3\n  its answer was saved without its content" in text
    assert "Wrote 2 recordings to recordings/." in text
    assert "(example.com 1)" in text
    assert scopes() == {"None": 2}
    run("import", "har", "a.har", "--scope", "a test", "--into", "own", code=1)
    assert scopes("own") == {"a test": 2}


def test_an_archive_that_is_none_is_an_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.cli.main import main

    Path("a.har").write_text("{")
    monkeypatch.setattr("sys.argv", ["harness", "import", "har", "a.har"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "a.har: cut off in line 1" in capfd.readouterr().err


def test_of_several_archives_one_that_is_none_is_skipped() -> None:
    Path("bad.har").write_bytes(b'{"log": "\xe9"}')
    Path("good.har").write_text(archive(entry()))
    text = run("import", "har", "bad.har", "good.har", code=1)
    assert "skipped: bad.har\n  not UTF-8: byte 0xe9 in line 1" in text
    assert "Wrote 1 recording" in text


def of_ogx(place: str, question: str, answer: str = "Yes.", **more: Any) -> dict[str, Any]:
    """A recording of OGX's, in the form of today unless ``more`` says otherwise."""
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    document = to_document(author(Request("POST", "/v1/v1/chat/completions", body, more.pop("scope", "t")), answer))
    document |= more
    path = Path("ogx") / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return document


def test_recordings_of_ogx_get_their_keys_and_what_no_look_up_reaches_is_told() -> None:
    named = of_ogx("chat/0123456789ab.json", "ä?")
    of_ogx("chat/ffff.json", "b")
    of_ogx("errors/ffff.json", "b")
    of_ogx("later/aaaa.json", "b", "No.")
    untold = of_ogx("old/bbbb.json", "c", scope=None)
    del untold["test_id"], untold["id_normalization_mapping"]
    untold["request"]["payload"] = untold["request"].pop("body")
    Path("ogx/old/bbbb.json").write_text(json.dumps(untold))
    Path("ogx/tools").mkdir()
    Path("ogx/tools/cccc.json").write_text('{"request": {"tool_name": "search"}, "response": {}}')
    Path("ogx/models-64a2277c90f0-489e004e.json").write_text(Path("ogx/chat/0123456789ab.json").read_text())

    text = run("import", "ogx", "ogx", code=1)

    assert "skipped: ogx/later/aaaa.json\n  cannot be reached: chat/ffff.json answers the same request" in text
    assert "skipped: ogx/tools/cccc.json\n  cannot be reached: not an exchange over HTTP: replay passes it over" in text
    assert "Wrote 4 recordings to recordings/; 1 recording there already." in text
    assert "1 of them name no test" in text
    there = {path.relative_to("recordings").as_posix() for path in Path("recordings").rglob("*.json")}
    name = recording_name(key(to_exchange(named).request))
    assert f"chat/{name}.json" in there
    assert "models-64a2277c90f0-489e004e.json" in there
    assert json.loads(Path(f"recordings/chat/{name}.json").read_text()) == named
    assert [path.partition("/")[0] for path in sorted(there)] == [
        "chat",
        "chat",
        "models-64a2277c90f0-489e004e.json",
        "old",
    ]


def test_ogx_recordings_are_not_imported_onto_themselves() -> None:
    of_ogx("chat/ffff.json", "b")
    assert "harness rekey" in run("import", "ogx", "ogx", "--into", "ogx", code=2)


def test_samples_of_ogx_come_in() -> None:
    samples = Path(__file__).parents[3] / "shared" / "recordings-sample" / "azure"
    if not samples.is_dir():
        pytest.skip("no recordings in ../shared: they are not part of the project")
    count = len(list(samples.glob("*.json")))
    assert f"Wrote {count} recordings to recordings/." in run("import", "ogx", str(samples))


def test_a_place_where_there_is_nothing_is_a_mistake() -> None:
    Path("empty").mkdir()
    assert "No cassette in empty: no file ends in .yaml" in run("import", "cassettes", "empty", code=2)
    assert "No recordings in empty." in run("import", "ogx", "empty", code=2)
