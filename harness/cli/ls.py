"""``harness ls``: which recordings there are."""

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import days, places_of, settings_from, width_of_terminal
from harness.cli.selecting import selected, with_selection

if TYPE_CHECKING:
    from harness.recording.description import Description

_CONTENTS = ("text", "tools", "structured", "reasoning", "refusal", "embeddings", "error", "stream", "other")


@click.command()
@with_selection
@click.option("--content", "contents", multiple=True, type=click.Choice(_CONTENTS), metavar="CLASS",
              help=f"Those that have all of these: {', '.join(_CONTENTS)}.")  # fmt: skip
@click.option("--older", callback=days, metavar="30d", help="Those committed longer ago, by git's history.")
@click.option("--newer", callback=days, metavar="30d", help="Those committed since, or not at all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of the list.")
@click.pass_context
def ls(context: click.Context, /, what: tuple[str, ...], **given: Any) -> None:
    """List recordings, by their tests.

    WHAT is a directory, a file, a key or its first digits, or a test. Each line has the key, the model, the endpoint,
    what the answer has in it, and the tokens that it used (in+out).

    \b
    Example:
      harness ls
      harness ls tests/test_weather.py --model gpt-4o --content tools
      harness ls --older 30d --json | jq -r '.[].file'

    Exit code: 0 there are some, 1 there are none, 2 nothing could be looked at.
    """
    from harness.listing import Asked, list_all
    from harness.opening import canonicalizer_of
    from harness.report.listing_terminal import render_list

    settings = settings_from({})
    picked = selected(what, given["tests"], given["models"], given["endpoints"])
    by_age = given["older"] is not None or given["newer"] is not None
    asked = Asked(picked.selection, partial(canonicalizer_of, settings), ages=by_age)
    places = picked.places or places_of(settings)
    listed = list_all(places, asked)
    found = [one for one in listed.found if _is_meant(one, given)]
    if given["as_json"]:
        click.echo(json.dumps([one.as_json() for one in found], indent=2))
    else:
        # In a pipe each recording is one line, for grep and its like.
        click.echo(render_list(found, listed.count, width_of_terminal() if sys.stdout.isatty() else None), nl=False)
    tell_left_out(listed.unreadable, listed.passed_over)
    if not listed.found:
        for line in picked.looked_for(places):
            click.echo(line, err=True)
    context.exit(0 if found else 1)


def _is_meant(one: "Description", given: dict[str, Any]) -> bool:
    age = one.age or 0
    return (
        set(given["contents"]) <= set(one.content)
        and (given["older"] is None or age > given["older"])
        and (given["newer"] is None or age <= given["newer"])
    )
