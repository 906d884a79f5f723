"""Recordings that an object store could not take: kept on this machine until it can."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness.stores.files import write_whole


class Unsent:
    """Files in a directory, each with a recording's text and the etag of what it is to replace (null for nothing)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, name: str, text: str, based_on: str | None) -> Path:
        """Keep a recording, in the place of an older one of that name; where it is now. Raises OSError."""
        path = self._directory / f"{name}.json"
        write_whole(path, json.dumps({"based_on": based_on, "text": text}).encode())
        return path

    def all(self) -> Iterator[tuple[str, Path, str, str | None]]:
        """The name, the file, the text and what it is based on, of each that can be read."""
        for path in sorted(self._directory.rglob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(path.read_text("utf-8"))
                yield path.relative_to(self._directory).as_posix()[:-5], path, kept["text"], kept["based_on"]
