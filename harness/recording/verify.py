"""Is a set of recordings in order? One look at each file by itself, then one at all of them together.

A *finding* is a fault: something that a run would stumble over, or that must not be there. A *note* is a peculiarity
that harms nothing, such as the name of a file that an older generation of recordings was given. Files are handed in as
text; what comes back says for each fault the file, what is wrong, and the command that mends it.
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from harness.errors import RecordingError
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.format import Document, dumps, loads, to_exchange
from harness.recording.key import digest, key, parse_stem, recording_name
from harness.recording.labels import wrong_labels
from harness.recording.model import Exchange
from harness.recording.naming import Naming, naming
from harness.recording.pieces import spelled_out
from harness.recording.redact import Redactor

Scanner = Callable[[str], Iterable[str]]
"""Looks for secrets in a text and gives their kinds."""


class Kind(StrEnum):
    """What a finding is about."""

    UNREADABLE = "unreadable"
    FORM = "form"
    NAME = "name"
    TYPE = "type"
    DUPLICATE = "duplicate"
    ORPHAN = "orphan"
    SECRET = "secret"  # noqa: S105 - a word of reports
    LEFT_OVER = "left over"
    AGE = "age"
    MEANING = "meaning"


class Level(StrEnum):
    """How much a finding matters."""

    FINDING = "finding"
    NOTE = "note"


class Mend(StrEnum):
    """What ``--fix`` does about a finding: only what loses nothing."""

    NOTHING = ""
    REWRITE = "rewrite"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one file: what is wrong, the command that mends it, and what ``--fix`` would do."""

    file: str
    kind: Kind
    message: str
    command: str
    mend: Mend = Mend.NOTHING
    level: Level = Level.FINDING


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was read: its place, with slashes, below the directory, and its text; ``fault`` when it has none."""

    place: str
    text: str = ""
    fault: str = ""

    @property
    def name(self) -> str:
        return self.place.removesuffix(".json")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a file after a look at it alone; ``content`` is the digest of all that it holds."""

    file: File
    findings: tuple[Finding, ...] = ()
    scope: str | None = None
    key: str = ""
    fingerprint: str = ""
    content: str = ""


