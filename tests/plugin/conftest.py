"""What the plugin's tests share."""

import importlib
import os
import pkgutil

import openai
import pytest

import harness
from harness.running import ServerThread
from harness.settings import Settings
from tests.plugin.project import APP


@pytest.fixture(autouse=True)
def _bare(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    # As a run is begun by hand, however this one was.
    monkeypatch.setattr("sys.argv", ["pytest"])
    # Other plugins of this environment are slow to begin, and none of them matter.
    slow = ("hypothesispytest", "recording", "anyio", "platformdirs", "schemathesis")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in slow))
    pytester.makepyfile(app=APP)
    pytester.syspathinsert()


@pytest.fixture(autouse=True, scope="session")
def _all_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An inner run forgets the modules that it was the first to need: they would be imported again and again.

    And twice: whatever of them is kept elsewhere no longer fits what is imported next. So what the harness and its
    libraries import on first need is imported before.
    """
    for module in pkgutil.walk_packages(harness.__path__, "harness."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    with (
        ServerThread(Settings(recordings=tmp_path_factory.mktemp("none"))) as server,
        openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="m", messages=[])
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="m", input="Say hello")
        assert client.conversations.create().id
