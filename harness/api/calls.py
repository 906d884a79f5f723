"""Telling the tool calls of a stream apart."""

from typing import Any


class CallNumbers:
    """Gives the tool calls of one choice their numbers, counted from 0 in order of appearance.

    A piece belongs to a call by its ``index``. Ollama sends every call whole and with the index 0: a name with a new id
    is a new call. An id alone is none, for some versions of vLLM make up another for each piece.
    """

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, int]] = {}
        self._count = 0

    def number(self, piece: dict[str, Any], position: int) -> int:
        """The number of the call that ``piece`` belongs to; ``position`` stands in for an index that is not given."""
        index = piece.get("index")
        place = position if index is None else index
        call_id = piece.get("id") or ""
        named = any((piece.get(kind) or {}).get("name") for kind in ("function", "custom"))
        known = self._open.get(place)
        if known is None or (named and call_id and call_id != known[0]):
            known = self._open[place] = call_id, self._count
            self._count += 1
        return known[1]
