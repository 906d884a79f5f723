"""The recordings whose ids a refresh may quote: answers of its own, and those that it reads."""

from dataclasses import dataclass

from harness.errors import RecordingError
from harness.recording.model import Exchange
from harness.stores.protocol import RecordingStore
from harness.stores.staging import FOLDER, Staging


@dataclass(frozen=True, slots=True)
class Recordings:
    """What an id is looked up in. Where a refresh has asked for an object again, the new one is meant."""

    staging: Staging
    source: RecordingStore

    def beginning(self, digits: str) -> list[str]:
        own = [f"{FOLDER}/{part}/{name}" for part, name in self.staging.beginning(digits)]
        return own or self.source.beginning(digits)

    def load(self, name: str) -> Exchange:
        """Raises RecordingError."""
        folder, _, rest = name.partition("/")
        if folder != FOLDER:
            return self.source.load(name)
        part, _, stem = rest.rpartition("/")
        found = self.staging.load(part, stem)
        if found is None:
            raise RecordingError(f"{name} is gone.", hint="Run the same command again.")
        return found
