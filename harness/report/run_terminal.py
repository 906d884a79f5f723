"""The end of a run, for the terminal."""

from harness.report.run_log import RunLog


def title(log: RunLog) -> str:
    return f"harness, mode {log.mode}"


def lines(log: RunLog) -> list[str]:
    """What was replayed, recorded and missed; every failure once; what records the misses; what is unused."""
    told = [", ".join(f"{number} {what}" for what, number in log.counts().items())]
    if removed := log.removed():
        told += ["Removed, as what was left over of a longer sequence:", *(f"  {name}.json" for name in removed)]
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


def _unused(files: list[str]) -> str:
    if not files:
        return "No unused recordings."
    return f"{len(files)} unused recording{'' if len(files) == 1 else 's'}:"
