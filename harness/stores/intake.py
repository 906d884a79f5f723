"""Recordings that come from elsewhere: written under their keys, nothing overwritten in silence, everything counted."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import RecordingError
from harness.recording.format import Document, dumps, to_document
from harness.recording.http_exchange import HttpExchange, body_of, exchange_of
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange, Json
from harness.recording.providers import is_model_traffic, is_url
from harness.recording.redact import Redactor
from harness.recording.tally import Skipped, Tally
from harness.stores.new_files import write_new


class Intake:
    """Takes exchanges into a directory. The n-th of one key gets the n-th name of its sequence.

    ``hosts`` are providers beside those that are known. A file that is there and says something else stays, unless
    ``overwrite`` is given.
    """

    def __init__(
        self, directory: Path, redactor: Redactor, *, overwrite: bool = False, hosts: Collection[str] = ()
    ) -> None:
        self.tally = Tally()
        self._directory, self._redactor, self._overwrite, self._hosts = directory, redactor, overwrite, hosts
        self._counts: Counter[str] = Counter()
        self._taken: Counter[str | None] = Counter()

    def take(
        self, http: HttpExchange, what: str, scope: str | None, metadata: Mapping[str, Json] | None = None
    ) -> None:
        """Write down an exchange as it crossed the wire, if it was with a model. Raises RecordingError on a full disk.

        ``what`` names it for people, ``metadata`` is what its ``provider_metadata`` says beside.
        """
        if not is_model_traffic(http.url, body_of(http), self._hosts):
            host = urlsplit(http.url).hostname if is_url(http.url) else None
            self.tally.others[host or "no host"] += 1
            return
        try:
            exchange = exchange_of(http, scope, self._redactor)
        except RecordingError as error:
            self.skip(what, error)
            return
        self._taken[scope] += 1
        told = {**(exchange.metadata or {}), **(metadata or {})} or None
        self._keep(replace(exchange, position=self._taken[scope], metadata=told), what)

    def _keep(self, exchange: Exchange, what: str) -> None:
        """Write an exchange under the next name of its key."""
        base = key(exchange.request, self._redactor)
        self._counts[base] += 1
        self.write(recording_name(base, self._counts[base]), to_document(exchange), what)

    def write(self, name: str, document: Document, what: str) -> None:
        """Write a document under a name, if that is free or may be overwritten."""
        path = self._directory / f"{name}.json"
        write_new(path, dumps(document).encode(), self.tally, what=what, name=name, overwrite=self._overwrite)

    def skip(self, what: str, error: RecordingError) -> None:
        """Note something that cannot come in."""
        self.tally.skipped.append(Skipped(what, error.message, error.hint))
