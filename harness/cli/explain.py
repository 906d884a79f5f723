"""``harness explain``: what makes a request equal to others, and what would answer it."""

import json
from pathlib import Path
from typing import Any, TextIO

import click

from harness.cli.completing import complete_test
from harness.cli.left_out import tell_left_out
from harness.cli.options import looking_beside, settings_from, width_of_terminal


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"), metavar="REQUEST.json")
@click.option("--path", metavar="PATH", help="The path of the request's URL, such as /v1/embeddings.")
@click.option("--scope", metavar="TEST", shell_complete=complete_test, help="The test that asks: a pytest node id.")
@click.option("--recordings", metavar="PLACE", multiple=True, help="Where to look (default: the project's recordings).")
@click.option("--strict", is_flag=True, default=None, help="Look up by key alone, as a strict run does.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.pass_context
def explain(context: click.Context, /, file: TextIO, **given: Any) -> None:
    """Show what a look-up makes of a request.

    That is: the canonical request and what each rule changed, the key, the fingerprint, and the recording that answers
    or comes nearest. REQUEST.json holds a request's body, or {"method", "path", "body", "scope"}, or is a recording; -
    reads from the standard input.

    \b
    Example:
      harness explain request.json --scope tests/test_weather.py::test_rome
      harness explain recordings/3fa91c0e77d2….json
      pbpaste | harness explain - --path /v1/embeddings --json | jq .hit

    Exit code: 0 a recording answers, 1 none does, 2 there is no request to explain.
    """
    from harness.errors import RecordingError
    from harness.opening import canonicalizer_of, key_variables_of, open_store, redactor_of
    from harness.recording.asked import asked_from
    from harness.recording.explain import Way
    from harness.recording.explain import explain as find_out
    from harness.report.explain_terminal import render_explanation

    settings = settings_from({"recordings": given["recordings"], "strict": given["strict"]})
    settings = settings if given["recordings"] else looking_beside(settings)
    try:
        asked = asked_from(file.read(), path=given["path"], scope=given["scope"])
    except UnicodeDecodeError as error:
        raise RecordingError(f"{file.name}: not UTF-8", hint="Save it as UTF-8.") from error
    except RecordingError as error:
        raise RecordingError(f"{_shown(file.name)}: {error.message}", hint=error.hint) from error
    canonicalizer = canonicalizer_of(settings)
    store = open_store(settings, canonicalizer)
    found = find_out(asked, store, canonicalizer, redactor_of(settings), strict=settings.strict)
    if given["as_json"]:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        click.echo(render_explanation(found, width_of_terminal(), key_variables_of(settings)), nl=False)
    if found.hit.way is Way.NONE:
        tell_left_out(store.broken(), store.passed_over())
    context.exit(1 if found.hit.way is Way.NONE else 0)


def _shown(name: str) -> str:
    return "standard input" if name == "<stdin>" else str(Path(name))
