"""All recordings of a directory at once, for commands that look at whole sets of them."""

from collections import Counter
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.format import loads, to_exchange
from harness.recording.model import Exchange


def read_directory(path: Path | str) -> tuple[dict[str, Exchange], list[str]]:
    """The recordings in and below a directory, each under its name, and the files that could not be read.

    The name is the file's, without ``.json``; where several folders have a file of that name it is the path from
    ``path``. What could not be read is told as ``FILE: reason``. Hidden files and folders are passed over. Names are in
    order.
    """
    root = Path(path)
    files = sorted(file for file in root.rglob("*.json") if file.is_file() and not _is_hidden(file.relative_to(root)))
    count = Counter(file.stem for file in files)
    found: dict[str, Exchange] = {}
    broken: list[str] = []
    for file in files:
        inside = file.relative_to(root)
        try:
            exchange = to_exchange(loads(file.read_text("utf-8")))
        except RecordingError as error:
            broken.append(f"{inside.as_posix()}: {error.message}")
        except (OSError, UnicodeDecodeError) as error:
            broken.append(f"{inside.as_posix()}: {error}")
        else:
            found[file.stem if count[file.stem] == 1 else inside.with_suffix("").as_posix()] = exchange
    return found, broken


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)
