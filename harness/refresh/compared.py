"""The new answers against the recorded ones, each pair with what is to be said of it."""

from collections.abc import Mapping
from dataclasses import replace

from harness.comparing import Asked, Progress, compare_all
from harness.recording.canonical import Canonicalizer
from harness.recording.diff import Diff, Pair, compare
from harness.recording.format import dumps, to_document
from harness.recording.key import parse_stem
from harness.recording.model import Exchange
from harness.recording.pairing import Match
from harness.recording.variation import Variation, variation
from harness.refresh.wanted import Done, Outcome
from harness.stores.reading import Recordings


def diff_of(outcome: Outcome, asked: Asked, old: str, new: str, progress: Progress = lambda *_: None) -> Diff:
    """The diff of what was asked again; ``old`` and ``new`` say where both sides are, for people."""
    done = outcome.done
    before = _recordings(old, {name: one.step.exchange for name, one in done.items()})
    # Which belongs to which is known: both sides go by the name of the recorded one.
    after = _recordings(new, {name: one.exchange for name, one in done.items()})
    found = compare_all(before, after, asked, progress)
    canonicalizer = asked.make()
    pairs = (_remarked(pair, done[pair.name], outcome, canonicalizer) for pair in found.pairs)
    return replace(found, pairs=tuple(pairs))


def _recordings(where: str, exchanges: Mapping[str, Exchange]) -> Recordings:
    files = {name: f"{name}.json" for name in exchanges}
    return Recordings(where, files, lambda name: dumps(to_document(exchanges[name])).encode())


def _remarked(pair: Pair, done: Done, outcome: Outcome, canonicalizer: Canonicalizer) -> Pair:
    remarks = [f"asked as recorded, for {why}" for why in dict.fromkeys(done.followed.misfits.values())]
    remarks += done.followed.loose
    found = _variation(pair, done, outcome, canonicalizer)
    remarks += [found.words] if found else []
    folder = pair.name.rpartition("/")[0]
    return replace(
        pair,
        new_name=f"{folder}/{done.name}" if folder else done.name,
        remark="; ".join(remarks),
        is_own=found is not None and not found.is_larger,
    )


def _variation(pair: Pair, done: Done, outcome: Outcome, canonicalizer: Canonicalizer) -> Variation | None:
    """How the difference of a pair compares with the model's own; None where that is not known, or nothing differs."""
    if pair.cls == "equal" or not (done.again or done.control):
        return None
    old = [*_recorded(done, outcome), *done.control]

    def compared(one: Exchange, two: Exchange) -> Pair:
        return compare(Match(pair.name, pair.name, "key"), one, two, canonicalizer)

    return variation(old, [done.exchange, *done.again], compared)


def _recorded(done: Done, outcome: Outcome) -> list[Exchange]:
    """What was recorded for the same request: this recording, and the others of its sequence."""
    base = parse_stem(done.step.name)[0]
    same = (step for step in outcome.plan.steps if parse_stem(step.name)[0] == base)
    others = [step.exchange for step in same if step.request == done.step.request and step.name != done.step.name]
    return [done.step.exchange, *others]
