"""Tests that ask a model, and are answered from recordings."""

import pytest
from triage import summary, triage

pytestmark = pytest.mark.harness


@pytest.mark.parametrize(
    ("ticket", "team"),
    [("I was charged twice in May.", "billing"), ("The app crashes when I log in.", "technical")],
)
def test_a_ticket_goes_to_its_team(ticket, team):
    assert triage(ticket) == team


def test_a_ticket_in_a_sentence():
    assert "twice" in summary("I was charged twice in May. Please pay one of the two back, my account is A-113.")
