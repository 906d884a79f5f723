"""Pages in a browser: those of this machine may ask and read the answers, others may not."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Request
from harness.running import ServerThread
from harness.settings import Settings
from harness.stores.directory import DirectoryStore

ASKED = Request("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
LOCAL = ["http://localhost:5173", "http://127.0.0.1", "http://[::1]:80", "https://app.localhost"]
OTHERS = ["https://example.com", "http://localhost.example.com", "http://[", "null"]
ALLOWED = "access-control-allow-origin"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory: Path = tmp_path_factory.mktemp("recordings")
    DirectoryStore(directory, Canonicalizer()).save(author(ASKED, "Hello"), key(ASKED))
    with ServerThread(Settings(recordings=directory)) as server, httpx.Client(base_url=server.base_url) as made:
        yield made


@pytest.mark.parametrize("origin", LOCAL)
def test_a_page_of_this_machine_may_ask_and_read_the_answer(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,x-stainless-lang"
    asked = client.options("/responses", headers=headers)
    assert asked.status_code == 204
    assert asked.headers[ALLOWED] == origin
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert asked.headers["access-control-allow-headers"] == headers["Access-Control-Request-Headers"]

    # The second is answered by its connection, and an error is read as well.
    answers = [client.post("/chat/completions", json=ASKED.body, headers={"Origin": origin}) for _ in range(2)]
    answers.append(client.get("/responses/resp_0", headers={"Origin": origin}))
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    for answer in answers:
        assert (answer.headers[ALLOWED], answer.headers["vary"]) == (origin, "Origin")
        assert answer.headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize("origin", OTHERS)
def test_a_page_of_anybody_elses_may_not(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert client.options("/responses", headers=headers).status_code == 405
    assert ALLOWED not in client.post("/chat/completions", json=ASKED.body, headers={"Origin": origin}).headers


def test_what_is_no_page_hears_nothing_of_it(client: httpx.Client) -> None:
    answer = client.post("/chat/completions", json=ASKED.body)
    assert ALLOWED not in answer.headers
    assert "vary" not in answer.headers
