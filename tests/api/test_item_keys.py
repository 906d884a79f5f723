"""What any description of the API, or any type of an SDK, has of an item is known here: dumps of it are taken back."""

import importlib
import inspect
import json
import pkgutil
import re
import typing
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai.types.conversations
import openai.types.responses
import pytest
from pydantic import BaseModel

from harness.api.item_kinds import KINDS, PARTS, Message, Reference

OPENAPI = Path(__file__).parents[3] / "shared" / "openapi"
ROOTS = {"CreateResponse", "CreateResponseBody", "Response", "ResponseResource", "ConversationItem"}
MODELS: dict[str, type[BaseModel]] = {
    "message": Message,
    "item_reference": Reference,
    **{name: kind.model for name, kind in KINDS.items()},
    **PARTS,
}


def literals(hint: Any) -> set[Any]:
    """The values of the literals that a type allows, wherever they stand in it."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return set(inner)
    return set().union(*map(literals, inner))


def hints_of(kind: type) -> dict[str, Any]:
    """The keys of a model or of a typed dictionary, and their types."""
    if issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return typing.get_type_hints(kind) if typing.is_typeddict(kind) else {}


def types_of_the_sdk() -> Iterator[tuple[str, set[str]]]:
    """For each class of the SDK that has a type: the type, and the class's keys."""
    for package in (openai.types.responses, openai.types.conversations):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            for name, kind in inspect.getmembers(importlib.import_module(found.name), inspect.isclass):
                # A transformation tells what became of an item: it names the item's type, and is none.
                if kind.__module__ == found.name and not name.endswith(("Event", "Transformation")):
                    hints = hints_of(kind)
                    for named in literals(hints.get("type")) & MODELS.keys():
                        yield named, set(hints)


def types_of_a_description(file: Path) -> Iterator[tuple[str, set[str]]]:
    """The same for the schemas of an OpenAPI description that a request or an answer is made of."""
    schemas = json.loads(file.read_bytes())["components"]["schemas"]
    for name in reached(
        schemas, {"CreateResponse", "CreateResponseBody", "Response", "ResponseResource", "ConversationItem"}
    ):
        keys = schemas[name].get("properties", {})
        for named in set(keys.get("type", {}).get("enum", ())) & MODELS.keys():
            # Some keys are required, and nothing more is said of them.
            yield named, {*keys, *schemas[name].get("required", ())}


def reached(schemas: dict[str, Any], names: set[str]) -> set[str]:
    """The names of the schemas that these schemas refer to, near or far, and their own."""
    found: set[str] = set()
    while names:
        found |= names
        text = json.dumps([schemas[name] for name in names if name in schemas])
        names = set(re.findall(r'"#/components/schemas/(\w+)"', text)) - found
    return found & schemas.keys()


def unknown(found: Iterator[tuple[str, set[str]]]) -> dict[str, set[str]]:
    """Types and their keys, as far as they are not known here. Fails when nothing was looked at."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for name, more in found:
        keys[name] |= more
    assert keys.keys() > {"message", "function_call", "reasoning", "input_text"}
    wanting = {name: more - MODELS[name].model_fields.keys() for name, more in keys.items()}
    return {name: more for name, more in wanting.items() if more}


def kinds(union: Any) -> set[str]:
    """The types of the items in a union."""
    members = typing.get_args(union)[0] if typing.get_origin(union) is typing.Annotated else union
    return set().union(*(literals(hints_of(member).get("type")) for member in typing.get_args(members)))


@pytest.mark.parametrize(
    "union",
    [
        openai.types.responses.ResponseInputItem,
        openai.types.responses.ResponseItem,
        openai.types.conversations.ConversationItem,
    ],
)
def test_every_kind_of_item_of_the_sdk_is_known(union: Any) -> None:
    assert len(kinds(union)) > 20
    assert kinds(union) - MODELS.keys() == set()


def test_every_key_of_the_sdk_is_known() -> None:
    assert unknown(types_of_the_sdk()) == {}


@pytest.mark.parametrize("name", ["openai-openapi.json", "openresponses-openapi.json"])
def test_every_key_of_the_descriptions_is_known(name: str) -> None:
    if not (OPENAPI / name).is_file():
        pytest.skip(f"../shared/openapi/{name} is not here")

    assert unknown(types_of_a_description(OPENAPI / name)) == {}
