"""Recordings in an object store (moto's): two recorders, one replayer, the store stopped in the middle."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from harness.backends.journal import Outcome
from harness.errors import HarnessError, RecordingError, RecordingNotSent, SettingsError
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Bucket, Mode, Settings
from harness.stores.bucket import BucketClient, Conflict, Unreachable
from harness.stores.copies import COLUMNS, Copies
from harness.stores.directory import DirectoryStore
from harness.stores.facts import Facts
from harness.stores.objects import ObjectStore
from tests.object_store import ObjectStoreServer, object_store
from tests.scripted_upstream import http, scripted

pytest.importorskip("obstore", reason="no client of object stores: pip install 'harness[s3]'")
pytestmark = pytest.mark.slow

Open = Callable[..., ObjectStore]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreServer]:
    with object_store(monkeypatch) as running:
        yield running


@pytest.fixture
def opened(server: ObjectStoreServer, tmp_path: Path) -> Open:
    def open_store(cache: str = "cache", url: str = "", *, writes: bool = True, **options: float) -> ObjectStore:
        directory = tmp_path / cache
        copies = Copies(directory, Facts(tmp_path / f"{cache}.sqlite", COLUMNS))
        files = DirectoryStore(directory, Canonicalizer())
        client = BucketClient(url or server.url("team"))
        return ObjectStore(client, copies, files, writes=writes, listed_seconds=0.0, **options)  # type: ignore[arg-type]  # one option is a flag

    return open_store


def request(text: str) -> Request:
    return Request("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": text}]})


def saved(store: ObjectStore, text: str, answer: str = "yes", number: int = 1) -> str:
    name = key(request(text)) if number == 1 else f"{key(request(text))}-{number}"
    assert store.save(author(request(text), answer), name)
    return name


def said(store: ObjectStore, name: str) -> str:
    content = store.load(name).response.body["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


def test_what_one_saves_another_finds(opened: Open) -> None:
    mine, theirs = opened("mine"), opened("theirs")
    names = [saved(mine, "a", str(number), number) for number in (1, 2)]
    assert theirs.find(names[0]) == names
    assert theirs.beginning(names[0][:16]) == names
    assert [said(theirs, name) for name in names] == ["1", "2"]
    assert [entry.name for entry in theirs.entries()] == names
    assert theirs.count() == 2
    fingerprint = Canonicalizer().fingerprint(request("a"))
    assert [entry.name for entry in theirs.sharing(fingerprint)] == names
    assert theirs.find(key(request("b"))) == []
    before = theirs.stamp(names)
    assert theirs.stamp(names) == before
    saved(mine, "b")
    theirs.find(key(request("b")))
    assert theirs.stamp(names) != before


def test_what_another_process_of_the_run_has_written_is_not_older_than_the_run(opened: Open) -> None:
    """Whichever process opens the store later."""
    name, now = saved(opened("mine"), "a"), time.time_ns()
    minute = 60_000_000_000
    assert opened("next run", begun=now + minute).is_older(name)
    assert not opened("same run", begun=now - minute).is_older(name)
    replaced = opened("replaces it", begun=now + minute)
    assert replaced.save(author(request("a"), "no"), name)
    assert not replaced.is_older(name)


def test_of_two_recorders_the_second_is_told(opened: Open) -> None:
    first, second = opened("first"), opened("second")
    name = saved(first, "a", "one")
    with pytest.raises(RecordingError, match="someone else") as raised:
        second.save(author(request("a"), "another"), name)
    assert f"team/{name}.json" in raised.value.message
    assert "--mode record" in raised.value.hint
    assert said(opened("third"), name) == "one"
    # Told once more: it is still not what the run began with.
    with pytest.raises(RecordingError, match="someone else"):
        second.save(author(request("a"), "another"), name)
    # A run that begins now knows what it replaces.
    assert opened("second").save(author(request("a"), "another"), name)
    assert said(opened("third"), name) == "another"


def test_two_recorders_of_the_same_answer_agree(opened: Open) -> None:
    first, second = opened("first"), opened("second")
    name = saved(first, "a", "one")
    assert not second.save(author(request("a"), "one"), name)
    assert second.save(author(request("a"), "two"), name)


def test_what_says_the_same_stays(opened: Open) -> None:
    name = saved(opened(), "a", "one")
    assert not opened().save(author(request("a"), "one"), name)
    assert opened(keep_equal=False).save(author(request("a"), "one"), name)


def test_of_what_stays_the_upstreams_ids_may_be_renewed(opened: Open) -> None:
    name = saved(opened(), "a", "one")
    opened().renew(name, {"conv_1": "conv_theirs"})
    assert (said(opened("mine"), name), opened("mine").load(name).ids) == ("one", {"conv_1": "conv_theirs"})


def test_a_sequence_is_replaced_as_a_whole(opened: Open) -> None:
    first = opened()
    names = [saved(first, "a", str(number), number) for number in (1, 2, 3)]
    again = opened()
    saved(again, "a", "ONE")
    # Someone else has recorded the third meanwhile.
    saved(opened("theirs"), "a", "THREE", 3)
    assert again.trim(names[0], 1) == [names[1]]
    assert sorted(BucketClient(again.where).list()) == [names[0], names[2]]


def test_copies_stay_between_runs_and_follow_what_changes(opened: Open) -> None:
    name, other = saved(opened("mine"), "a", "old"), saved(opened("mine"), "b")
    assert said(opened("copies"), name) == "old"
    opened("copies").entries()
    saved(opened("mine"), "a", "new")
    opened("mine").remove(other)
    store = opened("copies")
    assert said(store, name) == "new"
    assert [entry.name for entry in store.entries()] == [name]
    with pytest.raises(RecordingError, match="there is none"):
        store.load(other)


def test_a_store_that_is_away_is_replayed_from_what_was_copied(opened: Open, server: ObjectStoreServer) -> None:
    copied, other = saved(opened("mine"), "a"), saved(opened("mine"), "b")
    running = opened("copies")
    assert said(running, copied) == "yes"
    running.entries()
    late = opened("late")
    server.stop()
    assert said(running, copied) == said(running, other) == "yes"
    with pytest.raises(RecordingError, match="has not been copied yet"):
        late.load(copied)
    begun = opened("copies")
    assert said(begun, copied) == "yes"
    assert len(begun.entries()) == 2
    assert "could not be reached" in begun.broken()[0]
    with pytest.raises(RecordingError, match="nothing of it has been copied"):
        opened("empty")


def test_what_could_not_be_sent_is_sent_by_the_next_run(opened: Open, server: ObjectStoreServer) -> None:
    name = saved(opened(), "a", "old")
    running = opened()
    server.stop()
    for text in ("a", "b"):
        with pytest.raises(RecordingNotSent, match="could not be written") as raised:
            running.save(author(request(text), "new"), key(request(text)))
        assert ".unsent" in raised.value.hint
    server.start()
    assert said(opened(writes=False), name) == "old"
    store = opened()
    assert [said(store, key(request(text))) for text in ("a", "b")] == ["new", "new"]
    assert said(opened("another"), name) == "new"
    assert opened().broken() == []


def test_what_was_not_sent_does_not_replace_what_is_newer(opened: Open, server: ObjectStoreServer) -> None:
    running = opened()
    server.stop()
    with pytest.raises(RecordingNotSent):
        running.save(author(request("a"), "mine"), key(request("a")))
    server.start()
    name = saved(opened("theirs"), "a", "theirs")
    [told] = opened().broken()
    assert "was not sent" in told
    assert said(opened(), name) == "theirs"


def test_a_recorder_that_is_killed_leaves_a_whole_object(opened: Open, tmp_path: Path) -> None:
    # Copies that were cut off, or changed by hand, are not what they were copied as.
    name = saved(opened("mine"), "a")
    assert said(opened("copies"), name) == "yes"
    opened("copies").entries()
    (tmp_path / "copies" / f"{name}.json").write_text("{")
    assert said(opened("copies"), name) == "yes"


def test_names_that_lead_out_of_the_copies_are_passed_over(opened: Open, server: ObjectStoreServer) -> None:
    client = BucketClient(server.url("team"))
    client.put("chat/x", b"{}", None)
    client.put(".hidden/x", b"{}", None)
    store = opened()
    assert store.count() == 1
    assert list(store.entries()) == []
    assert [line.split(" ")[0] for line in store.broken()] == ["chat/x.json"]


def test_folders_are_read_and_written_in_place(opened: Open) -> None:
    store, name = opened(), key(request("a"))
    store.save(author(request("a"), "old"), f"chat/{name}")
    again = opened()
    assert again.find(name) == [f"chat/{name}"]
    assert again.save(author(request("a"), "new"), name)
    assert again.count() == 1
    assert said(again, f"chat/{name}") == "new"


def test_a_bucket_that_is_not_there(opened: Open) -> None:
    with pytest.raises(HarnessError, match="s3://no-such-bucket") as raised:
        opened(url="s3://no-such-bucket/x")
    assert "bucket" in raised.value.hint


def test_conditions_hold_in_the_client_itself(server: ObjectStoreServer) -> None:
    client = BucketClient(server.url("raw"))
    etag = client.put("a", b"1", None)
    with pytest.raises(Conflict):
        client.put("a", b"2", None)
    with pytest.raises(Conflict):
        client.put("b", b"2", etag)
    newer = client.put("a", b"2", etag)
    assert not client.delete("a", etag)
    assert client.get("a") == (b"2", newer)
    assert client.delete("a", newer)
    assert client.get("a") is None
    server.stop()
    for _ in range(2):
        with pytest.raises(Unreachable):
            client.list()


def ask(server: ServerThread, text: str) -> str | None:
    with OpenAI(base_url=server.scoped("t"), api_key="harness", max_retries=0) as client:
        messages = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content  # type: ignore[arg-type]  # a message as JSON


def answer(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return http(json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode())


def test_servers_over_one_bucket(server: ObjectStoreServer, tmp_path: Path) -> None:
    place = Bucket(server.url("team"))

    def settings(mode: Mode, cache: str, upstream: str = "http://127.0.0.1:1/v1") -> Settings:
        return Settings(mode, place, upstream, cache=tmp_path / cache)

    with scripted(answer("one")) as one, scripted(answer("two")) as two:
        with (
            ServerThread(settings(Mode.RECORD, "first", one.url)) as first,
            ServerThread(settings(Mode.RECORD, "second", two.url)) as second,
            ServerThread(settings(Mode.REPLAY, "third")) as replayer,
        ):
            assert ask(first, "Hi") == "one"
            with pytest.raises(openai.InternalServerError, match="someone else"):
                ask(second, "Hi")
            with ServerThread(settings(Mode.REPLAY, "fourth")) as later:
                assert ask(later, "Hi") == "one"
                server.stop()
                assert ask(later, "Hi") == "one"
                with pytest.raises(openai.NotFoundError, match="No recording"):
                    ask(later, "Ho")
            with pytest.raises(openai.APIStatusError):
                ask(replayer, "Hi")
            # The store is away: the client has its answer, the failure is told, the answer is kept.
            assert ask(first, "Hello") == "one"
            assert [line.outcome for line in first.parts.journal.lines] == [Outcome.RECORDED, Outcome.FAILED]
            assert ".unsent" in str(first.parts.journal.lines[-1].error)
    server.start()
    with ServerThread(settings(Mode.RECORD, "first")):
        pass
    with ServerThread(settings(Mode.REPLAY, "fifth")) as replayer:
        assert [ask(replayer, text) for text in ("Hi", "Hello")] == ["one", "one"]


def test_profiles_are_known_where_boto3_is(
    server: ObjectStoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "not-" + "really"
    (tmp_path / "credentials").write_text(f"[team]\naws_access_key_id = none\naws_secret_access_key = {secret}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert BucketClient(server.url("team")).list() == {}


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(SettingsError, match="obstore") as raised:
        BucketClient("s3://bucket/prefix")
    assert "s3" in raised.value.hint
