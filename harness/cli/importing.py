"""``harness import``: recordings out of what others have recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.options import looking_beside, settings_from

if TYPE_CHECKING:
    from harness.settings import Settings
    from harness.stores.intake import Intake

F = TypeVar("F", bound=Callable[..., Any])

_SHARED = (
    click.option("--into", metavar="DIR", help="Where to write (default: the project's recordings)."),
    click.option("--overwrite", is_flag=True, help="Replace recordings that are there and say something else."),
)
_HOST = click.option("--host", "hosts", multiple=True, metavar="NAME", help="A provider of yours; repeat it for more.")


def _with_shared(command: F) -> F:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.group("import")
def import_command() -> None:
    """Make recordings of what others have recorded.

    \b
    Examples:
      harness import cassettes tests/    vcrpy's, as pytest-recording lays them
      harness import har session.har     a browser's, or mitmproxy's
      harness import ogx recordings/     OGX's (llama-stack's), of any age

    Secrets are taken out as when recording. Nothing is overwritten unless you say so.

    Exit code: 0 everything came in, 1 something was skipped, 2 nothing could be read.
    """


@import_command.command()
@click.argument("places", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="DIR...")
@_with_shared
@_HOST
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="pytest's root (default: the nearest folder with a pytest.ini, pyproject.toml, …).")  # fmt: skip
@click.pass_context
def cassettes(context: click.Context, /, places: tuple[Path, ...], root: Path | None, **given: Any) -> None:
    """Make recordings of vcrpy's cassettes.

    Each gets the test that its cassette is for as its scope. YAML and JSON, gzipped too.

    \b
    Example:
      harness import cassettes tests/
      harness import cassettes tests/cassettes/test_weather --into recordings
    """
    from harness.errors import RecordingError, SettingsError
    from harness.recording.cassette_names import SUFFIXES
    from harness.recording.http_exchange import from_cassette
    from harness.stores.cassette_files import Tests, cassettes_below, is_meant, root_of

    try:
        from harness.vcr_bridge import read_cassette
    except ModuleNotFoundError as error:
        raise SettingsError("vcrpy is not installed.", hint="pip install 'harness[vcr]'") from error
    found = {place: cassettes_below(place) for place in places}
    if not any(found.values()):
        raise click.UsageError(f"No cassette in {', '.join(map(str, places))}: no file ends in {', '.join(SUFFIXES)}.")
    intake, with_others = _intake(given), []
    for place, paths in found.items():
        tests = Tests(root.absolute() if root else root_of(place.absolute()))
        for path in paths:
            try:
                exchanges = read_cassette(path)
            except RecordingError as error:
                if is_meant(path, place):
                    intake.skip(str(path), error)
                else:
                    intake.tally.passed_over += 1
                continue
            scope, others = tests.scope_of(path.absolute()), intake.tally.others.total()
            for number, http in enumerate(exchanges, 1):
                intake.take(http, f"{path}, interaction {number}", scope, from_cassette(http))
            with_others += [path] if intake.tally.others.total() > others else []
    _tell(intake, given)
    if with_others:
        click.echo("\n".join(["Keep the cassettes that hold them:", *(f"  {path}" for path in with_others)]))
    context.exit(1 if intake.tally.skipped else 0)


@import_command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
                metavar="FILE...")  # fmt: skip
@_with_shared
@_HOST
@click.option("--scope", metavar="NAME", help="The test that they are for (default: shared by all).")
@click.pass_context
def har(context: click.Context, /, files: tuple[Path, ...], scope: str | None, **given: Any) -> None:
    """Make recordings of HTTP archives. That is HAR 1.2, as browsers and mitmproxy save it.

    \b
    Example:
      harness import har session.har
      mitmdump --set hardump=./session.har   # while your application talks to its model
    """
    from harness.errors import RecordingError
    from harness.recording.har import entries_of, http_of_entry

    intake = _intake(given)
    for path in files:
        try:
            entries = entries_of(path.read_bytes())
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}", hint="Make it readable.") from error
        except RecordingError as error:
            if len(files) == 1:
                raise RecordingError(f"{path}: {error.message}", hint=error.hint) from error
            intake.skip(str(path), error)
            continue
        for number, entry in enumerate(entries, 1):
            what = f"{path}, entry {number}"
            try:
                http = http_of_entry(entry)
            except RecordingError as error:
                intake.skip(what, error)
                continue
            intake.take(http, what, scope)
    _end(context, intake, given)


@import_command.command()
@click.argument("place", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@_with_shared
@click.pass_context
def ogx(context: click.Context, /, place: Path, **given: Any) -> None:
    """Take over recordings of OGX's, formerly llama-stack. They may be of any generation.

    They keep their folders and contents, and get the names of what they hold. What no look-up can reach is told.

    \b
    Example:
      harness import ogx ../ogx/tests/integration/responses/recordings
    """
    from functools import partial

    from harness.checking import check_all
    from harness.errors import RecordingError
    from harness.opening import redactor_of, verifier_of
    from harness.recording.format import loads
    from harness.recording.mending import in_step, without_secrets
    from harness.recording.ogx import moves
    from harness.stores.housekeeping import closed, places, read

    settings = _settings(given)
    if settings.directory.absolute().resolve() == place.resolve():
        raise click.UsageError(f"{place} is where recordings are kept: harness rekey {place} renames them there.")
    intake, redactor, names = _intake(given), redactor_of(settings), places(place)
    if not names:
        raise click.UsageError(f"No recordings in {place}.")
    make = partial(verifier_of, settings, str(place), looks_for_secrets=False)
    for folder in closed(place):
        shut = RecordingError("a folder that may not be looked into", hint=f"chmod u+rx {place / folder}")
        intake.skip(str(place / folder), shut)
    untold = 0
    for move in moves(check_all(read(place, names), len(names), make)):
        what = str(place / move.old)
        if move.hindrance:
            intake.skip(what, RecordingError(f"cannot be reached: {move.hindrance}"))
            continue
        document = loads((place / move.old).read_bytes().decode())
        untold += document.get("test_id") is None
        intake.write(move.new.removesuffix(".json"), without_secrets(in_step(document), redactor), what)
    if untold:
        click.echo(f"{untold} of them name no test: every test shares them.")
    _end(context, intake, given)


def _settings(given: dict[str, Any]) -> "Settings":
    """Where nobody named a place and there is one folder beside tests alone, that is where their tests look."""
    settings = settings_from({"recordings": given["into"]})
    return settings if given["into"] else looking_beside(settings)


def _intake(given: dict[str, Any]) -> "Intake":
    from harness.opening import redactor_of
    from harness.stores.intake import Intake

    settings = _settings(given)
    hosts = settings.upstream_hosts | {name.lower() for name in given.get("hosts", ())}
    return Intake(settings.directory, redactor_of(settings), overwrite=given["overwrite"], hosts=hosts)


def _end(context: click.Context, intake: "Intake", given: dict[str, Any]) -> None:
    _tell(intake, given)
    context.exit(1 if intake.tally.skipped else 0)


def _tell(intake: "Intake", given: dict[str, Any]) -> None:
    from harness.report.tally_terminal import lines

    place = _settings(given).directory
    here = Path.cwd()
    shown = place.relative_to(here) if place.is_relative_to(here) else place
    for line in lines(intake.tally, thing="recording", into=f"{shown}/"):
        click.echo(line)
