"""Lists as the API pages them: what a client asks for, the page, the body that shows it."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import Field

from harness.api.closed import Deferred
from harness.api.errors import invalid_value
from harness.api.validation import parse
from harness.errors import InvalidRequest

Include: TypeAlias = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
"""What OpenAI shows in an answer on request alone. Here nothing is held back; the names are checked."""

Order: TypeAlias = Literal["asc", "desc"]


class IncludeQuery(Deferred):
    """The query of a request that shows one item."""

    include: list[Include] = Field(default_factory=list)


class ListQuery(IncludeQuery):
    """The query of a request that lists items."""

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Order = "desc"


class UnboundedListQuery(ListQuery):
    """The same where OpenAI's description knows no largest page: that of stored chat completions."""

    limit: Annotated[int, Field(ge=1)] = 20


class Listed(NamedTuple):
    """One page, in the order that was asked for, and whether there is more behind it."""

    items: list[dict[str, Any]]
    has_more: bool


def parse_list_query(pairs: Iterable[tuple[str, str]], kind: type[ListQuery] = ListQuery) -> ListQuery:
    """The names and values of a URL's query as a list's options. Raises InvalidRequest; passes over unknown names."""
    return parse(kind, query_fields(pairs))


def parse_include_query(pairs: Iterable[tuple[str, str]]) -> IncludeQuery:
    """The same for the query of one item."""
    return parse(IncludeQuery, query_fields(pairs))


def paginate(
    items_oldest_first: Sequence[dict[str, Any]], after: str | None = None, limit: int = 20, order: Order = "desc"
) -> Listed:
    """The ``limit`` items that follow the item with the id ``after``, or the first ones.

    Raises InvalidRequest when no item has that id.
    """
    ordered = list(items_oldest_first if order == "asc" else reversed(items_oldest_first))
    start = 0 if after is None else _place(ordered, after) + 1
    return Listed(ordered[start : start + limit], len(ordered) > start + limit)


def list_body(data: Sequence[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """The body of an answer that lists ``data``, in its order.

    The ids of an empty page are empty: OpenAI's description has them there, and strings.
    """
    first, last = (data[0]["id"], data[-1]["id"]) if data else ("", "")
    return {"object": "list", "data": list(data), "first_id": first, "last_id": last, "has_more": has_more}


def _place(items: Sequence[dict[str, Any]], item_id: str) -> int:
    for place, item in enumerate(items):
        if item.get("id") == item_id:
            return place
    raise no_such_item(item_id)


def no_such_item(after: str) -> InvalidRequest:
    """What is wrong where the list has no item that a page is to follow."""
    return invalid_value("after", f"Invalid 'after': item with id '{after[:64]}' not found.")


def query_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A query's value for each name, the last given; ``include`` gathers all of its own, however it is written."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name == "include" or name.startswith("include["):
            fields.setdefault("include", []).extend(value.split(","))
        else:
            fields[name] = value
    return fields
