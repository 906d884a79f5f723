"""What the other rooms ask of a store, whatever it is made of."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from harness.recording.lookup import Entry
from harness.recording.model import Exchange, Request

if TYPE_CHECKING:
    # What only looks at recordings does not wait for pydantic.
    from harness.api.listing import Listed, ListQuery

Object: TypeAlias = dict[str, Any]
"""A conversation, an item or a response as the API shows it."""


class RecordingStore(Protocol):
    """Recordings, each under a name: the key, or ``KEY-2``, ``KEY-3``, … in a sequence.

    What only looks may be called in any thread.
    """

    where: str
    """The place as the user wrote it, for messages."""

    is_remote: bool
    """Whether finding or loading a recording may wait for a network: better in a thread than in an event loop."""

    def find(self, key: str) -> list[str]:
        """The names of the sequence that ``key`` names, in order; empty for none. Needs no index."""
        ...

    def beginning(self, digits: str) -> list[str]:
        """The names of the recordings whose key begins with some digits, in order. Needs no index."""
        ...

    def load(self, name: str) -> Exchange:
        """What is recorded under a name. Raises RecordingError when it is gone or cannot be read."""
        ...

    def save(self, exchange: Exchange, name: str) -> bool:
        """Write a recording, whole or not at all; may be called in any thread.

        False when nothing was written: the old recording says the same, and stays. Raises RecordingError.
        """
        ...

    def renew(self, name: str, ids: Mapping[str, str]) -> None:
        """Write a recording that stayed with other ids of its upstream's, and else as it is. Raises RecordingError."""
        ...

    def trim(self, base: str, count: int) -> list[str]:
        """Remove what is left over of a longer sequence, once ``count`` members of it have been recorded again.

        Only what was there before its first member was saved goes, and only as it was then: what another process wrote
        meanwhile stays. The names that went.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove one recording, if it is there. Raises RecordingError when it cannot be."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a recording of this name, readable or not."""
        ...

    def is_older(self, name: str) -> bool:
        """Whether a recording is older than this run, which began when the store was opened, or when it was told."""
        ...

    def count(self) -> int:
        """How many recordings there are, without a look into them."""
        ...

    def entries(self) -> Sequence[Entry]:
        """The index of all recordings, as they are now, in the order of their names."""
        ...

    def sharing(self, fingerprint: str) -> Sequence[Entry]:
        """The recordings with this fingerprint."""
        ...

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        """At most so many of the recordings of the request's endpoint, chosen for being like it; the order is none."""
        ...

    def broken(self) -> Sequence[str]:
        """Files that the index had to leave out, each with the reason."""
        ...

    def passed_over(self) -> int:
        """How many files the index left out for what they are: exchanges that no HTTP API had."""
        ...

    def stamp(self, names: Sequence[str]) -> object:
        """A value that changes when these recordings, or the set of all recordings, change. Cheap."""
        ...


class Held(NamedTuple):
    """A lease, and who holds it."""

    name: str
    holder: str


class TurnStore(Protocol):
    """Where a turn leaves what came of it."""

    async def save_turn(
        self,
        response: Object,
        *,
        input_items: Sequence[Object],
        conversation_id: str | None,
        new_items: Sequence[Object],
        keep: bool,
    ) -> bool:
        """What a turn leaves: the response with its input (when ``keep``) and the conversation's new items.

        All of it or nothing. False, and nothing of it written, when the conversation is gone.
        """
        ...


