"""Secrets go, in every spelling, and nothing else does."""

import base64
import gzip
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording import format as file_format
from harness.recording.chunks import aggregate, split
from harness.recording.key import key
from harness.recording.model import Exchange, Request, Response
from harness.recording.redact import BUILT_IN, PLACEHOLDER, Redactor, redact, secrets_of
from harness.recording.secret_patterns import secret_shape
from tests.secrets_for_tests import IN_CONTEXT, PRIVATE_KEY, SECRETS

LAW = settings(deadline=None)
KEY = SECRETS["openai project"]

keys = st.text("abcXYZ019_-", min_size=20, max_size=40).map("sk-0{}".format)
tokens = st.text("abcXYZ019._~+/-", min_size=20, max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc -", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=4), inner, max_size=3),
    max_leaves=6,
)
bits = st.sampled_from([*SECRETS.values(), *(text.format(word) for text, word in IN_CONTEXT.values()), PLACEHOLDER])
texts = st.lists(
    st.text(max_size=6) | st.sampled_from([" ", '"', "\\n", "%20", "=", "Bearer ", "sk-"]) | bits, max_size=6
)


@LAW
@given(keys, tokens)
def test_keys_go_wherever_they_stand(secret: str, token: str) -> None:
    value = {"messages": [{"content": f"use {secret}, please"}], secret: [f"Authorization: Bearer {token}"], "n": 1}

    redacted = redact(value)

    assert redacted == {
        "messages": [{"content": f"use {PLACEHOLDER}, please"}],
        PLACEHOLDER: [f"Authorization: Bearer {PLACEHOLDER}"],
        "n": 1,
    }
    assert redact(redacted) is redacted


@pytest.mark.parametrize("secret", [*SECRETS.values(), PRIVATE_KEY], ids=[*SECRETS, "private key"])
def test_every_shape_goes_in_every_spelling(secret: str) -> None:
    in_base64 = base64.b64encode(f"the key is {secret} !".encode()).decode()
    spellings = [
        f"before {secret} after",
        f"({secret})",
        json.dumps({"a": f"line\n{secret}\nline"}),
        json.dumps(json.dumps({"a": f"\n{secret}"})),
        f"https://x.example/v1?q=a%20{quote(secret, safe='')}&n=1",
        in_base64,
        f"data:text/plain;base64,{in_base64}",
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ]

    for text in spellings:
        redacted = redact({"a": [text]})["a"][0]
        assert secret[8:30] not in redacted, text
        assert PLACEHOLDER in redacted, text
        assert redact(redacted) is redacted
        for shift in range(3):
            assert base64.b64encode(b"x" * shift + secret.encode())[4:24].decode() not in redacted, text


@pytest.mark.parametrize(("text", "secret"), IN_CONTEXT.values(), ids=IN_CONTEXT)
def test_what_stands_behind_a_telling_word_goes_and_the_word_stays(text: str, secret: str) -> None:
    assert redact(text.format(secret)) == text.format(PLACEHOLDER)


@LAW
@given(texts, st.lists(st.text("abcd[]", min_size=8, max_size=10), max_size=2))
def test_redacting_is_done_once_and_for_all_however_the_text_is_written(pieces: list[str], known: list[str]) -> None:
    text = "".join(pieces)
    value = {"a": [text], "b": text}

    redacted = redact(value, known)

    assert redact(redacted, known) is redacted
    assert json.loads(json.dumps(redacted)) == redact(json.loads(json.dumps(value)), known) == redacted


@LAW
@given(values)
def test_a_value_without_secrets_comes_back_as_it_is(value: Any) -> None:
    before = json.dumps(value)

    assert redact(value, ["upstream-key-1"]) is value
    assert json.dumps(value) == before


@LAW
@given(st.lists(st.text("abcd", min_size=8, max_size=16), min_size=1, max_size=3))
def test_known_secrets_go_whatever_they_look_like(known: list[str]) -> None:
    text = json.dumps(redact({"a": [f"<{secret}>" for secret in known]}, known))

    assert json.loads(text) == {"a": [f"<{PLACEHOLDER}>"] * len(known)}


def test_a_known_secret_goes_in_every_spelling() -> None:
    secret = 'pass/word+"1"='
    spelled = [
        secret,
        quote(secret, safe=""),
        json.dumps(secret),
        base64.b64encode(b"user:" + secret.encode()).decode(),
    ]

    redacted = redact(spelled, [secret])

    assert redacted == [PLACEHOLDER, PLACEHOLDER, f'"{PLACEHOLDER}"', PLACEHOLDER]
    assert redact(secret.encode().hex(), [secret]) == PLACEHOLDER
    assert redact(b"\xff a key \xfe".decode("utf-8", "surrogateescape"), ["\udcff a key \udcfe"]) == PLACEHOLDER


