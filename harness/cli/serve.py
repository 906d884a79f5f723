"""``harness serve``: the server in the foreground."""

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from harness.cli.options import settings_from, with_settings
from harness.recording.key import parse_stem, recording_name
from harness.settings import Bucket

if TYPE_CHECKING:
    from harness.wiring import Parts

_LOG_SECONDS = 0.1

_LOOKED_INTO = 1000
"""More recordings than this are counted at the start, and not opened; so are those that would have to be fetched."""

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


@click.command()
@with_settings
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0 takes a free one.")
def serve(host: str, port: int, **flags: Any) -> None:
    """Serve an OpenAI-compatible API from recordings.

    \b
    Example:
      harness serve
      OPENAI_BASE_URL=http://127.0.0.1:8321/v1 OPENAI_API_KEY=none python app.py
    """
    settings = settings_from(flags)
    from harness.running import serve as run

    log = _Log()

    def started(parts: "Parts", root: str) -> None:
        parts.journal.keeps_lines = False
        parts.journal.listener = lambda line: log.add(
            _log_line(str(line.outcome), line.path, line.model, line.recording, line.error)
        )
        _say(_block(parts, root, host))

    def waiting() -> None:
        _say("Finishing what is in flight. Ctrl-C again ends it at once.")

    parts = asyncio.run(run(settings, host, port, started=started, waiting=waiting))
    log.write()
    counts = parts.journal.count()
    _say("Stopped. " + (", ".join(f"{number} {what}" for what, number in counts.items()) or "Nothing was answered."))


class _Log:
    """The journal's lines as they come, written a few times a second: one by one they would cost more than answers."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_later(_LOG_SECONDS, self.write)
        self._lines.append(line)

    def write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            _say("\n".join(lines))


def _say(text: str) -> None:
    # Whoever reads the output may leave earlier than the server.
    with contextlib.suppress(BrokenPipeError):
        click.echo(text)


def _log_line(outcome: str, path: str, model: str, recording: str | None, error: Exception | None) -> str:
    about = str(error).replace("\n", "\n    ") if error else _short(recording or "")
    return " ".join(word for word in (f"{outcome:<9}", path, model, about) if word)


def _short(recording: str) -> str:
    """A recording's name with as much of its key as tells it from others, and its number."""
    base, number = parse_stem(recording)
    return recording_name(base.rpartition("/")[2][:12], number)


def _block(parts: "Parts", root: str, host: str) -> str:
    settings = parts.settings
    rows = [("OPENAI_BASE_URL", f"{root}/v1"), ("mode", settings.modes), ("recordings", _recordings(parts))]
    rows += [("", f"unreadable: {name}") for name in parts.store.broken()]
    asked = "no model" if settings.mode_of_servers.needs_upstream else "nobody"
    rows += _upstream(parts) if settings.mode.needs_upstream else [("upstream", f"none: replay asks {asked}")]
    rows += [("state", without_password(settings.state) if settings.state else "in memory")]
    if host in _EVERYWHERE:
        rows += [("open to", "every machine that reaches this one")]
    return "\n".join(["harness serves", *(f"  {name:<16} {value}" for name, value in rows), "Ctrl-C ends it."])


def _recordings(parts: "Parts") -> str:
    place, settings = parts.settings.recordings, parts.settings
    count = parts.store.count()
    if count <= _LOOKED_INTO and not isinstance(place, Bucket):
        # Those that cannot be read are named, and not counted.
        count = len(parts.store.entries())
    if count:
        return f"{count} in {parts.store.where}"
    if isinstance(place, Bucket) or place.is_dir():
        return f"none in {parts.store.where}"
    if settings.writes:
        return f"none yet; {place} will be made"
    how = "" if settings.mode.needs_upstream else " (to record: --mode record-if-missing)"
    return f"none: {place} does not exist{how}"


def _upstream(parts: "Parts") -> list[tuple[str, str]]:
    settings = parts.settings
    rows = [("upstream", settings.upstream)]
    if not urlsplit(settings.upstream).path:
        rows += [("", "the URL has no path: most providers' ends in /v1")]
    key = "OPENAI_API_KEY's, for requests that bring none" if settings.api_key else "each request's own"
    return [*rows, ("key", key if settings.api_key else f"{key}: OPENAI_API_KEY is not set")]


def without_password(place: str) -> str:
    """A place of a state as it may be shown."""
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", place)
    return re.sub(r"(?<=[?&]password=)[^&]*", "***", hidden)
