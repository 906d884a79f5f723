"""What is no text in a message, in a few words: pictures, sounds, files, forms, bytes."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator

from harness.recording.bodies import BINARY, TEXT
from harness.recording.model import MULTIPART, Json

_LONG = 200
"""From so many characters on, what looks like base64 is bytes and no word."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]*;base64,(.*)", re.DOTALL)
_NOT_SHOWN = ("type", "cache_control", "prompt_cache_breakpoint", "role", "status")


def part(value: dict[str, Json]) -> str:
    """A part or an item of a message: ``[image_url https://…]``, ``[input_audio 3 kB wav]``."""
    return f"[{' '.join([str(value['type']), *_words(value)])}]"


def _words(value: dict[str, Json]) -> Iterator[str]:
    for name, field in value.items():
        if name in _NOT_SHOWN:
            continue
        if isinstance(field, str):
            yield shortened(field)
        elif isinstance(field, dict):
            yield from _words(field)


def shortened(text: str) -> str:
    """A text as it is; of bytes in base64 their kind, their size, and a few digits that tell them from others."""
    url = _DATA_URL.fullmatch(text)
    if url is not None:
        return f"{url[1] or 'data'} {_bytes(url[2])}"
    return _bytes(text) if len(text) >= _LONG and _BASE64.fullmatch(text) else text


def _bytes(text: str) -> str:
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "===")
    except (binascii.Error, ValueError):
        data = text.encode("utf-8", "replace")
    return f"{_size(len(data))} (sha256 {hashlib.sha256(data).hexdigest()[:8]})"


def _size(number: int) -> str:
    return f"{number} B" if number < 1000 else f"{number / 1000:,.0f} kB"


def as_text(body: Json) -> str | None:
    """A body that is no JSON: a text as it is, a form field by field, bytes by what they are; None for any other."""
    if not isinstance(body, dict):
        return None
    if isinstance(body.get(TEXT), str):
        return str(body[TEXT])
    if isinstance(body.get(BINARY), dict):
        return f"[{_file(body[BINARY])}]"
    if isinstance(body.get(MULTIPART), list):
        return "\n".join(_field(one) for one in body[MULTIPART] if isinstance(one, dict))
    return None


def _field(one: dict[str, Json]) -> str:
    return f"{one.get('name')}: {one['value'] if 'value' in one else f'[{_file(one)}]'}"


def _file(one: dict[str, Json]) -> str:
    words = [one.get("filename"), one.get("media_type")]
    if isinstance(one.get("base64"), str):
        words.append(_bytes(str(one["base64"])))
    elif "size" in one:
        words.append(f"{_size(int(one['size']))} (sha256 {str(one.get('sha256'))[:8]})")
    return " ".join(str(word) for word in words if word)


def as_json(value: Json) -> str:
    """JSON for people: bytes by what they are, lists of numbers on one line."""
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        return json.dumps(value)
    return json.dumps(_readable(value), ensure_ascii=False, indent=1)


def _readable(value: Json) -> Json:
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {name: _readable(item) for name, item in value.items()}
    return value
