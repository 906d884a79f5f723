"""Clients of OGX, and of llama-stack, which it was before."""

from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.server.test_responses import Recordings, say, serving


def test_openais_api_is_also_below_the_place_where_llama_stack_had_it(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    recordings.add(("user", "Hi"), answer="Hello")
    with serving(recordings) as server:
        for base_url in (f"{server.base_url}/openai/v1", f"{server.scoped('a test')}/openai/v1"):
            with OpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
                response = say(client, "Hi")
                assert client.responses.retrieve(response.id).output_text == "Hello"
                messages: Any = [{"role": "user", "content": "Hi"}]
                assert client.chat.completions.create(model="m", messages=messages, store=True).id
                assert client.chat.completions.list().data


def test_every_event_of_an_item_or_a_part_says_whose_it_is(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    recordings.add(("user", "Hi"), answer="Hello")
    with serving(recordings) as server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        events = list(say(client, "Hi", stream=True))
    told = [event for event in events if event.type.split(".")[1] in ("output_item", "content_part")]
    assert [event.response_id for event in told] == [events[0].response.id] * 4
