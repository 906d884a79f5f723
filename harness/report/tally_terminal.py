"""The end of an import or an export: what was written, what was left out, and why."""

from collections.abc import Iterator

from harness.recording.tally import Tally

_SHOWN_HOSTS = 5


def lines(tally: Tally, *, thing: str, into: str) -> Iterator[str]:
    """What became of everything, for people. ``thing`` is what was written (``recording``), ``into`` where."""
    for skipped in tally.skipped:
        yield f"skipped: {skipped.what}"
        yield f"  {skipped.reason}"
        if skipped.hint:
            yield f"    {skipped.hint}"
    there = f"; {_count(tally.unchanged, thing)} there already" if tally.unchanged else ""
    yield f"Wrote {_count(len(tally.written), thing)} to {into}{there}."
    if tally.others:
        hosts = [f"{host} {number}" for host, number in sorted(tally.others.items(), key=lambda row: (-row[1], row[0]))]
        more = ", …" if len(hosts) > _SHOWN_HOSTS else ""
        shown = ", ".join(hosts[:_SHOWN_HOSTS])
        yield f"Left out {_count(tally.others.total(), 'exchange')} that no model answered ({shown}{more})."
        yield "  --host NAME says that a host is a model provider's."
    if tally.passed_over:
        yield f"Passed over {_count(tally.passed_over, 'file')} of another kind."
    if tally.skipped:
        yield f"Skipped {len(tally.skipped)}, for the reasons above."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
