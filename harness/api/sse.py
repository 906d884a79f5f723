"""Server-sent events, as the HTML standard's section 9.2 defines them: bytes to events, events to bytes."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.api.body import compact, compact_each

DONE = b"data: [DONE]\n\n"
"""What ends a stream of chunks."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_END_OF_UNICODE = re.compile(r"[\x85\u2028\u2029]")
"""What JSON leaves as it is, and ends no line of an event. Many clients (httpx's ``iter_lines``) end one there."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its data (lines joined by newlines), its name, ``message`` when none was given, its id."""

    data: str
    name: str = "message"
    id: str | None = None


class Decoder:
    """Turns bytes, cut anywhere (inside a character, between CR and LF), into events.

    Comments and retry times are passed over; an event that the end of the stream cuts off is dropped, as the
    standard wants it. Bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest: list[str] = []
        self._after_cr = False
        self._data: list[str] = []
        self._name = ""
        self._id: str | None = None

    @property
    def is_inside(self) -> bool:
        """Whether an event has begun that has not ended."""
        return any(self._rest) or bool(self._data)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that ``data`` completes."""
        for line in self._lines(self._text.decode(data)):
            event = self._line(line)
            if event is not None:
                yield event

    def _lines(self, text: str) -> list[str]:
        if text:
            # A CR has ended its line already: an LF behind it is the other half of a CRLF.
            text = text.removeprefix("\n") if self._after_cr else text
            self._after_cr = text.endswith("\r")
        # Only what is new is looked at: an image in one event comes in hundreds of pieces.
        end_of_first, *lines = _LINE_END.split(text)
        self._rest.append(end_of_first)
        if not lines:
            return []
        first, self._rest = "".join(self._rest), lines[-1:]
        return [first, *lines[:-1]]

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event("\n".join(self._data), self._name or "message", self._id) if self._data else None
            self._data, self._name, self._id = [], "", None
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id":
            self._id = value
        return None


def encode(data: str, name: str | None = None, event_id: str | None = None) -> bytes:
    """One event as bytes, ``event:`` and ``id:`` (where it has them) and ``data:`` together.

    A CR in the data becomes a newline: the protocol knows no difference.
    """
    head = (f"event: {name}\n" if name else "") + (f"id: {event_id}\n" if event_id is not None else "")
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(data))
    return f"{head}{lines}\n".encode()


def encode_json(value: Any, name: str | None = None, event_id: str | None = None) -> bytes:
    """One event whose data is JSON, as compact as OpenAI sends it, and one line whoever splits it."""
    return encode(_one_line(compact(value)), name, event_id)


def encode_each(values: Iterable[Any]) -> bytes:
    """Events without names, one for each value, as ``encode_json`` has them."""
    return _one_line("".join([f"data: {text}\n\n" for text in compact_each(values)])).encode()


def _one_line(text: str) -> str:
    """JSON in which no character ends a line."""
    return text if text.isascii() else _LINE_END_OF_UNICODE.sub(lambda end: f"\\u{ord(end[0]):04x}", text)
