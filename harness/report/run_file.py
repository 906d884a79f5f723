"""A report of a run as a file, in the form that the file's name asks for."""

from pathlib import Path

from harness.errors import SettingsError
from harness.report import run_json, run_junit, run_markdown
from harness.report.run_log import RunLog

_FORMS = {".json": run_json.render, ".md": run_markdown.render, ".xml": run_junit.render}


def check(file: Path, source: str) -> None:
    """Raises SettingsError for a name that says no form. ``source`` is the flag that has it."""
    if file.suffix not in _FORMS:
        hint = "End it in .json, .md (Markdown) or .xml (JUnit)."
        raise SettingsError(f"{source}: {str(file)!r} says no form of a report.", hint=hint)


def write(log: RunLog, file: Path) -> None:
    """Write a report. Raises SettingsError when the disk does not allow it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_FORMS[file.suffix](log), "utf-8")
    except OSError as error:
        raise SettingsError(f"{file} could not be written: {error.strerror}", hint="Name another place.") from error
