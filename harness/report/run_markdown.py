"""A run in Markdown, for a pull request's comment or a job's summary."""

from harness.report.run_log import BY_PLACE_MEANS, Asked, RunLog


def render(log: RunLog) -> str:
    counts = log.counts()
    parts = [
        f"## harness, mode {log.mode}",
        f"| {' | '.join(counts)} |\n|{' --: |' * len(counts)}\n| {' | '.join(map(str, counts.values()))} |",
    ]
    if by_place := log.by_place():
        lines = [line for one in by_place for line in (f"{one.who}: {one.recording}", *one.differs)]
        parts.append(f"### Replayed by place\n\n{BY_PLACE_MEANS}\n\n{_fenced(chr(10).join(lines))}")
    parts += [_failure(one) for one in log.failures()]
    if swallowed := log.passed_all_the_same():
        parts.append("### Passed, though a recording was missed\n\n" + _list(swallowed))
    if command := log.command():
        parts.append(f"### Record what was missed\n\n{_fenced(command, 'sh')}")
    if log.unused is not None:
        parts.append(f"### Unused recordings: {len(log.unused)}\n\n{_list(log.unused)}".rstrip())
    return "\n\n".join(parts) + "\n"


def _failure(one: Asked) -> str:
    return f"### {one.outcome.capitalize()}: {_code(one.who)}\n\n{_fenced(one.why)}"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {_code(line)}" for line in lines)


def _code(text: str) -> str:
    """Text between backticks: more of them than the text has in a row."""
    ticks = _ticks(text, 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _fenced(text: str, language: str = "text") -> str:
    ticks = _ticks(text, 3)
    return f"{ticks}{language}\n{text}\n{ticks}"


def _ticks(text: str, least: int) -> str:
    ticks = "`" * least
    while ticks in text:
        ticks += "`"
    return ticks
