"""A place in an object store (S3): its objects listed, read, and written only as they are known to be.

The only user of obstore. Addresses, regions and keys of the store come from the ``AWS_…`` variables.
"""

import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from harness.errors import RecordingError, SettingsError

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_SUFFIX = ".json"
_SECONDS, _CONNECT_SECONDS, _RETRY_SECONDS = 10, 3, 15
_REST_SECONDS = 20.0
"""How long a store that could not be reached is not asked again: what waits for it would stand still each time."""


_REFUSED = re.compile(r"non-2xx status code: (?!408|429)[34]\d\d")
"""How obstore words a refusal for which it has no class: no such bucket, another region."""


class Listed(NamedTuple):
    """What a list tells of an object: its etag, and when it was written, in whole seconds since 1970."""

    etag: str
    modified: float


class Unreachable(Exception):
    """The object store does not answer now; the words are the reason."""


class Conflict(Exception):
    """An object is not (any more) what it was thought to be."""


class BucketClient:
    """The objects ``NAME.json`` below a URL (``s3://bucket/prefix``), each by its name.

    Every method may raise Unreachable, and RecordingError when the store refuses. All of them block.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _open(url)
        self._resting_until = 0.0
        self._reason = ""

    def list(self) -> dict[str, Listed]:
        """Every object by its name. Hidden ones, and names that are no paths, are passed over."""
        import obstore

        def pages() -> dict[str, Listed]:
            return {
                meta["path"].removesuffix(_SUFFIX): Listed(meta["e_tag"] or "", meta["last_modified"].timestamp())
                for page in obstore.list(self._store, chunk_size=1000)
                for meta in page
                if _is_recording(meta["path"])
            }

        return self._ask(pages)

    def get(self, name: str) -> tuple[bytes, str] | None:
        """An object's content and etag; None when there is none."""
        import obstore

        def read() -> tuple[bytes, str] | None:
            try:
                found = obstore.get(self._store, name + _SUFFIX)
                return bytes(found.bytes()), found.meta["e_tag"] or ""
            except FileNotFoundError:
                return None

        return self._ask(read)

    def put(self, name: str, data: bytes, based_on: str | None) -> str:
        """Write an object where there is none yet, or in the place of the one with the etag ``based_on``; its etag.

        Raises Conflict, and writes nothing, when that is not how it is.
        """
        import obstore

        mode: Any = "create" if based_on is None else {"e_tag": based_on}
        return self._ask(lambda: obstore.put(self._store, name + _SUFFIX, data, mode=mode))["e_tag"] or ""

    def delete(self, name: str, etag: str) -> bool:
        """Delete an object if it still has this etag; whether it did."""
        import obstore

        # Not every store deletes on a condition: between the two requests there is a moment.
        found = self.get(name)
        if found is None or found[1] != etag:
            return False
        self._ask(lambda: obstore.delete(self._store, name + _SUFFIX))
        return True

    def _ask(self, action: Callable[[], T]) -> T:
        from obstore import exceptions

        if time.monotonic() < self._resting_until:
            raise Unreachable(self._reason)
        try:
            return action()
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise Conflict(_first_line(error)) from error
        except (exceptions.BaseError, OSError) as error:
            if isinstance(error, _refusals()) or _REFUSED.search(str(error)):
                raise RecordingError(
                    f"{self.url}: {_first_line(error)}",
                    hint="Is there such a bucket, in AWS_REGION, and do AWS_ACCESS_KEY_ID and its like allow this?",
                ) from error
            self._resting_until, self._reason = time.monotonic() + _REST_SECONDS, _first_line(error)
            raise Unreachable(self._reason) from error


def _refusals() -> tuple[type[Exception], ...]:
    from obstore import exceptions

    return FileNotFoundError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError


def _open(url: str) -> "S3Store":
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise SettingsError(
            f"recordings: {url} needs the package 'obstore': {error}",
            hint="Install the extra 's3', or: pip install 'obstore>=0.8'",
        ) from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return S3Store.from_url(
        url,
        config={"endpoint": endpoint} if endpoint else {},
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": timedelta(seconds=_SECONDS),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        **_credentials(),
    )


def _credentials() -> dict[str, Any]:
    """Where keys are not in variables, boto3, if it is there, knows profiles and single sign-on."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return {"credential_provider": Boto3CredentialProvider()}
    except (ImportError, ValueError):
        return {}


def _is_recording(path: str) -> bool:
    parts = path.split("/")
    return path.endswith(_SUFFIX) and not any(part.startswith(".") or not part or "\\" in part for part in parts)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()
