"""What a run did: which requests were replayed, recorded, passed on, missed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import HarnessError


class Outcome(StrEnum):
    """How a request ended."""

    REPLAYED = "replayed"
    RECORDED = "recorded"
    UNCHANGED = "unchanged"
    """Asked again, and the recording that there was says the same: it stays."""
    REMOVED = "removed"
    """No request: what was left over of a longer sequence."""
    LIVE = "live"
    MISSED = "missed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One request. ``recording`` is the name of what answered, was written or went; ``error`` why there is none."""

    outcome: Outcome
    scope: str | None
    path: str
    model: str
    recording: str | None = None
    error: HarnessError | None = None


@dataclass(slots=True)
class Journal:
    """The lines of a run, in order. ``listener`` hears each as it is written.

    With ``keeps_lines`` off they are counted alone: a server may run for months.
    """

    lines: list[Line] = field(default_factory=list)
    listener: Callable[[Line], None] | None = None
    keeps_lines: bool = True
    _gone: Counter[Outcome] = field(default_factory=Counter)
    """What lines that were not kept have said."""

    def write(self, line: Line) -> None:
        if self.keeps_lines:
            self.lines.append(line)
        else:
            self._gone[line.outcome] += 1
        if self.listener is not None:
            self.listener(line)

    def count(self) -> Counter[Outcome]:
        return self._gone + Counter(line.outcome for line in self.lines)

    def of(self, outcome: Outcome) -> list[Line]:
        return [line for line in self.lines if line.outcome is outcome]
