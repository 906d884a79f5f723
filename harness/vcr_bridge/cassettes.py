"""Cassettes as files: bytes to exchanges as they crossed the wire, and back.

Read is what vcrpy wrote in its time and what is common beside it: YAML and JSON, gzipped too; the format of before
version 1; ``requests`` and ``responses`` in two lists, as LangChain has them; bodies as text, bytes, base64 or JSON
(``parsed_body``); the answers of vcrpy's old stub for httpx.
"""

import base64
import binascii
import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from vcr.migration import migrate_json, migrate_yml
from vcr.serialize import CASSETTE_FORMAT_VERSION
from vcr.serializers import jsonserializer, yamlserializer

from harness.errors import RecordingError
from harness.recording.http_exchange import HttpExchange

_AGAIN = "Record it again, or restore the file."


def read_cassette(path: Path) -> list[HttpExchange]:
    """The exchanges of a cassette, in order. Raises RecordingError when it cannot be read, or is none."""
    data = _data(path)
    return [] if data is None else interactions(data)


def beside_models(path: Path, is_models: Callable[[HttpExchange], bool]) -> tuple[list[Any], bool]:
    """The interactions of a cassette that are no model's, as they stand there, and whether it says more than these.

    Raises RecordingError when it cannot be read, or is none.
    """
    data = _data(path)
    flags = [] if data is None else [is_models(http) for http in interactions(data)]
    stand = data.get("interactions") if flags else []
    if not isinstance(stand, list):  # A project's own layout.
        return [], True
    return [one for one, is_model in zip(stand, flags, strict=True) if not is_model], any(flags)


def _data(path: Path) -> Any:
    """What a file holds, deserialized; None for an empty one."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise RecordingError(f"cannot be read: {error}", hint=_AGAIN) from error
    return _loaded(text, is_json=".json" in path.suffixes) if text.strip() else None


def _loaded(text: str, *, is_json: bool) -> Any:
    try:
        data = json.loads(text) if is_json else yamlserializer.deserialize(text)
        return _migrated(text, is_json=is_json) if _is_old(data) else data
    except yaml.YAMLError as error:
        if "python/object:vcr" in text:
            return _migrated(text, is_json=is_json)
        raise RecordingError(f"not YAML: {' '.join(str(error).split())}", hint=_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", hint=_AGAIN) from error


def _is_old(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "request" in data[0]


def _migrated(text: str, *, is_json: bool) -> Any:
    """A cassette of before version 1, as vcrpy itself makes it one of today."""
    new = io.StringIO()
    try:
        (migrate_json if is_json else migrate_yml)(io.StringIO(text), new)
        load = jsonserializer.deserialize if is_json else yamlserializer.deserialize
        return load(new.getvalue())
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise RecordingError(f"a cassette of before vcrpy 1.0: {error!r}", hint=_AGAIN) from error


def interactions(data: Any) -> list[HttpExchange]:
    """The interactions of a cassette that has been deserialized. Raises RecordingError when it is none."""
    found = data.get("interactions") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(data.get("requests"), list) and isinstance(data.get("responses"), list):
        pairs = zip(data["requests"], data["responses"], strict=False)
        found = [{"request": request, "response": response} for request, response in pairs]
    if not isinstance(found, list):
        raise RecordingError('not a cassette: no "interactions"', hint="Move the file elsewhere.")
    try:
        return [http_of(one["request"], one["response"]) for one in found]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"not a cassette: {error!r} in an interaction", hint=_AGAIN) from error


def http_of(request: Mapping[str, Any], response: Mapping[str, Any]) -> HttpExchange:
    """A request and a response as vcrpy has them, in a file or in memory."""
    status = response["status_code"] if "status_code" in response else response["status"]
    code = status.get("code") if isinstance(status, Mapping) else status
    holder = response if "content" in response or "parsed_body" in response else response.get("body")
    return HttpExchange(
        str(request["method"]),
        str(request["uri"]),
        _headers(request.get("headers")),
        bytes_of(request if "parsed_body" in request else request.get("body")),
        int(code or HTTPStatus.OK),
        _headers(response.get("headers")),
        bytes_of(holder),
    )


def _headers(headers: Any) -> dict[str, str]:
    """Names in lower case; of a header that is there several times the first counts."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    firsts = {str(name).lower(): value[0] if isinstance(value, list | tuple) and value else value
              for name, value in pairs}  # fmt: skip
    texts = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in firsts.items()}
    return {name: value for name, value in texts.items() if isinstance(value, str)}


def bytes_of(body: Any) -> bytes:
    """A body of any of its forms as bytes."""
    if isinstance(body, Mapping):
        if "parsed_body" in body:
            return json.dumps(body["parsed_body"]).encode()
        if isinstance(body.get("base64_string"), str):
            return _from_base64(body["base64_string"])
        if body.get("encoding") == "base64":
            return _from_base64(body.get("string", ""))
        if not {"string", "content"} & body.keys():
            return json.dumps(dict(body)).encode() if body else b""
        return bytes_of(body["string"] if "string" in body else body["content"])
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return bytes_of(body.read())
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    return b"".join(map(bytes_of, body))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def cassette_bytes(exchanges: Iterable[HttpExchange], *, as_json: bool, beside: Iterable[Any] = ()) -> bytes:
    """A cassette as a file. Raises RecordingError for bytes that are no text, where it is JSON.

    ``beside`` are interactions as another cassette has them; they come last.
    """
    found = [*({"request": _request(http), "response": _response(http)} for http in exchanges), *beside]
    data = {"version": CASSETTE_FORMAT_VERSION, "interactions": found}
    try:
        text: str = (jsonserializer if as_json else yamlserializer).serialize(data)
    except TypeError as error:
        raise RecordingError("an answer is bytes, which JSON does not hold", hint="Write YAML.") from error
    return text.encode()


def _request(http: HttpExchange) -> dict[str, Any]:
    return {
        "method": http.method,
        "uri": http.url,
        # vcrpy tells no body from an empty one. That is what each request of httpx has, by which most clients ask.
        "body": _readable(http.request_body),
        "headers": {name: [value] for name, value in http.request_headers.items()},
    }


def response_of(http: HttpExchange) -> dict[str, Any]:
    """A response as vcrpy has it in memory, its body as bytes."""
    return {
        "status": {"code": http.status, "message": _reason(http.status)},
        "headers": {name: [value] for name, value in http.response_headers.items()},
        "body": {"string": http.response_body},
    }


def _response(http: HttpExchange) -> dict[str, Any]:
    return {**response_of(http), "body": {"string": _readable(http.response_body)}}


def _readable(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
