"""Flows over what an upstream keeps: recordings that share its ids must all have them from the same run.

A recording that says the same when it is recorded again stays as it is, with what the upstream called things in an
earlier run. As long as all of its flow stays, so does that. Once one of the flow is new, it has the ids of this run:
whoever goes on from both would ask about two conversations, of which one lacks what the other was told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

IdsByName = Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class Flows:
    """What one run has recorded of flows: normalized ids of recordings that are new, and recordings that stayed."""

    _new: set[str] = field(default_factory=set)
    _stayed: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def wrote(self, ids: Mapping[str, str]) -> IdsByName:
        """A new recording has these ids: the recordings that stayed and must have theirs renewed, each with them."""
        self._new |= ids.keys()
        return dict(self._renewed()) if ids else {}

    def stayed(self, name: str, ids: Mapping[str, str]) -> IdsByName:
        """A recording stayed which would have these ids of this run: what must be renewed, it or none."""
        if ids:
            self._stayed[name] = ids
        return dict(self._renewed()) if self._new else {}

    def _renewed(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Take out those that share an id with a new one, or with another that is taken out."""
        while found := [name for name, ids in self._stayed.items() if ids.keys() & self._new]:
            for name in found:
                ids = self._stayed.pop(name)
                self._new |= ids.keys()
                yield name, ids
