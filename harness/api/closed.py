"""What the wire's objects are made of: those of which every key is known pass over nothing in silence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Deferred(BaseModel):
    """An object of the wire. What validates it is built for the first one that comes: a server begins without."""

    model_config = ConfigDict(defer_build=True)


class Closed(Deferred):
    """An object that has no key but its own. A null under another one says nothing: clients dump what they know."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _pass_over_nulls(cls, value: Any) -> Any:
        return known_keys(cls, value) if isinstance(value, dict) else value


class Exact(Closed):
    """The same, with values of JSON's own types: no text for a number, no number for a text."""

    model_config = ConfigDict(strict=True)


def known_keys(model: type[BaseModel], value: dict[str, Any]) -> dict[str, Any]:
    """The object without the nulls under keys that ``model`` does not have."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return {name: inner for name, inner in value.items() if inner is not None or name in known}
