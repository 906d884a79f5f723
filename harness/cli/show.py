"""``harness show``: one recording, as a person reads it or as code that makes its request."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import places_of, settings_from, shown, width_of_terminal
from harness.cli.selecting import selected, with_selection

if TYPE_CHECKING:
    from harness.recording.model import Exchange

    Found = Sequence[tuple[Path, str, Exchange]]


@click.command()
@with_selection
@click.option("--curl", "form", flag_value="curl", help="Print a shell command that makes the request.")
@click.option("--python", "form", flag_value="python", help="Print a Python script that makes the request.")
@click.option("--json", "form", flag_value="json", help="Print a JSON array: of each, what was asked and said.")
def show(what: tuple[str, ...], **given: Any) -> None:
    """Show recordings as dialogues.

    WHAT is a key or its first digits, a file, or a test. What code is printed sends the request to OPENAI_BASE_URL
    (default: OpenAI) with OPENAI_API_KEY; messages go to ANTHROPIC_BASE_URL with ANTHROPIC_API_KEY.

    \b
    Example:
      harness show 3fa91c0e77d2
      harness show tests/test_weather.py::test_rome
      harness show 3fa91c0e77d2 --curl | sh
      harness show 3fa91c0e77d2 --python > again.py

    Exit code: 0 shown, 2 there is no such recording, or more than one to make code of.
    """
    from harness.errors import RecordingError
    from harness.listing import LeftOut, pick
    from harness.report.dialogue_terminal import render_dialogue

    picked = selected(what, given["tests"], given["models"], given["endpoints"])
    if not picked.selection.words and not picked.places:
        raise click.UsageError("Say which: a key or its first digits, a file, or a test. harness ls lists them.")
    left_out = LeftOut()
    places = picked.places or places_of(settings_from({}))
    found = list(pick(places, picked.selection, left_out))
    words = " ".join(picked.selection.words or what)
    if left_out.passed_over and picked.selection.keys and not found:
        raise RecordingError(
            f"{words} is of a tool, not of an HTTP API: nobody was asked, and nothing is replayed.",
            hint="Read the file itself.",
        )
    tell_left_out(left_out.unreadable, left_out.passed_over)
    if not found:
        short = ["Of a key, give four digits or more."] if any(map(_is_too_short, picked.selection.words)) else []
        hints = [*short, *picked.looked_for(places), "harness ls; harness verify"]
        raise RecordingError(f"No recording that can be read is {words}.", hint="\n  ".join(hints))
    if given["form"] in ("curl", "python"):
        click.echo(_code(found, given["form"]), nl=False)
    elif given["form"] == "json":
        click.echo(json.dumps([_as_json(*one) for one in found], indent=2))
    else:
        width = width_of_terminal()
        click.echo("\n\n".join(render_dialogue(shown(file), exchange, width) for file, _, exchange in found), nl=False)


def _is_too_short(word: str) -> bool:
    return re.fullmatch("[0-9a-f]{1,3}", word) is not None


def _code(found: "Found", form: str) -> str:
    """Code for the one request that was meant: several answers to it are one request."""
    from harness.errors import RecordingError
    from harness.recording import snippet

    requests = [exchange.request for _, _, exchange in found]
    if any(request != requests[0] for request in requests):
        names = "\n  ".join(f"harness show {shlex.quote(shown(file))} --{form}" for file, _, _ in found[:5])
        raise RecordingError(f"These are {len(found)} recordings: choose one.", hint=names)
    return snippet.curl(requests[0]) if form == "curl" else snippet.python(requests[0])


def _as_json(file: Path, name: str, exchange: "Exchange") -> dict[str, Any]:
    from harness.recording.dialogue import asked, said

    request, response = exchange.request, exchange.response
    return {
        "file": shown(file),
        "name": name,
        "test": request.scope,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "model": request.model,
        "status": response.status,
        "is_streaming": response.is_streaming,
        "asked": [asdict(bubble) for bubble in asked(request)],
        "said": [asdict(bubble) for bubble in said(response)],
    }
