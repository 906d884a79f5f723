"""A directory that one process at a time works in: a lock of the system's, which ends with its holder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import RecordingError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory, which is made for it where it is not there, and goes again if it is empty then.

    Raises BlockingIOError where somebody else holds it, RecordingError where there can be no such directory. Where the
    system has no locks of directories (Windows, some file systems of networks), there is none.
    """
    if sys.platform == "win32":
        yield
        return
    try:
        descriptor = _locked(directory)
    except BlockingIOError:
        raise
    except OSError as error:
        raise RecordingError(
            f"{directory} cannot be written to: {error.strerror}", hint="Mend the permissions, or choose another."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # There is something in it.
            directory.rmdir()
        _unlock(descriptor)
        os.close(descriptor)


def _locked(directory: Path) -> int:
    """The locked directory, open. Raises OSError."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            _lock(descriptor)
            with suppress(FileNotFoundError):  # Its last holder may have removed it before this one had the lock.
                if os.path.samestat(os.fstat(descriptor), directory.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _unlock(descriptor: int) -> None:
    """Let go for the processes too that were forked meanwhile, and have the descriptor as well."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _lock(descriptor: int) -> None:
    import fcntl  # Windows has no such module.

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return
