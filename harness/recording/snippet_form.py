"""A recorded form as code that sends it again. Of its files digests are recorded: the reader has to have them."""

import shlex
from collections.abc import Iterator

from harness.recording.model import Json


def files_needed(parts: list[dict[str, Json]]) -> list[str]:
    """For each file a comment that says which one it is."""
    return [
        f"# Needs {_path(part)!r} here: {part.get('size')} bytes, sha256 {part.get('sha256')}"
        for part in parts
        if not _is_field(part)
    ]


def curl_arguments(parts: list[dict[str, Json]]) -> Iterator[str]:
    """The arguments that make the form, quoted for a shell."""
    for part in parts:
        if _is_field(part):
            yield shlex.join(["--form-string", f"{part['name']}={part['value']}"])
            continue
        said = f'{part["name"]}=@"{_escaped(_path(part))}"'
        said += f';filename="{_escaped(str(part["filename"]))}"' if part.get("filename") else ""
        said += f";type={part['media_type']}" if part.get("media_type") else ""
        yield shlex.join(["-F", said])


def python_lines(parts: list[dict[str, Json]]) -> Iterator[str]:
    """Lines that make ``body`` and ``boundary``; they need ``uuid``."""
    yield "boundary = uuid.uuid4().hex"
    yield "parts = ["
    for part in parts:
        head = f'name="{part["name"]}"'
        if _is_field(part):
            yield f"    ({head!r}, {str(part['value'])!r}.encode()),"
        else:
            head += f'; filename="{part["filename"]}"' if part.get("filename") else ""
            head += f"\r\nContent-Type: {part['media_type']}" if part.get("media_type") else ""
            yield f'    ({head!r}, open({_path(part)!r}, "rb").read()),'
    yield "]"
    yield 'body = b"".join('
    yield r'    f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"'
    yield "    for head, data in parts"
    yield r') + f"--{boundary}--\r\n".encode()'


def _is_field(part: dict[str, Json]) -> bool:
    return isinstance(part.get("value"), str)


def _path(part: dict[str, Json]) -> str:
    """A file of that name in the working directory."""
    return str(part.get("filename") or part.get("name")).replace("\\", "/").rpartition("/")[2] or "file"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
