"""The processes of a command that looks at many recordings."""

import os
import signal

import pytest

from harness.crew import Crew


def test_a_terminals_ctrl_c_is_not_heard_by_the_other_processes() -> None:
    """It reaches all of them, and each would print a traceback; the first one ends the others."""
    with Crew(1000, _nothing, None, processes=2) as crew:
        try:
            workers = set(crew.work(_interrupt_itself, range(24)))
        except KeyboardInterrupt:
            pytest.fail("one of them heard it")
    assert os.getpid() not in workers
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _nothing(needed: None) -> None:
    pass


def _interrupt_itself(_: list[int]) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()
