"""Content codings (RFC 9110, section 8.4): bodies as they crossed the wire, made what they were before."""

import gzip
import zlib
from collections.abc import Callable

from harness.errors import RecordingError


def _deflate(body: bytes) -> bytes:
    # zlib's format is the standard's; some servers send the bare one.
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, -zlib.MAX_WBITS)


def _brotli(body: bytes) -> bytes:
    import brotli

    plain: bytes = brotli.decompress(body)
    return plain


def _zstd(body: bytes) -> bytes:
    import zstandard

    plain: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return plain


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
_PACKAGES = {"br": "brotli", "zstd": "zstandard"}


def decoded(body: bytes, coding: str) -> bytes:
    """A body without its codings, which ``coding`` (the value of Content-Encoding) names in the order of their use.

    Many recorders keep a header that names a coding beside a body that they have decoded: what is none of that coding,
    and is text, is taken for such a body. Raises RecordingError for what cannot be decoded.
    """
    for name in reversed([part.strip().lower() for part in coding.split(",")]):
        if name in ("", "identity") or not body:
            continue
        body = _decoded(body, name)
    return body


def _decoded(body: bytes, name: str) -> bytes:
    try:
        return _CODINGS[name](body)
    except ModuleNotFoundError as error:
        if _is_text(body):
            return body
        package = _PACKAGES[name]
        raise RecordingError(f"its body is coded as {name}", hint=f"pip install {package}") from error
    except Exception as error:
        if _is_text(body):
            return body
        raise RecordingError(
            f"its body is not {name}, as its Content-Encoding says", hint="Record it again."
        ) from error


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
