"""Files that are written where there is none, or over one by the user's leave alone."""

from pathlib import Path

from harness.errors import RecordingError
from harness.recording.tally import Skipped, Tally
from harness.stores.files import write_whole


def write_new(path: Path, data: bytes, tally: Tally, *, what: str, name: str, overwrite: bool) -> None:
    """Write a file, and count it as ``name``. One that is there and says something else stays, without ``overwrite``.

    ``what`` is where it came from, for people. Raises RecordingError where the disk does not allow it.
    """
    try:
        old = path.read_bytes() if path.is_file() else None
        if old == data:
            tally.unchanged += 1
        elif old is not None and not overwrite:
            reason = f"{path} is there, and says something else"
            tally.skipped.append(Skipped(what, reason, "--overwrite replaces it."))
        else:
            write_whole(path, data)
            tally.written.append(name)
    except OSError as error:
        raise RecordingError(
            f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
        ) from error
