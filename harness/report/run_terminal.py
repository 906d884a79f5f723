"""The end of a run, for the terminal."""

from harness.report.run_log import BY_PLACE_MEANS, Asked, RunLog

_SHOWN_BY_PLACE = 10


def title(log: RunLog) -> str:
    return f"harness, mode {log.mode}"


def lines(log: RunLog) -> list[str]:
    """What was replayed, recorded and missed; every failure once; what records the misses; what is unused."""
    told = [", ".join(f"{number} {what}" for what, number in log.counts().items())]
    if removed := log.removed():
        told += ["Removed, as what was left over of a longer sequence:", *(f"  {name}.json" for name in removed)]
    told += _by_place(log.by_place())
    for one in log.failures():
        told += ["", f"{one.who}:", one.why]
    swallowed = log.passed_all_the_same()
    if swallowed:
        told += ["", "Passed, though a recording was missed:", *(f"  {test}" for test in swallowed)]
    if command := log.command():
        told += ["", f"Record what was missed, and nothing else:  {command}"]
    if log.unused is not None:
        told += ["", _unused(log.unused), *(f"  {file}" for file in log.unused)]
    return told


def _by_place(asked: list[Asked]) -> list[str]:
    """The requests whose answers stand for them by match_on alone, the first of many."""
    if not asked:
        return []
    told = ["", BY_PLACE_MEANS]
    for one in asked[:_SHOWN_BY_PLACE]:
        recording = (one.recording or "").rpartition("/")[2][:12]
        told += [f"  {one.who}: {recording}", *(f"  {line}" for line in one.differs)]
    if len(asked) > _SHOWN_BY_PLACE:
        told.append(f"  and {len(asked) - _SHOWN_BY_PLACE} more: --harness-report FILE has all of them")
    return told


def _unused(files: list[str]) -> str:
    if not files:
        return "No unused recordings."
    return f"{len(files)} unused recording{'' if len(files) == 1 else 's'}:"
