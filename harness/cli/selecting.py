"""The words by which a user picks recordings, the same for every command that works on some of them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.completing import complete_model, complete_test, complete_what

if TYPE_CHECKING:
    from harness.recording.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

_KEY = re.compile(r"[0-9a-f]{4,64}(-[1-9][0-9]*)?|([^:]*/)(models-)?[0-9a-f]{8,64}(-[0-9a-f]+)?|models-[0-9a-f-]{4,}")
"""A key or its beginning; behind folders, or as other projects name listings of models, as ``harness ls`` has it."""

_OPTIONS = (
    click.argument("what", nargs=-1, metavar="[WHAT]...", shell_complete=complete_what),
    click.option("--test", "tests", multiple=True, metavar="TEST", shell_complete=complete_test,
                 help="Those of a test, a class, a file; * and ? stand for anything; shared: those of no test."),
    click.option("--model", "models", multiple=True, metavar="MODEL", shell_complete=complete_model,
                 help="Those of this model."),
    click.option("--endpoint", "endpoints", multiple=True, metavar="PATH",
                 help="Those of this endpoint: embeddings, chat/completions."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selected:
    """What the words on a command line mean: directories to look in (none: the project's own), and what to take.

    ``taken`` are those words that are no place, each with what it was taken for: a key, or a test.
    """

    places: Sequence[Path]
    selection: "Selection"
    taken: Mapping[str, str]

    def looked_for(self, places: Sequence[Path]) -> Iterator[str]:
        """For who finds nothing: what each word was looked for as, and where."""
        where = ", ".join(map(str, places)) or "no directory"
        for word, kind in self.taken.items():
            yield f"{word} is no directory and no .json file here; looked for as a {kind} in {where}."


def with_selection(command: F) -> F:
    """Give a command ``[WHAT]...``, ``--test``, ``--model`` and ``--endpoint``, from which ``selected`` follows."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selected(
    what: Sequence[str], tests: Sequence[str] = (), models: Sequence[str] = (), endpoints: Sequence[str] = ()
) -> Selected:
    """What was picked.

    Each word of ``what`` is a directory of recordings, a recording's file (or a pattern of files), a key or its first
    four digits or more, or else a test, as ``--test`` takes it. Raises BadParameter for a file that is not there.
    """
    from harness.recording.selection import Selection

    places: list[Path] = []
    keys: list[str] = []
    taken: dict[str, str] = {}
    for word in what:
        if not word:
            raise click.BadParameter("an empty word names nothing; leave it out for all of them.", param_hint="WHAT")
        path = Path(word)
        if path.is_dir():
            places.append(path)
        elif path.suffix == ".json":
            files = [path] if path.is_file() else sorted(map(Path, glob(word)))  # noqa: PTH207 - a Path globs below a folder alone
            if not files:
                raise click.BadParameter(f"{word} is not there.", param_hint="WHAT")
            places += [file.parent for file in files]
            keys += [file.name for file in files]
        elif _KEY.fullmatch(word):
            keys.append(word)
            taken[word] = "key"
        else:
            taken[word] = "test"
    named = [word for word, kind in taken.items() if kind == "test"]
    selection = Selection((*named, *tests), tuple(models), tuple(endpoints), tuple(keys))
    return Selected(tuple(dict.fromkeys(places)), selection, taken)
