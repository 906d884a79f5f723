"""What a look at recordings finds: faults and peculiarities of files, each with what mends it."""

from dataclasses import dataclass
from enum import StrEnum


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
    """How much a finding matters: a fault is a *finding*, a peculiarity that harms nothing a *note*."""

    FINDING = "finding"
    NOTE = "note"


class Mend(StrEnum):
    """What ``--fix`` does about a finding: only what loses nothing."""

    NOTHING = ""
    REWRITE = "rewrite"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one file: what is wrong, the command that mends it, and what ``--fix`` would do.

    ``is_lost``: the file itself does not say what belongs there; it comes back from version control, or not at all.
    """

    file: str
    kind: Kind
    message: str
    command: str = ""
    mend: Mend = Mend.NOTHING
    level: Level = Level.FINDING
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was read: its place, with slashes, below the directory, and its text.

    One that has no text has a ``fault`` instead, and may have a ``remedy``: the command that mends it, without the
    directory before the place. ``is_link``: it is another file by another name.
    """

    place: str
    text: str = ""
    fault: str = ""
    remedy: tuple[str, ...] = ()
    is_link: bool = False

    @property
    def name(self) -> str:
        return self.place.removesuffix(".json")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a file after a look at it alone.

    ``content`` is the digest of all that it holds, ``own_id`` an id that no second answer to its request has.
    ``is_of_server``: it asks nothing but what a server has.
    """

    file: File
    findings: tuple[Finding, ...] = ()
    scope: str | None = None
    key: str = ""
    fingerprint: str = ""
    content: str = ""
    own_id: str = ""
    is_of_server: bool = False
