"""A refresh of what an upstream keeps: later requests quote the ids that the new answers brought."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.refresh.recorded import refresh
from tests.server.test_ids_of_upstreams import Seen, conversation, run, streamed, twins
from tests.stateful_upstream import StatefulUpstream, stateful


def record_flow(folder: Path) -> None:
    """Two responses, the second on top of the first, which is then looked up; their upstream is gone afterwards."""
    with stateful() as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=folder, upstream=upstream.url, responses="upstream")
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="none") as api:
            first = api.responses.create(model="m", input="Hi")
            api.responses.create(model="m", input="Go on", previous_response_id=first.id)
            api.responses.retrieve(first.id)


def recordings(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def test_an_upstream_that_knows_nothing_of_the_recorded_ids_is_asked_by_its_own(tmp_path: Path) -> None:
    record_flow(tmp_path / "old")

    with stateful("Good morning") as upstream:
        done = refresh(upstream.url, tmp_path / "old", "--into", tmp_path / "new", "--jobs", "1")

    assert done.exit_code == 0, done.output
    old, new = recordings(tmp_path / "old"), recordings(tmp_path / "new")
    # The same requests, by normalized ids: the same names.
    assert old.keys() == new.keys()
    assert len(new) == 3
    assert all("Good morning" in json.dumps(recording["response"]) for recording in new.values())


@pytest.mark.parametrize("change", [[], ["--set", "temperature=0"]])
def test_a_refresh_that_goes_on_knows_the_ids_of_what_was_answered(
    tmp_path: Path, change: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_flow(tmp_path / "old")
    arguments: list[Path | str] = [tmp_path / "old", "--into", tmp_path / "new", "--retries", "0", *change]

    with stateful("Good morning") as upstream:
        respond = upstream.respond

        def break_down(body: dict[str, Any]) -> dict[str, Any]:
            if body.get("previous_response_id"):
                raise OSError("out of order")
            return respond(body)

        monkeypatch.setattr(upstream, "respond", break_down)
        assert refresh(upstream.url, *arguments).exit_code == 2
        monkeypatch.undo()
        count = len(asked(upstream))
        done = refresh(upstream.url, *arguments)

        assert done.exit_code == 0, done.output
        assert len(asked(upstream)) == count + 1
    assert len(recordings(tmp_path / "new")) == 3


def test_in_place_what_says_the_same_gets_the_ids_of_the_flow_that_is_new(tmp_path: Path) -> None:
    """The conversation is as it was, what was said in it is not."""
    with stateful() as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path / "old", upstream=upstream.url, responses="upstream")
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="none") as api:
            made = api.conversations.create()
            api.responses.create(model="m", input="Hi", conversation=made.id)
        upstream.says = "Good morning"
        done = refresh(upstream.url, tmp_path / "old", "--into", tmp_path / "old")

    assert done.exit_code == 0, done.output
    ids = [recording["id_normalization_mapping"] for recording in recordings(tmp_path / "old").values()]
    assert len(ids) == 2
    assert {one[made.id] for one in ids} == {[name for name in upstream.objects if name.startswith("conv_")][-1]}


@pytest.mark.parametrize("flow", [conversation, streamed, twins])
def test_what_is_made_and_looked_up_and_deleted_is_asked_in_that_order(
    tmp_path: Path, flow: Callable[[OpenAI], Seen]
) -> None:
    with stateful() as upstream:
        run(flow, tmp_path / "old", Mode.RECORD, upstream)
    with stateful("Good morning") as upstream:
        done = refresh(upstream.url, tmp_path / "old", "--into", tmp_path / "new", "--retries", "0", "--json")

    assert done.exit_code == 0, done.output
    assert recordings(tmp_path / "old").keys() == recordings(tmp_path / "new").keys()
    found = json.loads(done.stdout)
    assert found["summary"]["error"] == found["summary"]["structure"] == 0
    # What differs is what was said: no request, no page.
    assert not any(pair["request"] or "has_more" in json.dumps(pair) for pair in found["pairs"])


def test_what_a_failed_turn_still_needs_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(api: OpenAI) -> Seen:
        made = api.conversations.create()
        api.responses.create(model="m", input="Hi", conversation=made.id)
        return [api.conversations.delete(made.id)]

    def break_down(_: dict[str, Any]) -> dict[str, Any]:
        raise OSError("out of order")

    with stateful() as upstream:
        run(flow, tmp_path / "old", Mode.RECORD, upstream)
    with stateful("Good morning") as upstream:
        arguments: list[Path | str] = [tmp_path / "old", "--into", tmp_path / "new", "--retries", "0"]
        with monkeypatch.context() as broken:
            broken.setattr(upstream, "respond", break_down)
            first = refresh(upstream.url, *arguments)
        second = refresh(upstream.url, *arguments)

    assert (first.exit_code, second.exit_code) == (2, 0), second.output
    assert "it comes after" in first.stderr


def asked(upstream: StatefulUpstream) -> list[str]:
    """The responses that an upstream made."""
    return [name for name in upstream.objects if name.startswith("resp_")]
