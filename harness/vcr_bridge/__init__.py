"""vcrpy's side of the harness: its cassettes as files, and its tests with recordings in place of cassettes.

The only room that imports vcr. It is no door itself: the commands read and write cassettes with it, and the pytest
plugin hands it the object that pytest-recording has made.
"""

from harness.vcr_bridge.bridge import Bridge, install
from harness.vcr_bridge.cassettes import beside_models, cassette_bytes, interactions, read_cassette

__all__ = ["Bridge", "beside_models", "cassette_bytes", "install", "interactions", "read_cassette"]
