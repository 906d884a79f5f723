"""Cassettes as files of a project: where they are, and for which test each was made."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.recording.cassette_names import FOLDER, SHARED, SUFFIXES, names_in, scope_of, without_suffix

_ROOTS = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py", ".git")


def cassettes_below(place: Path) -> list[Path]:
    """The files that may be cassettes, by their suffixes: ``place`` itself, or what is below it and not hidden."""
    if place.is_file():
        return [place]
    found = (path for path in place.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts))


def is_meant(path: Path, place: Path) -> bool:
    """Whether a file must be a cassette: it was named itself, or is where cassettes are."""
    return path == place or FOLDER in path.absolute().parts


def root_of(place: Path) -> Path:
    """The folder that pytest would take for the root of a project: the nearest one above with a file that says so."""
    folders = [folder for folder in (place, *place.parents) if folder.is_dir()]
    return next((folder for folder in folders if any((folder / name).exists() for name in _ROOTS)), folders[0])


@dataclass(frozen=True)
class Tests:
    """The tests of a project, to tell for which of them a cassette was made."""

    root: Path

    def scope_of(self, cassette: Path) -> str | None:
        """The node id of the test that a cassette is for; its own path, without the suffix, where none is found.

        None for the one of what belongs to no test, as ``harness export`` names it.

        In pytest-recording's layout the path says it, also where there are no tests at all to be seen. In pytest-vcr's
        (one folder for all modules) it is the one module that defines the class or the function of that name. In a
        project's own it is one that does so near the cassette, the one that the cassette's folder is named for first.
        """
        inside = cassette.relative_to(self.root) if cassette.is_relative_to(self.root) else Path(cassette.name)
        place = inside.as_posix()
        if without_suffix(place) == SHARED:
            return None
        scope = scope_of(place)
        module = self.root / (scope or place).partition("::")[0]
        if scope is not None and module.is_file():
            return scope
        names = names_in(without_suffix(inside.name))
        near = self._near(cassette, self._modules.get(names[0].partition("[")[0], []))
        if len(near) == 1:
            return "::".join([near[0].relative_to(self.root).as_posix(), *names])
        is_without_tests = scope is not None and not any(module.parent.glob("*.py"))
        return scope if is_without_tests else without_suffix(place)

    def _near(self, cassette: Path, modules: list[Path]) -> list[Path]:
        """Of some modules those that a cassette may be of."""
        named = [module for module in modules if module.stem == cassette.parent.name]
        above = [folder.parent for folder in cassette.parents if folder.name == FOLDER][:1]
        for folder in above or cassette.parents:
            near = [module for module in named or modules if module.is_relative_to(folder)]
            if near or folder == self.root:
                return near
        return []

    @cached_property
    def _modules(self) -> dict[str, list[Path]]:
        """The modules that define each class and function of tests."""
        found = defaultdict(list)
        for path in sorted(self.root.rglob("*.py")):
            hidden = any(part.startswith(".") or part == "site-packages" for part in path.relative_to(self.root).parts)
            for name in () if hidden else _defined(path):
                found[name].append(path)
        return found


def _defined(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
