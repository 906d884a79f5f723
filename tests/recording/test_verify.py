"""A look at one file: what a recorder has written is in order, whatever it is of."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.findings import File, Level
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import MULTIPART, Exchange, Response
from harness.recording.redact import BUILT_IN
from harness.recording.verify import Verifier
from tests.recording.test_http_exchange import exchanges

VERIFIER = Verifier("recordings")


@settings(max_examples=100, deadline=None)
@given(exchanges(), st.sampled_from([None, "whisper-1"]), st.sampled_from([False, True]))
def test_what_was_recorded_is_in_order(exchange: Exchange, model: str | None, is_failure: bool) -> None:
    body = exchange.request.body
    if model and MULTIPART in body:
        form = {MULTIPART: [*body[MULTIPART], {"name": "model", "value": model}]}
        exchange = replace(exchange, request=replace(exchange.request, body=form))
    if is_failure:
        exchange = replace(exchange, response=Response({"error": {"message": "Overloaded"}}, status=503))
    clean = BUILT_IN.exchange(exchange)
    checked = VERIFIER.check(File(f"{key(clean.request)}.json", dumps(to_document(clean))))
    assert [finding for finding in checked.findings if finding.level is Level.FINDING] == []