def test_a_known_secret_that_is_part_of_another_leaves_no_rest_of_it() -> None:
    assert redact("the key: abcdefgh-and-more", ["abcdefgh", "abcdefgh-and-more"]) == f"the key: {PLACEHOLDER}"


def test_the_value_that_is_given_is_not_changed() -> None:
    value = {"a": ["Bearer 0123456789abcdefghij"]}

    redact(value)

    assert value == {"a": ["Bearer 0123456789abcdefghij"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-short",
        "a risk-averse-and-task-oriented-approach",
        "Bearer of bad news",
        "bearer internationalization-and-localization",
        "the bearer 0123",
        "Bearer [redacted]",
        "password: hunter2",
        "org-internationalization and proj_internationalization",
        "Cookie: a small, sweet cake",
        "authorization: required",
        '{"api_key": "your-api-key-here", "cookie": "sweet"}',
        "Basic internationalization",
        "A PRIVATE KEY is private. -----BEGIN CERTIFICATE-----",
        "https://user@example.com/a?key=value&sig=yes",
        "http://localhost:8080/a@b",
        "Call me at 123456789:Aardvark",
        "hf_hub_download, xai-explainability, gsk_, r8_, npm_config_registry, fw_update",
        base64.b64encode(b"The quick brown fox jumps over the lazy dog" * 3).decode(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "100%25 of %20%7B%7D",
        "sk-toggleable__label-arrow and sk-learn-is-a-nice-library-name",
        "a Bearer token-based-authentication-scheme",
        "api_key=os.environ['OPENAI_API_KEY2'], api_key=settings.openai2.the_key(), api_key: str",
        "OPENAI_API_KEY=your-api-key-goes-here OPENAI_API_KEY=sk-... Authorization: Bearer $OPENAI_API_KEY",
        "postgres://user:password@localhost/db, postgresql://USER:PASSWORD@HOST/db, redis://:your-password@h",
        "https://x.example/?key=projects/demo/2024-01-01/docs",
        "hf_hubdownloadwithextraargumentsinpython",
        '{"authorization": "required by law"}',
        "risk-assessment-and-management-2024, task-1234567890123456789012",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, ["", "short"]) == text


def test_no_real_recording_is_changed_nor_its_key(samples: list[Path]) -> None:
    for file in samples:
        exchange = file_format.to_exchange(file_format.loads(file.read_text("utf-8")))
        assert BUILT_IN.exchange(exchange) == exchange, file
        assert key(exchange.request) == key(exchange.request, Redactor(fields=frozenset({"never"})))


def streamed(text: str, **choice: Any) -> Exchange:
    """An exchange whose answer spells out ``text``, a few letters at a time."""
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}, **choice}]} for piece in pieces]
    return Exchange(Request("POST", "/v1/chat/completions", {}), Response(chunks, is_streaming=True))


