"""What a run did, as data: what every report of it is made of."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from harness.errors import HarnessError, RecordingNotFound

_ALWAYS_COUNTED = ("replayed", "recorded", "missed")
"""Outcomes that are told of even when there are none of them."""

_LIVE = "live"

BY_PLACE = "replayed by place"
"""The outcome of a request that got another one's answer, as vcrpy gives it: that of its place in its test."""

BY_PLACE_MEANS = (
    "Replayed by place: not what was recorded, and the next recording of the test answered, as match_on says.\n"
    'Such requests are missed with "body" in match_on, or with strict.'
)

_GONE = "removed"
"""The outcome that is no request: a recording that was left over of a longer sequence."""


class Line(Protocol):
    """A line of a server's journal."""

    @property
    def outcome(self) -> str: ...
    @property
    def scope(self) -> str | None: ...
    @property
    def path(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def recording(self) -> str | None: ...
    @property
    def error(self) -> HarnessError | None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``test`` is the node id of the test that made it, ``where`` the directory of its recordings.

    ``during`` is the test that ran then, also where a fixture asked that is of no single test.
    ``outcome`` is the journal's word. ``recording`` is the name of what answered or was written; ``error`` says why
    there is none and ``hint`` what to do; a command that records it needs ``flag`` besides, and a key in
    ``key_variable``. ``details`` are a miss's as JSON. What was replayed by place ``differs`` from what answered, as
    lines, and has its details too.
    """

    outcome: str
    scope: str | None
    path: str
    model: str
    where: str
    recording: str | None = None
    error: str | None = None
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    test: str | None = None
    during: str | None = None
    flag: str = ""
    key_variable: str = ""
    differs: list[str] = field(default_factory=list)

    @property
    def who(self) -> str:
        """Whose request it was, for readers."""
        return self.test or self.scope or "no scope"

    @property
    def why(self) -> str:
        """Why there was no answer. What to do about misses is said once for all of them."""
        return "\n".join(filter(None, (self.error, "" if self.outcome == "missed" else self.hint)))


def asked(line: Line, where: str, test: str | None = None, during: str | None = None) -> Asked:
    """A journal's line as a report tells it."""
    why = line.error
    miss = why if isinstance(why, RecordingNotFound) else None
    return Asked(
        str(line.outcome),
        line.scope,
        line.path,
        line.model,
        where,
        line.recording,
        error=None if why is None else why.message,
        hint="" if why is None else why.hint,
        details={} if miss is None else dict(miss.details),
        test=test,
        during=during,
        key_variable="" if miss is None else miss.key_variable,
    )


@dataclass(slots=True)
class RunLog:
    """A whole run: its mode, every request in order, and how the tests that asked ended (node id: outcome).

    ``record_command`` gives the command that records what some tests missed, by the flags that their requests need and
    the variables of their keys; of no tests, what was missed by requests that belong to none. ``unused`` are files of
    recordings that nothing asked for; None where that was not looked at.
    """

    mode: str
    record_command: Callable[[Iterable[str], Iterable[str], Iterable[str]], str]
    asked: list[Asked] = field(default_factory=list)
    tests: dict[str, str] = field(default_factory=dict)
    unused: list[str] | None = None

    def counts(self) -> dict[str, int]:
        return dict.fromkeys(_ALWAYS_COUNTED, 0) | Counter(one.outcome for one in self.asked)

    def failures(self) -> list[Asked]:
        """The requests that got no answer, those of one test after the other; equal ones once."""
        # In one order, whatever order the processes ended in: of equal ones the same is told every time.
        failed = sorted((one for one in self.asked if one.error is not None), key=repr)
        told = {(one.who, one.error): one for one in failed}
        return [one for _, one in sorted(told.items(), key=lambda item: (item[0][0], str(item[0][1])))]

    def missed(self) -> list[Asked]:
        return [one for one in self.failures() if one.outcome == "missed"]

    def by_place(self) -> list[Asked]:
        """The requests that another one's answer stood in for, those of one test after the other; equal ones once."""
        found = (one for one in self.asked if one.outcome == BY_PLACE)
        told = {(one.who, one.recording, tuple(one.differs)): one for one in found}
        return sorted(told.values(), key=lambda one: one.who)

    def removed(self) -> list[str]:
        """The recordings that went as what was left over of a longer sequence."""
        return sorted({one.recording for one in self.asked if one.outcome == _GONE and one.recording})

    def passed_all_the_same(self) -> list[str]:
        """Tests that missed a recording, and passed: they, or what they call, took the error for an answer."""
        return sorted({one.test for one in self.missed() if one.test and self.tests.get(one.test) == "passed"})

    def command(self) -> str | None:
        """The one command that records just what was missed; None when nothing was."""
        missed = self.missed()
        tests = [one.test or one.during for one in missed]
        if not missed:
            return None
        of_tests = () if None in tests else dict.fromkeys(filter(None, tests))
        return self.record_command(of_tests, (one.flag for one in missed), (one.key_variable for one in missed))

    def of(self, test: str) -> list[Asked]:
        return [one for one in self.asked if one.test == test]

    def used(self) -> dict[str, list[str]]:
        """Of each directory, the recordings that answered or were written."""
        found: dict[str, set[str]] = {}
        for one in self.asked:
            if one.recording is not None and one.outcome != _GONE:
                found.setdefault(one.where, set()).add(one.recording)
        return {where: sorted(names) for where, names in sorted(found.items())}

    def live(self) -> frozenset[str | None]:
        """The scopes in which something was asked past the recordings: those may be needed all the same."""
        return frozenset(one.scope for one in self.asked if one.outcome == _LIVE)

    def as_json(self) -> dict[str, Any]:
        """What was done, in the simplest types; ``merge`` reads it."""
        return {"mode": self.mode, "asked": [asdict(one) for one in self.asked], "tests": self.tests}


def merge(parts: Iterable[Mapping[str, Any]], into: RunLog) -> RunLog:
    """What processes that shared one run did, as one: the same whichever process ran which test."""
    for part in parts:
        into.asked += [Asked(**one) for one in part["asked"]]
        into.tests |= part["tests"]
        modes: Sequence[str] = [*into.mode.split(", "), *part["mode"].split(", ")]
        into.mode = ", ".join(dict.fromkeys(filter(None, modes)))
    into.asked.sort(key=lambda one: one.who)
    return into
