"""What a refresh is to do, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.backends.batch import Batches
from harness.backends.protocol import Upstream
from harness.recording.changes import Changes
from harness.recording.following import Followed
from harness.recording.model import Exchange
from harness.recording.prices import Prices
from harness.recording.redact import Redactor
from harness.recording.refresh import Plan, Step

NEW, CONTROL = "new", "control"
"""Which side an answer is of: the request as it is asked now, or as it was recorded."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to ask.

    ``jobs`` is how many requests are under way at once, ``times`` how often each is asked. With ``control`` requests
    that ``changes`` change are asked as often as they were recorded, too. No request is begun that would, by the
    estimate, take the sum beyond ``budget`` (in the currency of ``prices``).
    """

    changes: Changes = field(default_factory=Changes)
    jobs: int = 8
    times: int = 1
    control: bool = False
    budget: float | None = None
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """Whom to ask, and what of it may be written down. ``batches`` are there where batches are to be asked."""

    upstream: Upstream
    redactor: Redactor
    batches: Batches | None = None


@dataclass(slots=True)
class Done:
    """A step with its new answers: the first, which takes the place of the recorded one under ``name``, the others.

    ``control`` are new answers to the recorded request.
    """

    step: Step
    name: str
    exchange: Exchange
    followed: Followed
    again: list[Exchange] = field(default_factory=list)
    control: list[Exchange] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What came of a plan, by the names of its steps.

    ``failed`` have their reasons; ``stopped`` says why some were not asked at all, ``unasked``. ``asked`` and ``known``
    count answers: those of this run, and those that an earlier one had. ``spent`` is what all of them cost.
    """

    plan: Plan
    done: dict[str, Done] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)
    stopped: str = ""
    asked: int = 0
    known: int = 0
    spent: float = 0.0

    @property
    def is_complete(self) -> bool:
        return len(self.done) == len(self.plan.steps)


@dataclass(frozen=True, slots=True)
class Telling:
    """Who hears how it goes: ``progress`` answers so far, of how many, and what they cost; ``note`` a sentence."""

    progress: Callable[[int, int, float], None] = lambda *_: None
    note: Callable[[str], None] = lambda _: None
