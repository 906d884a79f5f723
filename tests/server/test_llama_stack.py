"""Clients of llama-stack, of before it was OGX."""

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