class StateStore(TurnStore, Protocol):
    """Conversations, their items, responses, their events, leases, stored completions. Each method is a transaction."""

    async def count(self, scope: str) -> int:
        """The next number of a scope, counted from 1; no two calls ever get the same one."""
        ...

    async def create_conversation(self, conversation: Object, items: Sequence[Object]) -> None: ...

    async def conversation(self, conversation_id: str) -> Object | None: ...

    async def update_conversation(self, conversation_id: str, metadata: dict[str, str]) -> Object | None:
        """Replace the metadata. The conversation, or None when there is none."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation with its items; whether there was one."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Object]) -> bool:
        """Append items in their order; whether there was such a conversation."""
        ...

    async def items(self, conversation_id: str) -> list[Object] | None:
        """All items, oldest first; None when there is no such conversation."""
        ...

    async def item_page(self, conversation_id: str, query: "ListQuery") -> "Listed | None":
        """A page of them; None when there is no such conversation. Raises InvalidRequest for an unknown ``after``."""
        ...

    async def item(self, conversation_id: str, item_id: str) -> Object | None: ...

    async def items_anywhere(self, ids: Collection[str]) -> dict[str, Object]:
        """Those of these items that some conversation has, by their ids."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool: ...

    async def save_turn(
        self,
        response: Object,
        *,
        input_items: Sequence[Object],
        conversation_id: str | None,
        new_items: Sequence[Object],
        keep: bool,
        lease: Held | None = None,
        events: Sequence[Object] | None = None,
    ) -> bool:
        """The same, and the conversation's ``lease`` given back with it.

        ``events`` are the last ones of a response that ``begin_response`` began. Raises InvalidRequest, and writes
        nothing, when that response does not run any more, or when items would come without the lease.
        """
        ...

    async def begin_response(
        self, response: Object, *, input_items: Sequence[Object], events: Sequence[Object]
    ) -> None:
        """Keep a response that is yet to end, with its input and its first events."""
        ...

    async def add_events(self, response_id: str, events: Sequence[Object], shown: Object | None) -> bool:
        """Keep more events of a response that runs, and how it looks now, when that is given.

        False, and nothing written, when it does not run any more.
        """
        ...

    async def events(self, response_id: str, after: int) -> list[Object]:
        """What ``add_events`` and ``save_turn`` kept of a response, from the event that follows number ``after``."""
        ...

    async def end_response(self, response_id: str, ending: Object, *, if_unheld: bool = False) -> Object | None:
        """Change a response that runs as ``ending`` says; the response as it is then, None when there is none.

        One that has ended stays as it is; so does, with ``if_unheld``, one of whose id somebody holds a lease.
        """
        ...

    async def response(self, response_id: str) -> Object | None: ...

    async def response_input(self, response_id: str) -> list[Object] | None:
        """The input items of a response, oldest first, those of the responses before it included."""
        ...

    async def output_item(self, item_id: str) -> Object | None:
        """An item that a kept response put out, by its id alone."""
        ...

    async def delete_response(self, response_id: str) -> bool: ...

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the right to be the only one at ``name``; False while another holder's lease runs."""
        ...

    async def renew_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Prolong a lease; False, and nothing done, when it is not this holder's (any more)."""
        ...

    async def is_leased(self, name: str) -> bool:
        """Whether anybody's lease of ``name`` runs."""
        ...

    async def drop_lease(self, name: str, holder: str) -> None:
        """Give a lease back, if it is still this holder's."""
        ...

    async def save_completion(self, completion: Object, messages: Sequence[Object]) -> None:
        """Keep a chat completion with the messages it was asked with, in place of one with the same id."""
        ...

    async def completions(self, query: "ListQuery", wanted: Callable[[Object], bool]) -> "Listed":
        """A page of the chat completions that are kept and ``wanted``, which may be asked in any thread.

        Raises InvalidRequest for an unknown ``after``.
        """
        ...

    async def completion(self, completion_id: str) -> Object | None: ...

    async def completion_messages(self, completion_id: str) -> list[Object] | None: ...

    async def update_completion(self, completion_id: str, metadata: dict[str, str]) -> Object | None:
        """Replace the metadata. The completion, or None when there is none."""
        ...

    async def delete_completion(self, completion_id: str) -> bool: ...

    async def add_prompt(self, prompt: Object) -> None: ...

    async def prompts(self) -> list[Object]:
        """Every prompt, oldest first."""
        ...

    async def prompt(self, prompt_id: str) -> Object | None: ...

    async def replace_prompt(self, old: Object, new: Object) -> bool:
        """Replace a prompt; False, and nothing written, when it is not as ``old`` says any more."""
        ...

    async def delete_prompt(self, prompt_id: str) -> bool: ...

    async def close(self) -> None: ...
