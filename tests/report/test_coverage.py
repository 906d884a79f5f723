"""Which recordings a run covers: those of tests that passed, and of tests that are gone."""

from harness.report.coverage import Coverage
from harness.report.run_log import Asked, RunLog


def test_a_test_that_an_import_named_as_its_cassette_does_is_not_gone() -> None:
    known = frozenset({"tests/test_a.py::TestX::test_y[a/b]"})
    whole = Coverage(frozenset(), known)

    assert not whole.covers("tests/test_a.py::TestX::test_y[a-b]", lambda _: True)
    assert whole.covers("tests/test_a.py::TestX::test_z", lambda _: True)


def test_of_a_scope_that_was_asked_live_nothing_is_known() -> None:
    asked = [
        Asked(outcome, scope, "/mcp/tools/list", "", "here") for outcome, scope in (("live", "a"), ("replayed", "b"))
    ]
    covered = Coverage(frozenset({"a", "b"})).without(RunLog("replay", lambda *_: "record", asked=asked).live())

    assert [covered.covers(scope, lambda _: True) for scope in ("a", "b")] == [False, True]
