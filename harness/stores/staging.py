"""What a refresh has asked so far, in a hidden folder of the directory that it writes to, until all of it is there.

A recording in it is one that was answered: whoever goes on with the refresh finds it by its name and need not ask
again. Batches that were begun are kept beside them. One refresh at a time writes to a directory.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.format import dumps, to_document
from harness.recording.model import Exchange, Json
from harness.stores.files import write_whole
from harness.stores.lock import locked
from harness.stores.reading import exchange_of

FOLDER = ".refresh"

_BATCHES = "batches.json"
_PLACING = "placing.json"


class Staging:
    """The folder ``.refresh`` in a directory. ``part`` tells apart what is asked several times."""

    def __init__(self, into: Path) -> None:
        self.root = into / FOLDER

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other refreshes out of the directory, which is made; what is left empty of it goes at the end.

        Raises RecordingError where another one is under way, or the directory cannot be made or written to.
        """
        into = self.root.parent
        try:
            with locked(into):
                if not os.access(into, os.W_OK | os.X_OK):
                    # Else it would be found out after all is asked, and paid.
                    raise RecordingError(
                        f"{into} cannot be written to.", hint="Mend its permissions, or choose another: --into DIR"
                    )
                yield
        except BlockingIOError:
            raise RecordingError(
                f"Another refresh into {into} is under way.", hint="Wait for its end, or choose another: --into DIR"
            ) from None

    def load(self, part: str, name: str) -> Exchange | None:
        """What was answered; None where nothing was, or nothing that can be read."""
        try:
            return exchange_of((self.root / part / f"{name}.json").read_bytes())
        except (OSError, RecordingError):
            return None

    def beginning(self, digits: str) -> list[tuple[str, str]]:
        """The parts and names of the answers whose key begins with some digits, in order."""
        paths = sorted(self.root.rglob(f"{digits}*.json"))
        return [(str(path.parent.relative_to(self.root)), path.stem) for path in paths]

    def save(self, part: str, name: str, exchange: Exchange) -> None:
        """Keep an answer. Raises RecordingError when the disk refuses."""
        self._write(f"{part}/{name}.json", dumps(to_document(exchange)))

    def batches(self) -> list[dict[str, Json]]:
        with suppress(OSError, ValueError):
            rows = json.loads((self.root / _BATCHES).read_text("utf-8"))
            return [row for row in rows if isinstance(row, dict)]
        return []

    def keep_batches(self, rows: Sequence[dict[str, Json]]) -> None:
        self._write(_BATCHES, json.dumps(list(rows), indent=2) + "\n")

    def placing(self) -> dict[str, Json] | None:
        """What was begun to be put in place; None where that was not begun, or was done."""
        with suppress(OSError, ValueError):
            kept = json.loads((self.root / _PLACING).read_text("utf-8"))
            return kept if isinstance(kept, dict) else None
        return None

    def keep_placing(self, work: dict[str, Json]) -> None:
        self._write(_PLACING, json.dumps(work, indent=2) + "\n")

    def drop_placing(self) -> None:
        (self.root / _PLACING).unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        try:
            if not self.root.exists():
                # An unfinished refresh is nothing for version control.
                write_whole(self.root / ".gitignore", b"*\n")
            write_whole(path, text.encode())
        except OSError as error:
            raise RecordingError(
                f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
            ) from error

    @property
    def is_there(self) -> bool:
        """Whether a refresh into this directory was begun and has not ended."""
        return self.root.is_dir()

    def clear(self) -> None:
        """Forget what was asked. Raises RecordingError when the disk refuses."""
        try:
            if self.root.exists():
                # What was still to be placed goes last: killed in between, it is carried out again, to no harm.
                for path in sorted(self.root.iterdir(), key=lambda path: path.name == _PLACING):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                self.root.rmdir()
        except OSError as error:
            raise RecordingError(
                f"{self.root} could not be removed: {error.strerror}", hint="Mend the permissions."
            ) from error