@dataclass(frozen=True)
class Verifier:
    """Looks at recordings. ``place`` is the directory as the user wrote it, for commands."""

    place: str
    canonicalizer: Canonicalizer = field(default_factory=Canonicalizer)
    redactor: Redactor = field(default_factory=Redactor)
    scanners: Sequence[Scanner] = ()

    def check(self, file: File) -> Checked:
        """One file by itself: does it load, is it what we would write, is it named by its key, is there a secret."""
        if file.fault:
            return Checked(file, (self._unreadable(file, file.fault),))
        if not file.text.strip():
            return Checked(file, (self._unreadable(file, "the file is empty"),))
        try:
            document = loads(file.text)
        except RecordingError as error:
            return Checked(file, (self._unreadable(file, error.message), *self._secrets(file, [file.text])))
        # Without its indentation, which is most of a file and holds nothing.
        secrets = tuple(self._secrets(file, [json.dumps(document)]))
        try:
            exchange = to_exchange(document)
        except RecordingError as error:
            if naming(_base(file), document) is Naming.OLDER:
                told = f"not an exchange over HTTP, which replay passes over ({error.message})"
                return Checked(file, (self._note(file, Kind.FORM, told, ""), *secrets))
            return Checked(file, (self._unreadable(file, error.message), *secrets))
        return self._exchange(file, document, exchange, secrets)

    def _exchange(self, file: File, document: Document, exchange: Exchange, secrets: tuple[Finding, ...]) -> Checked:
        body, holds = exchange.response.body, key(exchange.request, self.redactor)
        if not secrets and exchange.response.is_streaming and isinstance(body, list):
            secrets = tuple(self._secrets(file, spelled_out(body)))
        findings = [
            *self._form(file, document),
            *self._labels(file, document),
            *self._name(file, document, holds),
            *secrets,
        ]
        return Checked(
            file,
            tuple(findings),
            exchange.request.scope,
            holds,
            self.canonicalizer.fingerprint(exchange.request),
            digest(document),
        )

    def together(self, files: Sequence[Checked], beside: Collection[str] = ()) -> list[Finding]:
        """The findings of all files, those that only show in comparison included, in the order of the files.

        ``beside`` are names of recordings in the same directory that were not looked at: they count as there.
        """
        found = [finding for checked in files for finding in checked.findings]
        copies = list(self._duplicates(files))
        told = {finding.file for finding in copies}
        # That a copy has not the name of what it holds follows from its being one.
        found = [finding for finding in found if not (finding.kind is Kind.NAME and finding.file in told)]
        found += copies
        found += self._orphans(files, beside)
        found += self._meanings(files, told)
        return sorted(found, key=lambda finding: (finding.file, finding.level, finding.kind))

    def left_over(self, place: str) -> Finding:
        """What a process that was killed while it wrote left behind."""
        command = self._command("rm", place)
        return Finding(place, Kind.LEFT_OVER, "the remains of a write that was cut off", command, Mend.REMOVE)

    def old(self, place: str, days: int, limit: int, level: Level) -> Finding:
        """A recording that was changed last longer ago than ``limit`` days."""
        return Finding(place, Kind.AGE, f"recorded {days} days ago, more than {limit}", _AGAIN, level=level)

    # One file.

    def _unreadable(self, file: File, fault: str) -> Finding:
        return Finding(file.place, Kind.UNREADABLE, fault, self._command("git checkout --", file.place))

    def _note(self, file: File, kind: Kind, message: str, command: str) -> Finding:
        return Finding(file.place, kind, message, command, level=Level.NOTE)

    def _form(self, file: File, document: Document) -> Iterator[Finding]:
        command = self._command("harness verify --fix", file.place)
        if not _is_in_form(file.text, document):
            yield Finding(file.place, Kind.FORM, "not in the form in which it would be written", command, Mend.REWRITE)
        elif in_step(document) is not document:
            request = document["request"]
            said = (
                f"endpoint {request.get('endpoint')!r} and model {request.get('model')!r} are not its url's and body's"
            )
            yield Finding(file.place, Kind.FORM, said, command, Mend.REWRITE)

    def _labels(self, file: File, document: Document) -> Iterator[Finding]:
        for fault in wrong_labels(document["response"].get("body")):
            yield Finding(file.place, Kind.TYPE, fault, self._command("git checkout --", file.place))

    def _name(self, file: File, document: Document, holds: str) -> Iterator[Finding]:
        rule = naming(_base(file), document, holds)
        command = self._command("harness rekey", file.place)
        if rule is Naming.OLDER:
            yield self._note(file, Kind.NAME, "named by an older rule: found by its meaning, not by its key", command)
        elif rule is Naming.NONE:
            yield Finding(file.place, Kind.NAME, f"not named by its key, which begins with {holds[:12]}", command)

    def _secrets(self, file: File, texts: Iterable[str]) -> Iterator[Finding]:
        ours, others = [], []
        for text in texts:
            ours += self.redactor.secrets(text)
            others += [kind for scan in self.scanners for kind in scan(text)]
        for kind in dict.fromkeys(ours):
            command = self._command("harness verify --fix", file.place)
            yield Finding(file.place, Kind.SECRET, f"{kind}: revoke it", command, Mend.REWRITE)
        for kind in dict.fromkeys(others if not ours else ()):
            command = "add its pattern to [tool.harness.redact] and run harness verify --fix"
            yield Finding(file.place, Kind.SECRET, f"{kind}: revoke it", command)

    # All files together.

    def _duplicates(self, files: Sequence[Checked]) -> Iterator[Finding]:
        """Files that hold what another holds, or that ask what another of the same number in its sequence asks."""
        groups: dict[object, list[Checked]] = defaultdict(list)
        for checked in files:
            if checked.key:
                groups[checked.key].append(checked)
        for group in groups.values():
            seen: list[Checked] = []
            for checked in sorted(group, key=_best_name):
                twins = [other for other in seen if _same_place(other, checked)]
                if twins:
                    # One that holds the very same says more than one that answers the same request.
                    yield self._copy(checked, min(twins, key=lambda twin: twin.content != checked.content))
                seen.append(checked)

    def _copy(self, checked: Checked, twin: Checked) -> Finding:
        place, same = checked.file.place, checked.content == twin.content
        said = "holds the same as" if same else "answers the same request as"
        # Older recordings of several folders were never one set.
        apart = (
            (not same or _base(checked.file) == _base(twin.file))
            and _base(checked.file) != checked.key
            and place.rpartition("/")[0] != twin.file.place.rpartition("/")[0]
        )
        return Finding(
            place,
            Kind.DUPLICATE,
            f"{said} {twin.file.place}",
            self._command("rm", place),
            Mend.REMOVE if same else Mend.NOTHING,
            Level.NOTE if apart else Level.FINDING,
        )

    def _orphans(self, files: Sequence[Checked], beside: Collection[str]) -> Iterator[Finding]:
        there = {checked.file.name for checked in files} | set(beside)
        for checked in files:
            base, number = parse_stem(checked.file.name)
            before = recording_name(base, number - 1) if number > 1 else ""
            if before and before not in there:
                said = f"number {number} of a sequence without its number {number - 1}"
                yield Finding(checked.file.place, Kind.ORPHAN, said, self._command("harness rekey", checked.file.place))

    def _meanings(self, files: Sequence[Checked], told: Collection[str]) -> Iterator[Finding]:
        """Recordings of one scope that share their fingerprint: of these, look-up by meaning takes the nearest."""
        groups: dict[tuple[str | None, str], list[Checked]] = defaultdict(list)
        for checked in files:
            if checked.fingerprint and checked.file.place not in told:
                groups[checked.scope, checked.fingerprint].append(checked)
        for group in groups.values():
            first = min(group, key=lambda checked: checked.file.place)
            for checked in group:
                if checked.key != first.key:
                    said = f"asks in other words what {first.file.place} asks"
                    yield self._note(checked.file, Kind.MEANING, said, "")

    def _command(self, verb: str, place: str) -> str:
        folder = "" if self.place in ("", ".") else self.place.rstrip("/") + "/"
        return f"{verb} {shlex.quote(folder + place)}"


