"""Names of cassettes: as pytest-recording makes them, and read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.cassette_names import cassette_of, is_in, is_of, scope_in, scope_of

SANITIZED = "tests/test_a.py::TestX::test_y[a-b: 1.5]"


@pytest.mark.parametrize(
    ("scope", "cassette"),
    [
        ("test_a.py::test_y", "cassettes/test_a/test_y"),
        ("tests/unit/test_a.py::test_y[1.5]", "tests/unit/cassettes/test_a/test_y[1.5]"),
        ("tests/test_a.py::TestX::test_y", "tests/cassettes/test_a/TestX.test_y"),
        ("tests/test_a.py::TestX::test_y[a-b]", "tests/cassettes/test_a/TestX.test_y[a-b]"),
    ],
)
def test_names_go_there_and_back(scope: str, cassette: str) -> None:
    assert cassette_of(scope) == cassette
    assert scope_of(f"{cassette}.yaml") == scope


def test_nested_classes_are_named_by_the_innermost_one() -> None:
    assert cassette_of("t/test_a.py::TestO::TestI::test_y") == "t/cassettes/test_a/TestI.test_y"


def test_what_has_no_test_has_a_cassette_all_the_same() -> None:
    assert cassette_of(None) == "cassettes/shared"
    assert cassette_of("npm test: a/b") == "cassettes/npm test- a-b"
    assert cassette_of("tests/cassettes/test_y[1.5]") == "tests/cassettes/test_y[1.5]"
    assert cassette_of("../cassettes/test_y") == "cassettes/..-cassettes-test_y"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300))
def test_parameters_are_written_as_pytest_recording_writes_them(parameter: str) -> None:
    plugin = pytest.importorskip("pytest_recording.plugin")
    expected = plugin.get_default_cassette_name(None, f"test_y[{parameter}]")
    found = cassette_of(f"test_a.py::test_y[{parameter}]").removeprefix("cassettes/test_a/")

    assert found == expected or (len(expected) > 251 and found.startswith(expected[:200]) and "..." in found)
    assert is_of(f"test_a.py::{expected}", f"test_a.py::test_y[{parameter}]")


def test_a_scope_is_of_its_test_in_a_cassettes_spelling_too() -> None:
    assert is_of("tests/test_a.py::TestX::test_y[a-b- 1.5]", SANITIZED)
    assert is_of("tests/cassettes/TestX.test_y[a-b- 1.5]", SANITIZED)
    assert not is_of("tests/test_b.py::TestX::test_y[a-b- 1.5]", SANITIZED)
    assert not is_of(None, SANITIZED)


def test_tests_that_share_a_cassette_share_its_scope() -> None:
    assert scope_in("cassettes/test_a/test_y[a-b].yaml", "test_a.py::test_y[a/b]") == "test_a.py::test_y[a/b]"
    assert scope_in("cassettes/shared.yaml.gz", "test_a.py::test_y[a/b]") == "test_a.py::shared"
    assert scope_in("own/shared.yaml", "tests/test_a.py::test_y") == "tests/test_a.py::shared"
    assert scope_in("cassettes/shared.yaml", "a scope of the user's") == "a scope of the user's"


def test_in_one_folder_for_all_modules_a_cassette_belongs_to_whoever_names_it() -> None:
    scope, other = "tests/test_a.py::test_y", "tests/test_b.py::test_z"
    assert is_in(scope, "tests/cassettes/test_y.yaml", other)
    assert is_in(scope, "tests/cassettes/test_y.yaml", scope)
    assert not is_in(scope, "tests/cassettes/test_z.yaml", other)
    assert not is_in(scope, "tests/cassettes/test_b/test_y.yaml", other)
    assert not is_in(scope, "unit/cassettes/test_y.yaml", "unit/test_b.py::test_z")
    assert not is_in(None, "tests/cassettes/test_y.yaml", scope)


def test_in_a_layout_of_its_own_a_cassette_is_known_by_its_path() -> None:
    place, test = "tests/cassettes/test_y/gpt_4o/sync.yaml", "tests/test_a.py::test_y_sync[gpt-4o]"
    assert scope_in(place, test) == "tests/cassettes/test_y/gpt_4o/sync"
    assert is_in("tests/cassettes/test_y/gpt_4o/sync", place, test)
    assert not is_in("tests/cassettes/test_y/gemini/sync", place, test)
    # What an import took for the name of a module.
    assert is_in("tests/test_y.py::gpt_4o", "tests/cassettes/test_y/gpt_4o.yaml", test)
    assert is_in("tests/_vcr/test_y/gpt_4o", "tests/_vcr/test_y/gpt_4o.yaml", test)
    assert is_in(None, "cassettes/shared.yaml", test)
