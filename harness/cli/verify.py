"""``harness verify``: whether the recordings are in order."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import days, directories_of, settings_from, width_of_terminal

if TYPE_CHECKING:
    from harness.recording.findings import Finding


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[DIR | FILE...]")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option("--max-age", callback=days, metavar="30d", help="Fail on recordings that are older, by git's history.")
@click.option("--warn-age", callback=days, metavar="30d", help="The same, as notes.")
@click.option("--notes", is_flag=True, help="Show notes too: what is odd, but harms nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.pass_context
def verify(context: click.Context, /, paths: tuple[Path, ...], **given: Any) -> None:
    """Check that recordings are in order.

    Each loads, is written as it should be, is named by its key and holds no secret; none is there twice, and no
    sequence has a gap. Looks at DIR (default: the project's recordings), or at the FILEs that a hook of pre-commit
    hands over.

    \b
    Example:
      harness verify
      harness verify --fix recordings/
      harness verify --max-age 30d --json | jq .findings

    Exit code: 0 in order, 1 something was found, 2 nothing could be checked.
    """
    from harness.checking import Age, findings_of, mend, targets
    from harness.opening import redactor_of, verifier_of
    from harness.recording.findings import Level
    from harness.stores.secret_scan import is_installed

    settings = settings_from({})
    meant = targets(paths, directories_of(settings))
    given_ages = ((given["max_age"], Level.FINDING), (given["warn_age"], Level.NOTE))
    ages = [Age(days, level) for days, level in given_ages if days is not None]

    def look() -> list["Finding"]:
        return [
            finding
            for target in meant
            for finding in findings_of(target, partial(verifier_of, settings, target.shown), ages)
        ]

    findings = look()
    mended = mend(findings, redactor_of(settings)) if given["fix"] else []
    if mended:
        meant = targets([path for path in paths if path.exists()] if paths else paths, directories_of(settings))
        findings = look()
    count = sum(len(target.names) for target in meant)
    if given["as_json"]:
        click.echo(json.dumps(_as_json(count, findings, mended), indent=2))
    else:
        _report(count, findings, mended, notes=given["notes"])
        if not is_installed():
            click.echo("Secrets: our own patterns alone; detect-secrets' come with pip install 'harness[verify]'.")
    context.exit(1 if any(finding.level == "finding" for finding in findings) else 0)


def _as_json(count: int, findings: Sequence["Finding"], mended: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "file": found.file,
            "kind": found.kind,
            "level": found.level,
            "message": found.message,
            "command": found.command,
        }
        for found in findings
    ]
    return {
        "recordings": count,
        "findings": [row for row in rows if row["level"] == "finding"],
        "notes": [row for row in rows if row["level"] == "note"],
        "mended": list(mended),
    }


def _report(count: int, findings: Sequence["Finding"], mended: Sequence[str], *, notes: bool) -> None:
    from harness.report.wording import plural

    for file in mended:
        click.echo(f"mended: {file}")
    shown = [finding for finding in findings if notes or finding.level == "finding"]
    last = ""
    for finding in shown:
        if finding.file != last:
            click.echo(finding.file)
        last = finding.file
        word = f"{finding.kind} (note)" if finding.level == "note" else finding.kind
        for line in wrap(f"{word}: {finding.message}", width_of_terminal() - 2, break_on_hyphens=False):
            click.echo(f"  {line}")
        if finding.command:
            click.echo(f"    {finding.command}")
    faults = sum(finding.level == "finding" for finding in findings)
    others = len(findings) - faults
    hint = " (--notes shows them)" if others and not notes else ""
    click.echo(f"{plural(count, 'recording')}: {plural(faults, 'finding')}, {plural(others, 'note')}{hint}.")