_AGAIN = "HARNESS_MODE=record OPENAI_API_KEY=… pytest"


def _is_in_form(text: str, document: Document) -> bool:
    if text == dumps(document):
        return True
    # Older recordings have their text unescaped; that was their form.
    return not text.isascii() and text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _base(file: File) -> str:
    """A file's name without its folder and without the number of a sequence."""
    return parse_stem(file.name)[0].rpartition("/")[2]


def _best_name(checked: Checked) -> tuple[bool, bool, str]:
    """Files named by their key first, then those that an older rule names: the other ones are the copies."""
    misnamed = any(found.kind is Kind.NAME and found.level is Level.FINDING for found in checked.findings)
    return _base(checked.file) != checked.key, misnamed, checked.file.place


def _same_place(one: Checked, other: Checked) -> bool:
    """Whether two files of one key are one too many: not the answers of one sequence, in one folder."""
    if one.content == other.content and _folder_and_base(one) != _folder_and_base(other):
        return True
    both = one.file, other.file
    named = [parse_stem(file.name.rpartition("/")[2]) for file in both]
    return named[0] == named[1]


def _folder_and_base(checked: Checked) -> str:
    return parse_stem(checked.file.name)[0]


def in_step(document: Document) -> Document:
    """A document whose request says the endpoint of its url and the model of its body; itself when it does."""
    request, body = document["request"], document["request"].get("body")
    should = dict(request)
    if "endpoint" in request:
        should["endpoint"] = endpoint_of(urlsplit(request["url"]).path)
    if "model" in request and isinstance(body, dict):
        model = body.get("model", "")
        should["model"] = model if isinstance(model, str) else ""
    return document if should == request else {**document, "request": should}


def without_secrets(document: Document, redactor: Redactor) -> Document:
    """A document without secrets, those included that its stream spells out across chunks; itself when it has none."""
    response = document["response"]
    if response.get("is_streaming") and isinstance(response.get("body"), list):
        body = redactor.stream(response["body"])
        if body is not response["body"]:
            document = {**document, "response": {**response, "body": body}}
    clean: Document = redactor.redact(document)
    return clean
