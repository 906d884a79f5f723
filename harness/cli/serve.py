"""``harness serve``: the server in the foreground."""

import asyncio
from typing import Any

import click

from harness.cli.options import settings_from, with_settings


@click.command()
@with_settings
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8321, show_default=True, help="0 takes a free one.")
def serve(host: str, port: int, **flags: Any) -> None:
    """Serve an OpenAI-compatible API from recordings.

    \b
    Example:
      harness serve
      OPENAI_BASE_URL=http://127.0.0.1:8321/v1 OPENAI_API_KEY=none python app.py
    """
    from harness.backends.journal import Line
    from harness.running import serve as run
    from harness.wiring import Parts

    def heard(line: Line) -> None:
        about = line.recording[:12] if line.recording else line.error.message if line.error else ""
        click.echo(f"{line.outcome:<9} {line.path} {line.model}  {about}")

    def started(parts: Parts, root: str) -> None:
        parts.journal.listener = heard
        click.echo(_block(parts, root))

    parts = asyncio.run(run(settings_from(flags), host, port, started))
    counts = parts.journal.count()
    click.echo("Stopped. " + (", ".join(f"{number} {what}" for what, number in counts.items()) or "Nothing was asked."))


def _block(parts: Any, root: str) -> str:
    settings, broken = parts.settings, parts.store.broken
    rows = [
        ("OPENAI_BASE_URL", f"{root}/v1"),
        ("mode", str(settings.mode)),
        ("recordings", f"{len(parts.store.entries())} in {parts.store.where}"),
        ("upstream", settings.upstream if settings.mode.needs_upstream else f"none (replay; else {settings.upstream})"),
        ("state", settings.state or "in memory"),
    ]
    lines = [f"  {name:<16} {value}" for name, value in rows]
    lines += [f"  {'unreadable':<16} {name}" for name in broken()]
    return "\n".join(["harness serves", *lines, "Ctrl-C ends it."])
