"""OpenAI's client for Node against a replaying server, scoped by its base URL alone."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.running import ServerThread
from harness.settings import NO_KEY, Settings

RECORDINGS = Path(__file__).parents[2] / "recordings"
HELLO = "Hello! How can I assist you today?"
GOODBYE = "Goodbye! If you need anything else, feel free to reach out. Have a great day!"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
def test_the_node_client(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("client.mjs"), tmp_path)
    npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "openai@7"]
    subprocess.run(npm, cwd=tmp_path, check=True, timeout=300)
    with ServerThread(Settings(recordings=RECORDINGS)) as server:
        url = server.scoped("tests/integration/a test of [another] language::ü")
        environment = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": NO_KEY}
        done = subprocess.run(
            ["node", "client.mjs"],  # noqa: S607 - whichever node is on the PATH is the one to try
            cwd=tmp_path, env=environment, check=True, timeout=60, capture_output=True, text=True,
        )  # fmt: skip
    assert json.loads(done.stdout) == {
        "first": HELLO,
        "streamed": GOODBYE,
        "last": "response.completed",
        "items": ["user", "assistant", "user", "assistant"],
        "whole": HELLO,
        "chat": HELLO,
        "missed": {"status": 404, "code": "recording_not_found"},
    }
