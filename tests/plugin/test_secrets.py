"""A test suite that handles a secret: nothing of it is in what the plugin writes and prints."""

import base64
import json

import pytest

from tests.scripted_upstream import chunk, http, scripted, stream
from tests.secrets_for_tests import SECRETS

SECRET = SECRETS["openai project"]

TESTS = """
    import base64, os
    from urllib.parse import quote
    import httpx, pytest

    SECRET = os.environ["PLANTED"]
    BODY = {"model": f"m-{SECRET}", "messages": [{"role": "user", "content": f"It is {SECRET}"}]}

    @pytest.fixture
    def api(harness_base_url):
        with httpx.Client(base_url=harness_base_url, headers={"Authorization": "Bearer " + SECRET}) as client:
            yield client

    @pytest.mark.parametrize("asked", [
        lambda api: api.post("/chat/completions", json=BODY),
        lambda api: api.post("/chat/completions", json=BODY | {"stream": True}),
        lambda api: api.post("/files", data={"api_key": SECRET}, files={SECRET: (SECRET, b"x")}),
        lambda api: api.get(f"/files/{SECRET}/content", params={"api_key": SECRET, "b": quote(SECRET)}),
        lambda api: api.post("/refused", content=base64.b64encode(SECRET.encode())),
    ], ids=range(5))
    def test_it(api, asked):
        assert asked(api).status_code != 404
"""


def answers() -> list[bytes]:
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": SECRET}, "finish_reason": "stop"}]}
    pieces = [SECRET[at : at + 7] for at in range(0, len(SECRET), 7)]
    return [
        http(b"{}"),  # The key is proven.
        http(json.dumps(whole).encode(), headers=f"Set-Cookie: a={SECRET}\r\nx-request-id: {SECRET}\r\n"),
        stream(*map(chunk, pieces), chunk(finish="stop")),
        http(json.dumps({"id": SECRET}).encode()),
        http(b"\xff\x00" + SECRET.encode(), media="application/octet-stream"),
        http(json.dumps({"error": {"message": f"Incorrect: {SECRET}"}}).encode(), status=500),
    ]


def test_a_planted_secret_is_in_nothing_that_a_run_leaves(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_planted=TESTS)
    monkeypatch.setenv("PLANTED", SECRET)
    monkeypatch.setenv("HARNESS_CACHE", str(pytester.path / "cache"))
    printed = []
    reports = [f"--harness-report=run.{form}" for form in ("json", "md", "xml")]
    with scripted(*answers()) as upstream:
        monkeypatch.setenv("HARNESS_UPSTREAM", upstream.url)
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        recorded = pytester.runpytest("--harness-mode=record", "-rA", "--harness-report=recorded.json")
    recorded.assert_outcomes(passed=5)
    printed.append(recorded.stdout.str())
    # Whoever has no key misses the one that was not recorded.
    monkeypatch.delenv("OPENAI_API_KEY")
    for report, *options in zip(reports, ("", "--harness-strict", "--junitxml=junit.xml"), strict=True):
        run = pytester.runpytest("-rA", report, *filter(None, options))
        run.assert_outcomes(passed=4, failed=1)
        printed.append(run.stdout.str())

    files = {path: path.read_bytes() for path in pytester.path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert len([path for path in files if path.parent.name == "recordings"]) == 4
    texts = {"printed": "\n".join(printed).encode()} | {str(path): text for path, text in files.items()}
    for hidden in (SECRET[8:40].encode(), base64.b64encode(SECRET.encode())[8:40]):
        assert [place for place, text in texts.items() if hidden in text] == []
