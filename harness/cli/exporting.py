"""``harness export``: what others read, out of recordings."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.left_out import tell_left_out
from harness.cli.options import looking_beside, settings_from
from harness.recording.cassette_names import FOLDER

if TYPE_CHECKING:
    from harness.recording.lookup import Entry
    from harness.recording.tally import Tally
    from harness.stores.protocol import RecordingStore


@click.group("export")
def export_command() -> None:
    """Make of recordings what other tools read.

    \b
    Example:
      harness export cassettes           a cassette for each test, for vcrpy
    """


@export_command.command()
@click.argument("place", required=False, type=click.Path(exists=True, file_okay=False), metavar="[DIR]")
@click.option("--into", metavar="DIR", default=".", type=click.Path(file_okay=False, path_type=Path),
              help="pytest's root: cassettes go below it, beside the tests (default: here).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True,
              help="The serializer.")  # fmt: skip
@click.option("--flat", is_flag=True,
              help="pytest-vcr's layout: one folder for all modules, tests/cassettes/test_name.yaml.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace cassettes that are there and say something else.")
@click.pass_context
def cassettes(
    context: click.Context, /, *, place: str | None, into: Path, form: str, flat: bool, overwrite: bool
) -> None:
    """Make vcrpy's cassettes of recordings. One for each test, of those in DIR (default: the project's).

    They lie where pytest-recording looks for them: tests/cassettes/test_module/test_name.yaml. What came from a
    cassette is in its order there. Other recordings do not say when they were asked for: of these shorter requests come
    first; let vcrpy look at bodies, too (match_on). There an address of one machine has no port: what was
    recorded of http://localhost:8000 is found with a match_on without port. What a cassette that is there has of other
    hosts stays in it, behind the rest.

    \b
    Example:
      harness export cassettes
      harness export cassettes recordings --into ../out --format json
      harness export cassettes --flat

    Exit code: 0 everything was written, 1 something was skipped, 2 nothing could be read.
    """
    from harness.errors import SettingsError
    from harness.opening import open_store
    from harness.recording.cassette_names import cassette_of, flat_cassette_of
    from harness.recording.tally import Tally
    from harness.report.tally_terminal import lines

    try:
        import harness.vcr_bridge  # noqa: F401 - only whether it can be
    except ModuleNotFoundError as error:
        raise SettingsError("vcrpy is not installed.", hint="pip install 'harness[vcr]'") from error
    settings = settings_from({"recordings": place}) if place else looking_beside(settings_from({}))
    store, tally = open_store(settings), Tally()
    groups: dict[str, list[Entry]] = {}
    for entry in store.entries():
        groups.setdefault((flat_cassette_of if flat else cassette_of)(entry.scope), []).append(entry)
    if not groups:
        raise click.UsageError(f"No recordings in {store.where}.")
    for name, entries in sorted(groups.items()):
        _write(into / f"{name}.{form}", store, entries, tally, hosts=settings.upstream_hosts, overwrite=overwrite)
    for line in lines(tally, thing="cassette", into=_shown(into, groups)):
        click.echo(line)
    tell_left_out(store.broken(), store.passed_over())
    context.exit(1 if tally.skipped else 0)


def _shown(into: Path, names: "Iterable[str]") -> str:
    """Where cassettes are written: of the folder where the user is, the folders in it."""
    if into != Path():
        return f"{into}/"
    return ", ".join(sorted({f"{before}{FOLDER}/" for before, _, _ in (name.partition(FOLDER) for name in names)}))


def _write(
    path: Path,
    store: "RecordingStore",
    entries: "Iterable[Entry]",
    tally: "Tally",
    *,
    hosts: Collection[str],
    overwrite: bool,
) -> None:
    """Write the cassette of one test. What one that is there has of other hosts stays, behind the rest."""
    from harness.errors import RecordingError
    from harness.recording.asking_order import in_asking_order
    from harness.recording.http_exchange import http_of
    from harness.recording.tally import Skipped
    from harness.stores.new_files import write_new
    from harness.vcr_bridge import cassette_bytes

    found, crossed = {}, {}
    for entry in entries:
        try:
            found[entry.name] = store.load(entry.name)
            crossed[entry.name] = http_of(found[entry.name])
        except RecordingError as error:
            tally.skipped.append(Skipped(f"{store.where}/{entry.name}.json", error.message, error.hint))
    if not crossed:
        return
    in_order = [crossed[name] for name in in_asking_order(found) if name in crossed]
    others, has_more = _there(path, hosts)
    try:
        data = cassette_bytes(in_order, as_json=path.suffix == ".json", beside=others)
    except RecordingError as error:
        tally.skipped.append(Skipped(str(path), error.message, error.hint))
        return
    write_new(path, data, tally, what=str(path), name=str(path), overwrite=overwrite or not has_more)


def _there(path: Path, hosts: Collection[str]) -> tuple[list[Any], bool]:
    """What the cassette that is there has of other hosts, and whether it says more than that."""
    from harness.errors import RecordingError
    from harness.recording.http_exchange import body_of
    from harness.recording.providers import is_model_traffic
    from harness.vcr_bridge import beside_models

    if not path.is_file():
        return [], False
    try:
        return beside_models(path, lambda http: is_model_traffic(http.url, body_of(http), hosts))
    except RecordingError:
        return [], True
