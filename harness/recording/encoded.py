"""Texts inside other texts and inside bytes: behind percent signs, in base64, packed with gzip, among binary data."""

import base64
import binascii
import gzip
import re
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_RUN = re.compile(r"[^\s\"'<>]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{40,}\r?\n)+[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9+/_-]{24,}={0,2}")
_LONGEST_SHIFTED = 4096
"""Longer runs of base64 are files, and begin where they begin; before shorter ones a word may stand."""
_PRINTABLE = re.compile(rb"[ -~\t\r\n]{8,}")
"""What is read as text among bytes that are no text as a whole, as strings(1) does."""
_GZIP = b"\x1f\x8b\x08"
_LARGEST_UNPACKED = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unescaped:
    """A run of a text with its percent-escapes decoded; ``at`` says where in the text a character of it stands."""

    text: str
    start: int
    escapes: list[int]

    def at(self, position: int) -> int:
        return self.start + position + 2 * bisect_left(self.escapes, position)


def unescaped(text: str) -> Iterator[Unescaped]:
    """The runs of a text that have percent-escapes."""
    for run in _RUN.finditer(text) if "%" in text else ():
        found = [escape.start() - 2 * number for number, escape in enumerate(_ESCAPE.finditer(run[0]))]
        if found:
            yield Unescaped(_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), run[0]), run.start(), found)


def in_base64(text: str) -> Iterator[tuple[int, int, Iterator[str]]]:
    """Where runs of base64 begin and end, and the texts that each may stand for."""
    for run in _BASE64.finditer(text):
        yield run.start(), run.end(), (said for data in _decodings(run[0]) for said in _texts(data))


def _decodings(run: str) -> Iterator[bytes]:
    """What a run of base64 may say, wherever in it the encoded part begins."""
    letters = re.sub(r"[\r\n=]", "", run).replace("-", "+").replace("_", "/")
    for shift in range(4) if len(letters) <= _LONGEST_SHIFTED else (0,):
        part = letters[shift:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            yield base64.b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue


def _texts(data: bytes) -> Iterator[str]:
    """Bytes as text if they are text, else the texts among them."""
    plain = _unpacked(data) or data
    try:
        yield plain.decode()
    except UnicodeDecodeError:
        yield from (found[0].decode() for found in _PRINTABLE.finditer(plain))


def with_texts(data: bytes, change: Callable[[str], str]) -> bytes:
    """``data`` with ``change`` made in the texts that it holds; ``data`` itself when nothing is."""
    plain = _unpacked(data)
    if plain is not None:
        changed = with_texts(plain, change)
        return data if changed is plain else gzip.compress(changed, mtime=0)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        changed = _PRINTABLE.sub(lambda found: change(found[0].decode()).encode(), data)
    else:
        changed = change(text).encode()
    return data if changed == data else changed


def _unpacked(data: bytes) -> bytes | None:
    """What was packed with gzip; None for what was not, is cut off or too large."""
    if not data.startswith(_GZIP):
        return None
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, _LARGEST_UNPACKED)
    except zlib.error:
        return None
    return plain if unpacker.eof and not unpacker.unused_data else None
