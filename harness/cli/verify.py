"""``harness verify``: whether the recordings are in order."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import settings_from

if TYPE_CHECKING:
    from harness.recording.verify import Finding, Verifier

_DAY = 24 * 3600


def _days(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+) ?(d|w|days|weeks)?", value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r}: write a number of days, as 30d.")
    return int(match[1]) * (7 if (match[2] or "").startswith("w") else 1)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[DIR | FILE...]")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option("--max-age", callback=_days, metavar="30d", help="Fail on recordings that are older, by git's history.")
@click.option("--warn-age", callback=_days, metavar="30d", help="The same, as notes.")
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
    from harness.stores.secret_scan import is_installed

    run = _Run(paths, given["max_age"], given["warn_age"])
    findings = run.findings()
    mended = run.mend(findings) if given["fix"] else []
    if mended:
        findings = run.findings()
    if given["as_json"]:
        click.echo(json.dumps(_as_json(run, findings, mended), indent=2))
    else:
        _report(run, findings, mended, notes=given["notes"])
        if not is_installed():
            click.echo("Secrets: our own patterns alone; detect-secrets' come with pip install 'harness[verify]'.")
    context.exit(1 if any(finding.level == "finding" for finding in findings) else 0)


class _Run:
    """What is looked at: directories, each with the files in it that are meant."""

    def __init__(self, paths: Sequence[Path], max_age: int | None, warn_age: int | None) -> None:
        from harness.stores.housekeeping import places
        from harness.wiring import redactor_of

        self._settings = settings_from({})
        self._redactor = redactor_of(self._settings)
        self._ages = [
            (limit, level) for limit, level in ((max_age, "finding"), (warn_age, "note")) if limit is not None
        ]
        self._folders = [path for path in paths if path.is_dir()]
        self._files: dict[Path, list[str]] = {}
        for path in paths:
            if not path.is_dir():
                root = self._root_of(path)
                self._files.setdefault(root, []).append(path.absolute().relative_to(root.absolute()).as_posix())
        if not paths:
            self._folders = [self._settings.directory]
        for folder in self._folders:
            if not folder.is_dir():
                raise click.UsageError(f"No recordings: {folder} is not a directory.")
        self.count = sum(len(places(folder)) for folder in self._folders) + sum(map(len, self._files.values()))

    def _root_of(self, path: Path) -> Path:
        recordings = self._settings.directory
        return recordings if path.absolute().is_relative_to(recordings.absolute()) else path.parent

    def findings(self) -> list["Finding"]:
        from dataclasses import replace

        found = []
        for root, files in self._roots():
            below = self._shown(root)
            found += [replace(finding, file=below + finding.file) for finding in self._of(root, files)]
        return found

    def _roots(self) -> Iterator[tuple[Path, list[str] | None]]:
        yield from ((folder, None) for folder in self._folders)
        yield from self._files.items()

    def _shown(self, root: Path) -> str:
        """A directory as the user would write it, with a slash at its end; nothing for the current one."""
        here = Path.cwd()
        shown = root.absolute().relative_to(here) if root.absolute().is_relative_to(here) else root
        return "" if shown == Path() else f"{shown.as_posix()}/"

    def _of(self, root: Path, files: list[str] | None) -> list["Finding"]:
        from harness.checking import check_all
        from harness.stores.housekeeping import places, read, remains
        from harness.wiring import verifier_of

        make = partial(verifier_of, self._settings, self._shown(root))
        verifier = make()
        there = places(root)
        meant = there if files is None else files
        beside = {place.removesuffix(".json") for place in there}
        found = verifier.together(check_all(read(root, meant), len(meant), make), beside)
        if files is None:
            found += [verifier.left_over(place) for place in remains(root)]
        return [*found, *self._old(verifier, root, meant)]

    def _old(self, verifier: "Verifier", root: Path, meant: Sequence[str]) -> Iterator["Finding"]:
        from harness.recording.verify import Level
        from harness.stores.housekeeping import commit_times

        times: Mapping[str, int] = commit_times(root) if self._ages else {}
        for place in meant:
            days = int((time.time() - times.get(place, time.time())) // _DAY)
            over = [(limit, level) for limit, level in self._ages if days > limit]
            if over:
                yield verifier.old(place, days, over[0][0], Level(over[0][1]))

    def mend(self, findings: Sequence["Finding"]) -> list[str]:
        """Do what is safe; the files that were mended."""
        from harness.recording.verify import Mend
        from harness.stores.housekeeping import rewrite

        to_remove = {finding.file for finding in findings if finding.mend is Mend.REMOVE}
        to_rewrite = {finding.file for finding in findings if finding.mend is Mend.REWRITE} - to_remove
        readable = to_rewrite - {finding.file for finding in findings if finding.kind == "unreadable"}
        for file in to_remove:
            Path(file).unlink()
        for file in readable:
            rewrite(Path(file), self._redactor)
        return sorted(to_remove | readable)


def _as_json(run: _Run, findings: Sequence["Finding"], mended: Sequence[str]) -> dict[str, Any]:
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
        "recordings": run.count,
        "findings": [row for row in rows if row["level"] == "finding"],
        "notes": [row for row in rows if row["level"] == "note"],
        "mended": list(mended),
    }


def _report(run: _Run, findings: Sequence["Finding"], mended: Sequence[str], *, notes: bool) -> None:
    for file in mended:
        click.echo(f"mended: {file}")
    shown = [finding for finding in findings if notes or finding.level == "finding"]
    last = ""
    for finding in shown:
        if finding.file != last:
            click.echo(finding.file)
        last = finding.file
        word = f"{finding.kind} (note)" if finding.level == "note" else finding.kind
        click.echo(f"  {word}: {finding.message}")
        if finding.command:
            click.echo(f"    {finding.command}")
    faults = sum(finding.level == "finding" for finding in findings)
    others = len(findings) - faults
    hint = " (--notes shows them)" if others and not notes else ""
    click.echo(f"{_count(run.count, 'recording')}: {_count(faults, 'finding')}, {_count(others, 'note')}{hint}.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
