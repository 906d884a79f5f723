"""Which recordings a run covers: those of tests that passed, and of tests that are gone."""

from harness.report.coverage import Coverage


def test_a_test_that_an_import_named_as_its_cassette_does_is_not_gone() -> None:
    known = frozenset({"tests/test_a.py::TestX::test_y[a/b]"})
    whole = Coverage(frozenset(), known)

    assert not whole.covers("tests/test_a.py::TestX::test_y[a-b]", lambda _: True)
    assert whole.covers("tests/test_a.py::TestX::test_z", lambda _: True)
