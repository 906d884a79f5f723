"""What a shell may complete besides commands and flags: keys, tests and models of the project's recordings.

Only the beginnings of files are read, with no JSON parsed: a shell waits for it at every stroke of the tab key.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_HEAD = 4096
_TEST = re.compile(r'"test_id": ("(?:[^"\\]|\\.)*")')
_MODEL = re.compile(r'"model": ("(?:[^"\\]|\\.)*")')


def complete_test(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Node ids of tests that have recordings."""
    return _items(_said(_TEST), incomplete)


def complete_model(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models that recordings asked."""
    return _items(_said(_MODEL), incomplete)


def complete_mode(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The modes of a server."""
    from harness.settings import Mode

    return _items({str(mode) for mode in Mode}, incomplete)


def complete_what(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Keys, once what may begin one is typed, and tests; directories and files are the shell's to complete."""
    keys = {file.stem for file in _files()} if re.fullmatch(r"[0-9a-f]+", incomplete) else set()
    found = [*_items(keys, incomplete), *complete_test(ctx, param, incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def _items(words: set[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in sorted(words) if word.startswith(incomplete)]


def _said(expression: re.Pattern[str]) -> set[str]:
    found = set()
    for file in _files():
        try:
            with file.open(encoding="utf-8", errors="replace") as opened:
                match = expression.search(opened.read(_HEAD))
        except OSError:
            continue
        if match:
            found.add(str(json.loads(match[1])))
    return found


def _files() -> Iterator[Path]:
    from harness.cli.options import directories_of, settings_from
    from harness.errors import HarnessError

    try:
        for place in directories_of(settings_from({})):
            yield from place.rglob("*.json")
    except HarnessError:
        return
