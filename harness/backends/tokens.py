"""How a model's tokenizer cuts a text: OpenAI's tables, as far as they are on this machine.

``tiktoken`` downloads a table that is not in its cache. Nothing is ever downloaded here: the table is looked for first,
and where it is not, or is not whole, the error says how to get it.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.recording.canonical import bare_model

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_TABLES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
}
"""OpenAI's tables and their SHA-256, as ``tiktoken`` has them."""

_SHARED = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base"}
"""Encodings that use another's table."""

_FOR_OTHERS = ("o200k_base", "cl100k_base")
"""What models of others are counted with: the first of these that is here."""


def unavailable(message: str, hint: str, param: str | None = None) -> HarnessError:
    """Why tokens cannot be counted, and what to do."""
    return HarnessError(message, hint=hint, param=param, code="tokens_unavailable", http_status=501)


class TokenCounter:
    """Counts with ``tiktoken``, where it and its tables are. ``names`` are prefixes that models' names may have."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names

    def counter(self, model: str) -> Callable[[str], int]:
        """What counts the tokens of a text for ``model``. Raises HarnessError (501) where nothing can."""
        try:
            import tiktoken
        except ImportError as error:
            raise unavailable(
                "Tokens are counted with tiktoken, which is not installed.", "Run: pip install 'harness[tokens]'"
            ) from error
        encoding = tiktoken.get_encoding(_here(_encodings(bare_model(model, self._names))))
        return lambda text: len(encoding.encode_ordinary(text))


def _encodings(model: str) -> Sequence[str]:
    """The encodings that can count for a model: its own, or any where it has none of OpenAI's."""
    from tiktoken.model import encoding_name_for_model

    try:
        return [encoding_name_for_model(model)]
    except KeyError:
        return _FOR_OTHERS


def _here(encodings: Sequence[str]) -> str:
    for encoding in encodings:
        if _has_table(_SHARED.get(encoding, encoding)):
            return encoding
    wanted = encodings[0]
    raise unavailable(
        f"Tokens cannot be counted: the table of the encoding '{wanted}' is not in tiktoken's cache ({_cache()}).",
        f"Where there is a network, run: python -c \"import tiktoken; tiktoken.get_encoding('{wanted}')\"; or set "
        "TIKTOKEN_CACHE_DIR to a directory that has it.",
    )


def _has_table(name: str) -> bool:
    """Whether tiktoken will find this table, whole, without asking the network for it."""
    if name not in _TABLES or not _cache():
        return False
    file = Path(_cache()) / hashlib.sha1(_ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == _TABLES[name]
    except OSError:
        return False


def _cache() -> str:
    """Where tiktoken keeps its tables; empty where it is told not to keep any."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return os.environ[variable]
    return str(Path(tempfile.gettempdir()) / "data-gym-cache")