@LAW
@given(st.sampled_from(sorted(SECRETS.values())), st.integers(1, 7), st.text("ab .", max_size=9))
def test_a_stream_that_spells_out_a_secret_keeps_no_piece_of_it(secret: str, size: int, before: str) -> None:
    text = f"{before} {secret} and on"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    events = [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": p} for p in pieces]
    lines = [f"data: {json.dumps({'type': 'content_block_delta', 'index': 0, 'delta': {'text': p}})}" for p in pieces]

    for body in (chunks, events, lines):
        exchange = Exchange(Request("POST", "/v1/x", {}), Response(body, is_streaming=True))
        redacted = BUILT_IN.exchange(exchange).response.body
        assert len(redacted) == len(body)
        if body is chunks:
            said = aggregate(redacted)["choices"][0]["message"]["content"]
            assert said == f"{before} {PLACEHOLDER} and on"
        assert PLACEHOLDER in json.dumps(redacted)
        assert not [
            piece for piece in pieces[len(before) // size + 1 : -3] if len(piece) > 4 and piece in json.dumps(redacted)
        ]


def test_arguments_of_a_call_that_spell_out_a_secret_are_redacted_across_chunks() -> None:
    whole = {
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": json.dumps({"k": KEY})},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ]
    }  # fmt: skip
    chunks = split(whole)
    cut = []
    for chunk in chunks:
        for call in chunk["choices"][0]["delta"].get("tool_calls") or [None]:
            arguments = call["function"].get("arguments", "") if call else ""
            if not arguments:
                cut.append(chunk)
            for at in range(0, len(arguments), 7):
                piece = {**call, "function": {**call["function"], "arguments": arguments[at : at + 7]}}
                cut.append({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]})

    redacted = BUILT_IN.exchange(Exchange(Request("POST", "/v1/x", {}), Response(cut, is_streaming=True))).response.body

    [call] = aggregate(redacted)["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"k": PLACEHOLDER}


def test_log_probabilities_do_not_spell_out_what_the_text_no_longer_says() -> None:
    tokens = [{"token": KEY[at : at + 4], "bytes": [*KEY[at : at + 4].encode()]} for at in range(0, len(KEY), 4)]
    message = {"role": "assistant", "content": KEY}
    whole = {
        "choices": [
            {"index": 0, "message": message, "logprobs": {"content": tokens}},
            {"index": 1, "logprobs": {"content": []}},
        ]
    }

    redacted = redact(whole)

    assert redacted["choices"][0] == {"index": 0, "message": {**message, "content": PLACEHOLDER}, "logprobs": None}
    assert redacted["choices"][1] == whole["choices"][1]
    answer = BUILT_IN.exchange(streamed(KEY, logprobs={"content": tokens})).response.body
    assert {chunk["choices"][0]["logprobs"] for chunk in answer} == {None}


def test_binary_bodies_stay_binary() -> None:
    data = b"\x00\xff the key: " + KEY.encode() + b"\x00"
    body = {"__binary__": {"media_type": "application/x", "base64": base64.b64encode(data).decode()}}

    redacted = redact(body)

    assert base64.b64decode(redacted["__binary__"]["base64"]) == b"\x00\xff the key: [redacted]\x00"
    assert redact(redacted) is redacted


def test_fields_with_the_names_of_keys_lose_what_looks_like_one() -> None:
    token = "0123456789abcdef" * 2
    names = ("api_key", "apiKey", "X-API-Key", "GROQ_API_KEY", "accessToken", "client_secret", "Authorization")

    assert redact(dict.fromkeys(names, token)) == dict.fromkeys(names, PLACEHOLDER)
    assert redact({"Set-Cookie": "session=abcdefgh"}) == {"Set-Cookie": PLACEHOLDER}
    words = {"api_key": "your-api-key", "cookie": "chocolate chip", "authorization": "required by law", "key": token}
    assert redact(words) is words


def test_fields_of_a_form_go_by_their_names_too() -> None:
    form = {"__multipart__": [{"name": "ssn", "value": "1-2"}, {"name": "a", "value": "1-2"}, {"name": "f", "size": 1}]}

    redacted = Redactor(fields=frozenset({"ssn"})).redact(form)

    assert redacted == {"__multipart__": [{"name": "ssn", "value": PLACEHOLDER}, *form["__multipart__"][1:]]}
    assert Redactor(fields=frozenset({"other"})).redact(form) is form


def test_a_packed_body_is_looked_into_and_stays_packed() -> None:
    def body(data: bytes) -> dict[str, Any]:
        return {"__binary__": {"media_type": "application/gzip", "base64": base64.b64encode(data).decode()}}

    redacted = redact(body(gzip.compress(f"the key: {KEY}\n".encode())))

    assert gzip.decompress(base64.b64decode(redacted["__binary__"]["base64"])) == b"the key: [redacted]\n"
    assert redact(redacted) is redacted
    for data in (gzip.compress(b"no key"), gzip.compress(KEY.encode())[:-9], b"\x1f\x8b\x08 no gzip at all"):
        value = body(data)
        assert redact(value) is value


def test_a_secret_among_bytes_goes_whatever_stands_around_it() -> None:
    for data in (b"\xff\x00" + KEY.encode() + b"\xfe", f"ключ: {KEY}.".encode(), b"\0" * 99 + KEY.encode()):
        value = {"__binary__": {"media_type": "x", "base64": base64.b64encode(data).decode()}}
        left = base64.b64decode(redact(value)["__binary__"]["base64"])
        assert left == data.replace(KEY.encode(), PLACEHOLDER.encode())


@pytest.mark.parametrize(
    "text",
    ["50% of " + "x" * 300_000, "\0" * 300_000 + "%zz", "bearer+" * 3000, "sk-" * 3000 + "%2", "a%41" * 100_000,
     f"{KEY} " * 3000],
    ids=["run", "zeros", "bearers", "prefixes", "escapes", "many"],
)  # fmt: skip
def test_long_texts_take_no_longer_for_what_is_in_them(text: str) -> None:
    begun = time.process_time()
    redact(text)
    redact({"__binary__": {"media_type": "x", "base64": base64.b64encode(text.encode()).decode()}})

    # Each took minutes where the time grew with the square of the length.
    assert time.process_time() - begun < 15


def test_ids_are_redacted() -> None:
    exchange = Exchange(Request("POST", "/v1/x", {}), Response({}), ids={"resp_1": f"resp_{KEY}"})

    assert BUILT_IN.exchange(exchange).ids == {"resp_1": f"resp_{PLACEHOLDER}"}


def test_path_scope_and_metadata_are_redacted_and_the_key_is_that_of_what_is_written() -> None:
    request = Request("POST", f"/v1/files/{KEY}", {"a": KEY}, f"test_x[{KEY}]")
    exchange = Exchange(request, Response({}), metadata={"k": KEY}, provider=f"https://me:{KEY}@x.example")

    redacted = BUILT_IN.exchange(exchange)

    assert KEY not in repr(redacted)
    assert key(redacted.request) == key(request)


def test_a_path_stays_one() -> None:
    hidden = base64.b64encode(KEY.encode()).decode()
    request = Request("GET", f"/v1/files/{quote(hidden, safe='')}/{hidden}/content", {}, query=f"a={hidden}")

    clean = BUILT_IN.request(request)

    first, *_, last = clean.path.split("/")
    assert (first, last) == ("", "content")
    assert clean.path.startswith("/v1/files/[redacted]/")
    assert hidden[8:30] not in clean.path + clean.query


def test_what_the_user_adds_is_secret_too() -> None:
    redactor = Redactor((secret_shape(r"ACME-(?P<secret>\d{4})"),), frozenset({"ssn", "x-tenant"}), ("blue-horse",))

    redacted = redactor.redact(
        {"SSN": 123, "list": {"ssn": ["1-2", None]}, "properties": {"ssn": {"type": "string"}},
         "args": '{"ssn": "1-2", "ok": "1-2"}', "url": "/a?ssn=1-2&b=1-2", "t": "ACME-1234",
         "h": "X-Tenant: a\nblue-horse"}
    )  # fmt: skip

    assert redacted == {
        "SSN": PLACEHOLDER, "list": {"ssn": [PLACEHOLDER, None]}, "properties": {"ssn": {"type": "string"}},
        "args": f'{{"ssn": "{PLACEHOLDER}", "ok": "1-2"}}', "url": f"/a?ssn={PLACEHOLDER}&b=1-2",
        "t": f"ACME-{PLACEHOLDER}", "h": f"X-Tenant: {PLACEHOLDER}\n{PLACEHOLDER}",
    }  # fmt: skip
    assert redactor.redact(redacted) is redacted


def test_what_a_requests_headers_give_away() -> None:
    headers = {"authorization": "Bearer abc", "x-api-key": "k", "openai-organization": "o", "accept": "text/plain"}

    assert secrets_of(headers) == ["abc", "k", "o"]


def test_what_an_upstream_calls_something_is_written_down_without_secrets() -> None:
    exchange = Exchange(Request("GET", "/v1/x", {}), Response({}), ids={"run_1": "the-key-itself", "run_2": "run_b"})

    assert Redactor().exchange(exchange, ["the-key-itself"]).ids == {"run_1": "[redacted]", "run_2": "run_b"}


NAMES = st.sampled_from(["a", "api_key", "X-Api-Key", "session", "__binary__", "__multipart__", "content", KEY])
LEAVES = (
    st.none()
    | st.integers()
    | bits
    | st.text("ab1 .", max_size=9)
    | st.just("session words")
    | st.just({"base64": "c2stYQ=="})
)
NAMED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


@settings(LAW, max_examples=100)
@given(
    st.dictionaries(NAMES, NAMED, min_size=1, max_size=3),
    st.lists(st.sampled_from(["upstream-key-1", "ab1 ab1 a"]), max_size=1),
)
def test_the_quick_look_overlooks_nothing(value: Any, known: list[str]) -> None:
    quick = Redactor((secret_shape("ab1"),), frozenset({"session"}))
    thorough = Redactor((secret_shape("ab1"),), frozenset({"session"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Redactor, "_is_clean", lambda *_: False)
        expected = thorough.redact(value, known)
    assert quick.redact(value, known) == expected
