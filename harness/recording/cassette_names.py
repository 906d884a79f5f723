"""Which test a cassette is for, and what a test's cassette is called: the layout of pytest-recording.

``tests/test_a.py::TestX::test_y[a/b]`` has ``tests/cassettes/test_a/TestX.test_y[a-b].yaml``: characters that are no
part of a file's name are dashes there, of nested classes the innermost one is named, and a long name is cut.
"""

import hashlib
import re
from functools import lru_cache

FOLDER = "cassettes"
SHARED = f"{FOLDER}/shared"
"""The cassette of what belongs to no test."""
SUFFIXES = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")

_NO_PART_OF_A_NAME = re.compile(r"""[<>?%*:|"'/\\]""")
_LONGEST = 255
_SUFFIX_LENGTH = 4
"""pytest-recording counts the name of the serializer in place of the suffix; ``yaml`` and ``json`` are alike."""


def without_suffix(place: str) -> str:
    """The path of a cassette without what says its serializer."""
    return next((place.removesuffix(suffix) for suffix in reversed(SUFFIXES) if place.endswith(suffix)), place)


@lru_cache(maxsize=1 << 15)
def cassette_of(scope: str | None) -> str:
    """The path of a scope's cassette, with slashes and without a suffix, below the root of the project.

    A scope that is itself the path of a cassette, for want of a test, says its own.
    """
    if scope is None:
        return SHARED
    folders = scope.split("/")[:-1]
    if "::" not in scope and FOLDER in folders and not {"", ".", ".."} & set(folders):
        return scope
    file, *names = scope.split("::")
    if not names or not file.endswith(".py"):
        return f"{FOLDER}/{_NO_PART_OF_A_NAME.sub('-', scope)}"
    folder, slash, module = file.removesuffix(".py").rpartition("/")
    # What a parameter holds may have colons, too.
    test, bracket, parameter = "::".join(names).partition("[")
    name = ".".join(test.split("::")[-2:]) + bracket + parameter
    return f"{folder}{slash}{FOLDER}/{module}/{_shortened(_NO_PART_OF_A_NAME.sub('-', name))}"


def flat_cassette_of(scope: str | None) -> str:
    """The same in pytest-vcr's layout, where tests of one name share a cassette, whatever their module."""
    place = cassette_of(scope)
    return place if scope is None or "::" not in scope else "/".join(_without_module(scope))


def _shortened(name: str) -> str:
    if len(name) + _SUFFIX_LENGTH <= _LONGEST:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: _LONGEST - _SUFFIX_LENGTH - len(digest) - 3]}...{digest}"


def is_of(scope: str | None, test: str) -> bool:
    """Whether a scope is that of a test, or what is left of its name in a cassette's.

    A cassette of a folder for all modules may not tell its module: its own path is its scope then.
    """
    if scope is None or scope == test:
        return scope == test
    if "::" in scope:
        return cassette_of(scope) == cassette_of(test)
    folder, _, stem = scope.rpartition("/")
    return folder.rpartition("/")[2] == FOLDER and stem == cassette_of(test).rpartition("/")[2]


def scope_in(cassette: str, test: str) -> str:
    """The scope of what a test has in a cassette: the test itself, or, where tests share one, what it is named for.

    ``cassette`` is its path below the root of the project. In a layout of the project's own the path is the scope, as
    an import says it: the same name in another folder is another cassette.
    """
    place = without_suffix(cassette)
    folder, _, stem = place.rpartition("/")
    file, found, _ = test.partition("::")
    own_folder, _, own_stem = cassette_of(test).rpartition("/")
    if not found or stem == own_stem:
        return test
    is_beside = folder in {own_folder, own_folder.rpartition("/")[0]}
    return "::".join([file, *names_in(stem)]) if is_beside or cassette_of(place) != place else place


def is_in(scope: str | None, cassette: str, test: str) -> bool:
    """Whether recordings of a scope are those that a test has in a cassette.

    What came from that very cassette is, whatever test an import took it for. In pytest-vcr's layout (one folder for
    all modules) the tests of any module beside it may name the same cassette.
    """
    meant, place = scope_in(cassette, test), without_suffix(cassette)
    if place in {scope, cassette_of(scope)} or is_of(scope, meant):
        return True
    if scope is None or "::" not in scope:
        return False
    folder = place.rpartition("/")[0]
    return folder.rpartition("/")[2] == FOLDER and _without_module(scope) == _without_module(meant)


def _without_module(scope: str) -> tuple[str, str]:
    folder, _, stem = cassette_of(scope).rpartition("/")
    return folder.rpartition("/")[0], stem


def names_in(stem: str) -> list[str]:
    """The names in a cassette's: a class and a test, or a test alone, the parameter with it."""
    test, bracket, parameter = stem.partition("[")
    holder, dot, name = test.partition(".")
    return [holder, name + bracket + parameter] if dot and holder.isidentifier() else [stem]


def scope_of(place: str) -> str | None:
    """The scope of a cassette in pytest-recording's layout, by its path below the root; None for another layout."""
    folder, _, stem = without_suffix(place).rpartition("/")
    above, _, module = folder.rpartition("/")
    if above.rpartition("/")[2] != FOLDER:
        return None
    beside = above.removesuffix(FOLDER)
    return "::".join([f"{beside}{module}.py", *names_in(stem)])
