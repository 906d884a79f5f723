"""The new answers against the recorded ones, each pair with what is to be said of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from harness.comparing import Asked, Progress, compare_all
from harness.recording.canonical import Canonicalizer
from harness.recording.diff import Diff, Pair, compare
from harness.recording.format import dumps, to_document
from harness.recording.key import parse_stem
from harness.recording.model import Exchange
from harness.recording.pairing import Match
from harness.recording.variation import Variation, one_in, variation
from harness.refresh.wanted import Done, Outcome
from harness.stores.reading import Recordings


def diff_of(outcome: Outcome, asked: Asked, old: str, new: str, progress: Progress = lambda *_: None) -> Diff:
    """The diff of what was asked again; ``old`` and ``new`` say where both sides are, for people."""
    done = outcome.done
    before = _recordings(old, {name: one.step.exchange for name, one in done.items()})
    # Which belongs to which is known: both sides go by the name of the recorded one.
    after = _recordings(new, {name: one.exchange for name, one in done.items()})
    found = compare_all(before, after, asked, progress)
    alike = _Alike(outcome, asked.make())
    return replace(found, pairs=tuple(_remarked(pair, done[pair.name], alike) for pair in found.pairs))


def by_chance(outcome: Outcome) -> float:
    """How many differences at most look larger than a model's own variation, on average, where nothing has changed."""
    alike = _Alike(outcome)
    return sum(1 / one_in(*alike.sizes(done)) for done in outcome.done.values() if done.again or done.control)


def _recordings(where: str, exchanges: Mapping[str, Exchange]) -> Recordings:
    files = {name: f"{name}.json" for name in exchanges}
    return Recordings(where, files, lambda name: dumps(to_document(exchanges[name])).encode())


class _Alike:
    """Answers to one and the same request: what was recorded of a sequence, and what was answered to each of it."""

    def __init__(self, outcome: Outcome, canonicalizer: Canonicalizer | None = None) -> None:
        self._canonicalizer = canonicalizer or Canonicalizer()
        self._old: dict[str, list[Exchange]] = defaultdict(list)
        self._new: dict[str, list[Exchange]] = defaultdict(list)
        self._found: dict[str, Variation] = {}
        for step in outcome.plan.steps:
            self._old[parse_stem(step.name)[0]].append(step.exchange)
        for name, done in outcome.done.items():
            base = parse_stem(name)[0]
            self._old[base] += done.control
            self._new[base] += [done.exchange, *done.again]

    def variation(self, done: Done) -> Variation | None:
        """How old and new answers differ, against those of each side; None where nothing was asked twice."""
        if not (done.again or done.control):
            return None
        base = parse_stem(done.step.name)[0]
        if base not in self._found:
            self._found[base] = variation(self._old[base], self._new[base], self._compared)
        return self._found[base]

    def sizes(self, done: Done) -> tuple[int, int]:
        """How many answers there are of each side."""
        base = parse_stem(done.step.name)[0]
        return len(self._old[base]), len(self._new[base])

    def _compared(self, one: Exchange, two: Exchange) -> Pair:
        return compare(Match("", "", "key"), one, two, self._canonicalizer)


def _remarked(pair: Pair, done: Done, alike: _Alike) -> Pair:
    remarks = [f"asked as recorded, for {why}" for why in dict.fromkeys(done.followed.misfits.values())]
    remarks += done.followed.loose
    found = None if pair.cls == "equal" else alike.variation(done)
    remarks += [found.words] if found else []
    folder = pair.name.rpartition("/")[0]
    return replace(
        pair,
        new_name=f"{folder}/{done.name}" if folder else done.name,
        remark="; ".join(remarks),
        is_own=found is not None and not found.is_larger,
    )
