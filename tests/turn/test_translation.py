"""The law of the translation: what is accepted is a chat completion's request, and no word of it is lost on the way.

Requests are made up of every kind of item and part and of every parameter; each text in them is unlike all others, so
that it can be found again.
"""

import json
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from harness.api.create_response import parse_create
from harness.api.items import parse_input
from harness.turn.ids import Ids
from harness.turn.question import chat_body
from tests.server.conformance import needs_descriptions
from tests.turn.chat_request import check_chat_request

T = TypeVar("T")
Object: TypeAlias = dict[str, Any]
Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]

ALWAYS = {"model", "messages", "stream", "stream_options"}
ODD = st.text(alphabet='aü🌧 "\\\n\u2028', max_size=3)
UNTOLD = [
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
    {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
    {"type": "image_generation_call", "result": "AAAA"},
    {"type": "mcp_list_tools", "server_label": "s", "tools": []},
]
"""Items that have no place in a chat completion."""


class Made:
    """A request while it is made. ``words`` are the texts in it that the model has to be told."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.words: list[str] = []
        self._calls = 0

    def word(self) -> str:
        self.words.append(f"{self.draw(ODD)}<{len(self.words)}>")
        return self.words[-1]

    def name(self) -> str:
        self.words.append(f"n{len(self.words)}_")
        return self.words[-1]

    def one_of(self, *choices: Callable[[], T]) -> T:
        chosen: Callable[[], T] = self.draw(st.sampled_from(choices))
        return chosen()

    def several(self, made: Callable[[], Any], least: int = 0, most: int = 3) -> list[Any]:
        return [made() for _ in range(self.draw(st.integers(least, most)))]

    def text(self, kind: str = "input_text") -> Object:
        return {"type": kind, "text": self.word()}

    def part(self) -> Object:
        detail = self.draw(st.sampled_from([{}, *({"detail": value} for value in ("low", "original", None))]))
        return self.one_of(
            self.text,
            lambda: {"type": "input_image", "image_url": f"https://x/{self.name()}", **detail},
            lambda: {"type": "input_file", "file_data": f"data:,{self.name()}", "filename": self.word()},
            lambda: {"type": "input_file", "file_id": self.name(), "file_url": None},
            lambda: {"type": "input_audio", "input_audio": {"data": self.name(), "format": "wav"}},
        )

    def message(self) -> list[Object]:
        role = self.draw(st.sampled_from(["user", "system", "developer"]))
        part = self.part if role == "user" else self.text
        return [{"role": role, "content": self.one_of(self.word, lambda: self.several(part, 1))}]

    def answer(self) -> list[Object]:
        content = self.one_of(self.word, lambda: self.several(self.answered, 2))
        message = {"type": "message", "role": "assistant", "content": content}
        return [message | self.draw(st.sampled_from([{}, {"id": None, "status": None}, {"status": "completed"}]))]

    def answered(self) -> Object:
        return self.one_of(lambda: self.text("output_text"), lambda: {"type": "refusal", "refusal": self.word()})

    def calls(self) -> list[Object]:
        """Calls that one answer made, and their outputs, in any order and with anything between them."""
        made = self.several(self.call, 1)
        outputs: list[Object] = self.draw(st.permutations([output for _, output in made]))
        between = self.one_of(list[Object], self.answer, self.untold, self.message)
        return [*(call for call, _ in made), *between, *outputs]

    def call(self) -> tuple[Object, Object]:
        self._calls += 1
        kind, field = self.draw(st.sampled_from([("function_call", "arguments"), ("custom_tool_call", "input")]))
        call_id = f"call_{self._calls}"
        output = self.one_of(self.word, lambda: self.several(self.part, 1))
        return (
            {"type": kind, "call_id": call_id, "name": self.name(), field: json.dumps({"a": self.name()})},
            {"type": f"{kind}_output", "call_id": call_id, "output": output},
        )

    def remote_call(self) -> list[Object]:
        item = {"type": "mcp_call", "server_label": "s", "name": self.name(), "arguments": self.word()}
        return [item | self.one_of(lambda: {"output": self.word()}, lambda: {"error": {"message": self.word()}})]

    def untold(self) -> list[Object]:
        return [self.draw(st.sampled_from(UNTOLD))]

    def block(self) -> list[Object]:
        return self.one_of(self.message, self.answer, self.calls, self.remote_call, self.untold)

    def items(self) -> list[Object]:
        return [item for block in [self.message(), *self.several(self.block, 3, 6)] for item in block]

    def schema(self) -> Object:
        return {"type": "object", "properties": {self.name(): {"enum": [self.word()]}}, "additionalProperties": False}

    def function(self) -> Object:
        more = {"strict": True, "defer_loading": False, "allowed_callers": ["direct"], "async": False}
        tool = {"type": "function", "name": self.name(), "parameters": self.schema()}
        described = self.one_of(dict[str, Any], lambda: {"description": self.word()}, lambda: {"description": None})
        marks: Object = self.draw(st.sampled_from([{}, more, dict.fromkeys(more)]))
        return tool | described | marks

    def custom(self) -> Object:
        taken = self.one_of(lambda: None, lambda: {"type": "text"}, self.grammar)
        return {"type": "custom", "name": self.name(), "description": self.word(), "format": taken}

    def grammar(self) -> Object:
        return {"type": "grammar", "syntax": "lark", "definition": self.word()}

    def tools(self) -> Object:
        tools = self.several(lambda: self.one_of(self.function, self.custom))
        asked = {"tools": tools, "parallel_tool_calls": self.draw(st.sampled_from([True, False, None]))}
        named = [{"type": tool["type"], "name": tool["name"]} for tool in tools]
        choices: list[Any] = [None, "none", "auto"]
        if named:
            allowed = {"type": "allowed_tools", "mode": "required", "tools": named}
            choices += ["required", named[0], allowed, allowed | {"mode": "auto"}]
        return asked | {"tool_choice": self.draw(st.sampled_from(choices))}

    def text_options(self) -> Object:
        return {"format": self.one_of(lambda: {"type": "text"}, lambda: {"type": "json_object"}, self.wire_format)}

    def wire_format(self) -> Object:
        named = {"name": self.name(), "description": self.word(), "strict": True}
        return {"type": "json_schema", "schema": self.schema(), **named}

    def parameters(self) -> Object:
        given = {name: self.draw(values) for name, values in PARAMETERS.items() if self.draw(st.booleans())}
        if self.draw(st.booleans()):
            given["instructions"] = self.word()
        return given | self.one_of(dict, self.tools, lambda: {"text": self.text_options()})


PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0, 0.5, 2]),
    "top_p": st.sampled_from([0, 0.5, 1]),
    "presence_penalty": st.sampled_from([-2, 0.5]),
    "frequency_penalty": st.sampled_from([-2, 0.5]),
    "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
    "prompt_cache_key": st.just("k"),
    "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
    "prompt_cache_options": st.sampled_from([{}, {"mode": "explicit", "ttl": "30m", "prewarm": False}]),
    "safety_identifier": st.just("s"),
    "user": st.just("u"),
    "max_output_tokens": st.integers(16, 10**6),
    "reasoning": st.sampled_from([{"effort": "none"}, {"effort": "xhigh", "summary": "auto"}]),
    "top_logprobs": st.integers(1, 20),
    "include": st.sampled_from([["message.output_text.logprobs"], ["message.output_text.logprobs"] * 2]),
    "metadata": st.just({"a": "b"}),
    "store": st.booleans(),
    "truncation": st.sampled_from(["auto", "disabled"]),
    "max_tool_calls": st.integers(1, 9),
}
IN_CHAT = {
    "max_output_tokens": ("max_completion_tokens",),
    "reasoning": ("reasoning_effort",),
    "top_logprobs": ("logprobs", "top_logprobs"),
    "include": ("logprobs",),
    "instructions": (),
    "metadata": (),
    "store": (),
    "truncation": (),
    "max_tool_calls": (),
}
"""What a chat completion calls a parameter that it calls otherwise; nothing for what is served here."""


def expected_keys(asked: Object) -> set[str]:
    """The keys of a chat completion that is asked for this."""
    given = {name for name, value in asked.items() if value is not None} - {"model", "input"}
    tools = {"tools", "parallel_tool_calls", "tool_choice"}
    if not asked.get("tools"):
        given -= tools
    keys = {key for name in given for key in IN_CHAT.get(name, (name,))} - {"text"}
    is_formatted = asked.get("text", {}).get("format", {"type": "text"})["type"] != "text"
    return ALWAYS | keys | ({"response_format"} if is_formatted else set())


@st.composite
def requests(draw: Draw) -> tuple[Object, list[str]]:
    """A request, and the words in it that the model has to be told."""
    made = Made(draw)
    asked = {"model": "m", "input": made.one_of(made.word, made.items), **made.parameters()}
    return asked, made.words


def texts(value: Any) -> list[str]:
    """Every text in a value, keys included."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@needs_descriptions
@given(requests())
def test_what_is_accepted_is_a_chat_completions_request_and_loses_no_word(made: tuple[Object, list[str]]) -> None:
    asked, words = made
    wanted = parse_create(asked)
    given_input = [{"role": "user", "content": asked["input"]}] if isinstance(asked["input"], str) else asked["input"]

    body = chat_body(wanted, parse_input(given_input, Ids("seed").new))

    check_chat_request(body)
    assert body.keys() == expected_keys(asked)
    said = "\n\n".join(texts(body))
    lost = [word for word in words if word not in said]
    assert not lost, lost
