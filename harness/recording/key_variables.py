"""Which environment variable the key of a request's upstream comes from: a command that records it must be given it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.recording.canonical import endpoint_of

DEFAULT_VARIABLE = "OPENAI_API_KEY"

_BY_ENDPOINT = {"/v1/messages": "ANTHROPIC_API_KEY"}
"""What the clients of endpoints that are not OpenAI's read."""


@dataclass(frozen=True, slots=True)
class KeyVariables:
    """The variables of a project's upstreams.

    ``named`` has those of upstreams with a name, an empty text for one that takes no key.
    """

    named: Mapping[str, str] = field(default_factory=dict)

    def of(self, path: str, model: str) -> str:
        """The variable for a request; empty where it needs no key.

        A path's prefix decides which upstream is asked (``/anthropic/v1/messages``), then a model's (``azure/gpt-4o``).
        """
        prefixes = (path.removeprefix("/").partition("/")[0], model.partition("/")[0] if "/" in model else "")
        for name in prefixes:
            if name in self.named:
                return self.named[name]
        return _BY_ENDPOINT.get(endpoint_of(path), DEFAULT_VARIABLE)


def assignments(variables: Iterable[str]) -> Iterator[str]:
    """What stands before a command so that these variables have keys, each once: ``OPENAI_API_KEY=…``."""
    return (f"{name}=…" for name in dict.fromkeys(variables) if name)
