"""Is a set of recordings in order? One look at each file by itself, then one at all of them together.

A *finding* is a fault: something that a run would stumble over, or that must not be there. A *note* is a peculiarity
that harms nothing, such as the name of a file that an older generation of recordings was given. Files are handed in as
text; what comes back says for each fault the file, what is wrong, and the command that mends it.
"""

import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import NotHttp, RecordingError
from harness.recording.broken_streams import is_cut_off, stream_faults
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.findings import Checked, File, Finding, Kind, Level, Mend
from harness.recording.format import Document, dumps, is_dumped, loads, to_exchange
from harness.recording.http_exchange import was_in_cassette
from harness.recording.key import digest, key, parse_stem, recording_name
from harness.recording.labels import wrong_labels
from harness.recording.mending import in_order, in_step
from harness.recording.model import Exchange, Json, Request
from harness.recording.naming import Naming, is_listing_name, naming
from harness.recording.own_id import own_id
from harness.recording.pieces import spelled_out
from harness.recording.recordable import says_failure
from harness.recording.redact import Redactor

Scanner = Callable[[str], Iterable[str]]
"""Looks for secrets in a text and gives their kinds."""


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
        is_in_form = is_dumped(file.text, document)
        secrets = tuple(self._secrets(file, [_lines(file.text if is_in_form else dumps(document))]))
        try:
            exchange = to_exchange(document)
        except NotHttp as error:
            return Checked(file, (*self._other(file, document, error), *secrets), content=digest(document))
        except RecordingError as error:
            return Checked(file, (self._unreadable(file, error.message), *secrets))
        return self._exchange(file, document, exchange, secrets, is_in_form=is_in_form)

    def _exchange(
        self, file: File, document: Document, exchange: Exchange, secrets: tuple[Finding, ...], *, is_in_form: bool
    ) -> Checked:
        body, holds = exchange.response.body, key(exchange.request, self.redactor)
        if not secrets and exchange.response.is_streaming and isinstance(body, list):
            secrets = tuple(self._secrets(file, spelled_out(body)))
        secrets = secrets or tuple(self._headers(file, document))
        # Some cassettes were made to say by hand that an error is an answer: a test wants it so.
        is_wanted = was_in_cassette(exchange) and says_failure(exchange.response.body)
        labels = () if is_wanted else tuple(self._labels(file, document, endpoint_of(exchange.request.path)))
        # What has to be restored has no form to be mended.
        form = () if any(found.is_lost for found in labels) else self._form(file, document, is_in_form=is_in_form)
        named = _of_one_edit(tuple(form), tuple(self._name(file, document, holds)))
        return Checked(
            file,
            (*named, *labels, *secrets),
            exchange.request.scope,
            holds,
            self.canonicalizer.fingerprint(exchange.request),
            digest(document),
            own_id(document, _base(file)),
            is_of_server=_is_of_server(exchange.request),
        )

    def together(
        self, files: Sequence[Checked], beside: Collection[str] = (), restorable: Collection[str] = ()
    ) -> list[Finding]:
        """The findings of all files, those that only show in comparison included, in the order of the files.

        ``beside`` are names of recordings in the same directory that were not looked at: they count as there.
        ``restorable`` are the places of files that version control has otherwise.
        """
        copies = list(self._duplicates(files, beside))
        told = {finding.file for finding in copies}
        orphans = (finding for finding in self._orphans(files, beside) if finding.file not in told)
        found = [*self._alone(files, told), *copies, *orphans, *self._meanings(files, told)]
        found = [self._with_command(finding, restorable) for finding in found]
        return sorted(found, key=lambda finding: (finding.file, finding.level, finding.kind))

    def _alone(self, files: Sequence[Checked], copies: Collection[str]) -> Iterator[Finding]:
        """What was found of each file by itself, as it stands among the others."""
        in_order = [checked for checked in files if checked.key and not _is_misnamed(checked)]
        named = {(_folder(checked), checked.key): checked for checked in sorted(in_order, key=_is_named)}
        for checked in files:
            twin = named.get((_folder(checked), checked.key))
            for finding in checked.findings:
                if finding.kind is not Kind.NAME or finding.level is Level.NOTE:
                    yield finding
                elif finding.file not in copies:
                    # That a copy has not the name of what it holds follows from its being one.
                    yield finding if twin is None else _without_room(finding, twin)

    def _with_command(self, finding: Finding, restorable: Collection[str]) -> Finding:
        """What is lost comes back from version control; where that has nothing else, only another recording helps."""
        if not finding.is_lost or finding.command:
            return finding
        verb = "git checkout HEAD --" if finding.file in restorable else "rm"
        return replace(finding, command=self._command(verb, finding.file))

    def left_over(self, place: str, *, is_under_way: bool) -> Finding:
        """What a write that was cut off, an editor or a patch left behind."""
        said, command = "nothing reads it: what is left of a write, or of an edit", self._command("rm", place)
        if is_under_way:
            return Finding(place, Kind.LEFT_OVER, f"{said}, unless something is written just now", command)
        is_ours = place.rpartition("/")[2].startswith(".")
        return Finding(place, Kind.LEFT_OVER, said, command, Mend.REMOVE if is_ours else Mend.NOTHING)

    def closed(self, place: str) -> Finding:
        """A folder that may not be looked into."""
        command = self._command("chmod u+rx", place)
        return Finding(place, Kind.UNREADABLE, "a folder that may not be looked into", command)

    def old(self, place: str, days: int, limit: int, level: Level) -> Finding:
        """A recording that was changed last longer ago than ``limit`` days."""
        return Finding(place, Kind.AGE, f"recorded {days} days ago, more than {limit}", _AGAIN, level=level)

    # One file.

    def _unreadable(self, file: File, fault: str) -> Finding:
        command = self._command(*file.remedy[:1], file.place, *file.remedy[1:]) if file.remedy else ""
        return Finding(file.place, Kind.UNREADABLE, fault, command, is_lost=True)

    def _note(self, file: File, kind: Kind, message: str, command: str = "") -> Finding:
        return Finding(file.place, kind, message, command, level=Level.NOTE)

    def _form(self, file: File, document: Document, *, is_in_form: bool) -> Iterator[Finding]:
        command = self._command("harness verify --fix", file.place)
        # What is in our form has each key once.
        is_doubtful = not is_in_form or any(name in file.text for name in _NO_NUMBERS)
        if is_doubtful and (no_json := _twice_or_no_number(file.text)):
            yield Finding(file.place, Kind.FORM, no_json, is_lost=True)
        elif not is_in_form:
            yield Finding(file.place, Kind.FORM, "not in the form in which it would be written", command, Mend.REWRITE)
        elif in_order(document) is not document:
            said = "its keys are not in the order in which they would be written"
            yield Finding(file.place, Kind.FORM, said, command, Mend.REWRITE)
        elif in_step(document) is not document:
            request = document["request"]
            said = (
                f"endpoint {request.get('endpoint')!r} and model {request.get('model')!r} are not its url's and body's"
            )
            yield Finding(file.place, Kind.FORM, said, command, Mend.REWRITE)

    def _other(self, file: File, document: Document, error: NotHttp) -> Iterator[Finding]:
        """What is said of an exchange with a tool; one with what reads files is named for more than its file tells."""
        yield self._note(file, Kind.FORM, f"{error.message}: replay passes it over")
        yield from self._labels(file, document, "")
        if "api" not in document["request"] and naming(_base(file), document) is not Naming.OLDER:
            named = digest({name: value for name, value in document["request"].items() if name != "test_id"})
            new = file.place.removesuffix(f"{_base(file)}.json") + f"{named}.json"
            command = self._command("mv", file.place, new)
            yield Finding(file.place, Kind.NAME, f"not named by what was asked, {named[:12]}", command)

    def _labels(self, file: File, document: Document, endpoint: str) -> Iterator[Finding]:
        response = document["response"]
        for fault in (*wrong_labels(response, endpoint), *stream_faults(response)):
            yield Finding(file.place, Kind.TYPE, fault, is_lost=True)
        if is_cut_off(response, endpoint):
            said = 'a stream without its end, and nothing says that it broke off ("is_broken")'
            # The oldest have what was read of a stream, which need not be all of it.
            level = Level.FINDING if "test_id" in document or not response["body"] else Level.NOTE
            yield Finding(file.place, Kind.TYPE, said, level=level, is_lost=level is Level.FINDING)

    def _name(self, file: File, document: Document, holds: str) -> Iterator[Finding]:
        rule = naming(_base(file), document, holds)
        command = self._command("harness rekey", file.place)
        if rule is Naming.NONE and is_listing_name(_base(file)):
            # Several listings may share their request, so none has the name of its key.
            yield Finding(file.place, Kind.NAME, "not named by what was asked, as OGX names a listing", is_lost=True)
        elif rule is Naming.NONE:
            yield Finding(file.place, Kind.NAME, f"not named by its key, which begins with {holds[:12]}", command)
        elif rule is not Naming.KEY:
            yield self._note(file, Kind.NAME, f"named by {rule.value}: found by its meaning, not by its key", command)

    def _headers(self, file: File, document: Document) -> Iterator[Finding]:
        """A header whose value is a secret for the header's name, whatever it looks like."""
        headers = [document[part].get("headers") for part in ("request", "response")]
        if any(self.redactor.redact(held) != held for held in headers if held):
            command = self._command("harness verify --fix", file.place)
            yield Finding(file.place, Kind.SECRET, "value of a header: revoke it", command, Mend.REWRITE)

    def _secrets(self, file: File, texts: Iterable[str]) -> Iterator[Finding]:
        ours, others = [], []
        for text in texts:
            ours += self.redactor.secrets(text)
            others += [kind for scan in self.scanners for kind in scan(text)]
        if ours:
            command = self._command("harness verify --fix", file.place)
            yield Finding(file.place, Kind.SECRET, f"{_listed(ours)}: revoke it", command, Mend.REWRITE)
        elif others:
            command = "add its pattern to [tool.harness.redact] and run harness verify --fix"
            yield Finding(file.place, Kind.SECRET, f"{_listed(others)}: revoke it", command)

    # All files together.

    def _duplicates(self, files: Sequence[Checked], beside: Collection[str]) -> Iterator[Finding]:
        """Files that hold what another holds, or that ask what another of the same number in its sequence asks."""
        groups: dict[str, list[Checked]] = defaultdict(list)
        for checked in files:
            # What is no exchange over HTTP has no key; it may be there twice all the same.
            if checked.key or checked.content:
                groups[checked.key or checked.content].append(checked)
        twins: dict[str, tuple[Checked, Checked]] = {}
        for group in groups.values():
            seen: list[Checked] = []
            for checked in sorted(group, key=_best_name):
                others = [other for other in seen if _is_one_too_many(other, checked)]
                if others:
                    # One that holds the very same says more than one that answers the same request.
                    twin = min(others, key=lambda other: other.content != checked.content)
                    twins[checked.file.name] = checked, twin
                seen.append(checked)
        staying = ({checked.file.name for checked in files} | set(beside)) - twins.keys()
        for checked, twin in twins.values():
            yield self._copy(checked, twin, staying)

    def _copy(self, checked: Checked, twin: Checked, staying: Collection[str]) -> Finding:
        place, same = checked.file.place, checked.content == twin.content
        said = "holds the same as" if same else "answers the same request as"
        which = f", to the id of its answer, {checked.own_id}" if _sequence(checked) == _sequence(twin) else ""
        # Folders may be sets of their own, each with its tests: nothing is taken from one for being in another.
        is_beside = _folder(checked) == _folder(twin) or checked.file.is_link
        # Each such set asks its own server what it has; and older recordings of several folders were never one set.
        is_of_another = checked.is_of_server or (not same and _base(checked.file) != checked.key)
        base, number = parse_stem(checked.file.name)
        after = recording_name(base, number + 1)
        # Past its last answer a sequence gives that again: without a copy of it nothing is lost.
        is_last = after not in staying
        command = self._command("rm", place)
        if not is_last:
            command += " && " + self._command("harness rekey", f"{after}.json")
        return Finding(
            place,
            Kind.DUPLICATE,
            f"{said} {twin.file.place}{which}",
            command,
            Mend.REMOVE if same and is_beside and is_last else Mend.NOTHING,
            Level.NOTE if is_of_another and not is_beside else Level.FINDING,
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
                    yield self._note(checked.file, Kind.MEANING, said)

    def _command(self, verb: str, *places: str) -> str:
        folder = "" if self.place in ("", ".") else self.place.rstrip("/") + "/"
        return " ".join([verb, *(shlex.quote(folder + place) for place in places)])


_NO_NUMBERS = ("NaN", "Infinity")
_DIGEST = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")
_AGAIN = "HARNESS_MODE=record OPENAI_API_KEY=… pytest"


def _lines(text: str) -> str:
    """A text without the lines that it has twice: a stream's chunks are much alike."""
    return "\n".join(dict.fromkeys(map(str.lstrip, text.split("\n"))))


def _base(file: File) -> str:
    """A file's name without its folder and without the number of a sequence."""
    return parse_stem(file.name)[0].rpartition("/")[2]


def _twice_or_no_number(text: str) -> str:
    """What Python reads and JSON does not mean: a key that stands twice in one object, ``NaN``; empty for nothing."""
    found: list[str] = []

    def count(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        read = dict(pairs)
        if len(read) < len(pairs):
            twice = next(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)
            found.append(f"the key {twice!r} stands twice in one object")
        return read

    json.loads(text, object_pairs_hook=count, parse_constant=lambda name: found.append(f"{name} is no JSON"))
    return found[0] if found else ""


def _of_one_edit(form: tuple[Finding, ...], name: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What is wrong with form and name; where both are, whoever edited the request did both."""
    if not any(found.mend is Mend.REWRITE for found in form) or not any(found.level is Level.FINDING for found in name):
        return *form, *name
    (formed,), (named,) = form, name
    if named.is_lost:
        return name
    message, command = f"{named.message}; {formed.message}", f"{formed.command} && {named.command}"
    return (replace(named, message=message, command=command, mend=Mend.REWRITE),)


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(kinds))


def _is_misnamed(checked: Checked) -> bool:
    return any(found.kind is Kind.NAME and found.level is Level.FINDING for found in checked.findings)


def _is_named(checked: Checked) -> bool:
    """Whether a file has the name of what it holds."""
    return bool(checked.key) and _base(checked.file) == checked.key


def _folder(checked: Checked) -> str:
    return checked.file.place.rpartition("/")[0]


def _without_room(finding: Finding, twin: Checked) -> Finding:
    """A misnamed file that cannot have its name: another one answers that request."""
    said = f"{finding.message}; {twin.file.place} answers that request"
    return replace(finding, message=said, command="", is_lost=True)


def _is_of_server(request: Request) -> bool:
    """Whether nothing is asked but what a server has: its models, those that it runs. For OGX any method is POST."""
    return not request.body and request.scope is None


def _best_name(checked: Checked) -> tuple[bool, bool, bool, bool, bool, str, int]:
    """Files named by their key first, then those that an older rule names: the other ones are the copies.

    A link is never what stays: what it leads to would be gone. In the folder of its test a file is no copy of one in
    another; and of a sequence the first answers stay.
    """
    is_word = not _DIGEST.fullmatch(_base(checked.file))
    sequence, number = parse_stem(checked.file.name)
    is_away = not _is_with_its_test(checked)
    return checked.file.is_link, not _is_named(checked), _is_misnamed(checked), is_word, is_away, sequence, number


def _is_with_its_test(checked: Checked) -> bool:
    """Whether a file is in a folder that has the place of its test, where each folder of tests has its recordings."""
    folder = _folder(checked).removesuffix("recordings").rstrip("/")
    of_test = (checked.scope or "").partition("::")[0].rpartition("/")[0]
    return bool(folder) and f"/{of_test}".endswith(f"/{folder}")


def _is_one_too_many(one: Checked, other: Checked) -> bool:
    """Whether of two files of one key there should be but one: they are not two answers of one sequence."""
    is_same = one.content == other.content
    if _sequence(one) == _sequence(other):
        return is_same and bool(one.own_id)
    names = [parse_stem(file.name.rpartition("/")[2]) for file in (one.file, other.file)]
    return is_same or names[0] == names[1]


def _sequence(checked: Checked) -> str:
    """What the files of one sequence share: their folder and their name without its number."""
    return parse_stem(checked.file.name)[0]
