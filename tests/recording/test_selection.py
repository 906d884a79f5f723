"""Which recordings the words of a user take."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.selecting import selected
from harness.recording.model import Exchange, Request, Response
from harness.recording.selection import Selection

KEY = "3fa9" + "0" * 60
SCOPE = "tests/test_weather.py::TestRome::test_rain[gpt-4o-a]"


def exchange(scope: str | None = SCOPE, model: str = "groq/llama-3", path: str = "/v1/chat/completions") -> Exchange:
    return Exchange(Request("POST", path, {"model": model}, scope), Response({}))


@pytest.mark.parametrize(
    ("word", "takes"),
    [
        (SCOPE, True),
        ("tests", True),
        ("tests/", True),
        ("tests/test_weather.py", True),
        ("tests/test_weather.py::TestRome", True),
        ("tests/test_weather.py::TestRome::test_rain", True),
        ("*::test_rain*", True),
        ("*[gpt-4o-?]", True),
        ("tests/test_weather.py::TestRome::test_rai", False),
        ("tests/test_weather", False),
        ("test_rain", False),
        ("*[xgpt]*", False),
        ("shared", False),
    ],
)
def test_tests_are_taken_by_their_node_ids_what_these_begin_with_or_a_pattern(word: str, takes: bool) -> None:
    assert Selection(tests=[word]).takes(KEY, exchange()) is takes


def test_those_of_no_test_are_shared() -> None:
    assert Selection(tests=["shared"]).takes(KEY, exchange(scope=None))
    assert not Selection(tests=["*"]).takes(KEY, exchange(scope=None))


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(models=["llama-3"]), True),
        (Selection(models=["groq/llama-*"]), True),
        (Selection(models=["groq"]), False),
        (Selection(models=["llama"]), False),
        (Selection(endpoints=["chat"]), True),
        (Selection(endpoints=["chat/completions", "embeddings"]), True),
        (Selection(endpoints=["/v1/chat/completions"]), True),
        (Selection(endpoints=["completions"]), False),
        (Selection(models=["llama-3"], endpoints=["embeddings"]), False),
    ],
)
def test_every_kind_of_word_must_fit(selection: Selection, takes: bool) -> None:
    assert selection.takes(KEY, exchange()) is takes


@pytest.mark.parametrize(
    ("word", "taken"),
    [
        ("3fa9", [KEY, f"{KEY}-2", f"{KEY}-20", f"chat/{KEY}"]),
        (KEY, [KEY, f"{KEY}-2", f"{KEY}-20", f"chat/{KEY}"]),
        (f"{KEY}-2", [f"{KEY}-2"]),
        (f"{KEY}.json", [KEY, f"chat/{KEY}"]),
        (f"chat/{KEY}.json", [f"chat/{KEY}"]),
        ("ffff", []),
    ],
)
def test_a_key_takes_its_sequence_and_a_file_itself_alone(word: str, taken: list[str]) -> None:
    names = [KEY, f"{KEY}-2", f"{KEY}-20", f"chat/{KEY}"]

    assert [name for name in names if Selection(keys=[word]).takes(name, exchange())] == taken


WORDS = st.text(alphabet="ab/:*[]", min_size=1, max_size=6)


@given(st.lists(WORDS, max_size=3), st.one_of(st.none(), WORDS), WORDS)
def test_another_word_of_a_kind_never_takes_less_and_no_words_take_everything(
    tests: list[str], scope: str | None, more: str
) -> None:
    one = exchange(scope=scope)

    assert Selection().takes(KEY, one)
    if tests and Selection(tests=tests).takes(KEY, one):
        assert Selection(tests=[*tests, more]).takes(KEY, one)
    if scope is not None:
        assert Selection(tests=[scope]).takes(KEY, one)
        assert replace(Selection(), tests=["*"]).takes(KEY, one)


def test_what_stands_on_a_command_line_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.json").write_text("{}")

    found = selected([str(tmp_path / f"{KEY}.json"), "3fa9", f"{KEY}-2", "tests/test_a.py::test_b"], ["*rome"], ["m"])

    assert found.places == (tmp_path,)
    assert found.selection == Selection(
        ("tests/test_a.py::test_b", "*rome"), ("m",), (), (f"{KEY}.json", "3fa9", f"{KEY}-2")
    )
    assert selected([str(tmp_path)]).places == (tmp_path,)
