"""JSON objects of which every key is known, so that nothing in them is passed over in silence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Closed(BaseModel):
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
