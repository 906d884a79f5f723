"""``harness stats``: what recordings come to."""

import json
from functools import partial
from typing import Any

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import places_of, settings_from
from harness.cli.selecting import selected, with_selection


@click.command()
@with_selection
@click.option("--all", "everything", is_flag=True, help="Whole tables, not their first ten rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
@click.pass_context
def stats(context: click.Context, /, what: tuple[str, ...], **given: Any) -> None:
    """Sum up recordings, their size and tokens. By endpoint, content, model and test, with what was asked repeatedly.

    WHAT is a directory, a file, a key or its first digits, or a test.

    \b
    Example:
      harness stats
      harness stats tests/test_weather.py --all
      harness stats --json | jq '.by_model[0]'

    Exit code: 0 there are some, 1 there are none, 2 nothing could be looked at.
    """
    from harness.listing import Asked, list_all
    from harness.opening import canonicalizer_of
    from harness.recording.statistics import statistics
    from harness.report.listing_terminal import render_statistics

    settings = settings_from({})
    picked = selected(what, given["tests"], given["models"], given["endpoints"])
    asked = Asked(picked.selection, partial(canonicalizer_of, settings))
    places = picked.places or places_of(settings)
    listed = list_all(places, asked)
    sums = statistics(listed.found)
    if given["as_json"]:
        click.echo(json.dumps(sums.as_json(), indent=2))
    else:
        click.echo(render_statistics(sums, everything=given["everything"]), nl=False)
    tell_left_out(listed.unreadable, listed.passed_over)
    if not listed.found:
        for line in picked.looked_for(places):
            click.echo(line, err=True)
    context.exit(0 if listed.found else 1)
