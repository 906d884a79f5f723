"""Writing a report's file: whole, or not at all."""

import os
import tempfile
from pathlib import Path

from harness.errors import HarnessError


def write(path: Path, text: str) -> None:
    """Write a report beside its place and move it there. Raises HarnessError when the disk refuses."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise HarnessError(f"{path} could not be written: {error.strerror}", hint="Name a file elsewhere.") from error
