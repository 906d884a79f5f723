"""An object store for tests: moto's S3 server, which can be stopped and come back as it was."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

BUCKET = "recordings"


@dataclass
class ObjectStoreServer:
    """moto on one port, with one bucket. What is in it outlives ``stop``, as moto keeps it in this process."""

    port: int = 0
    _server: Any = field(default=None, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        moto = pytest.importorskip("moto.moto_server.werkzeug_app", reason="no moto: pip install 'harness[slow]'")
        app = moto.DomainDispatcherApplication(moto.create_backend_app)
        serving = pytest.importorskip("werkzeug.serving")
        server = self._server = serving.make_server("127.0.0.1", self.port, app, threaded=True)
        self.port = server.server_port
        self._thread = threading.Thread(target=server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def url(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"


@contextmanager
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreServer]:
    """A running server, and the variables by which clients find it."""
    server = ObjectStoreServer()
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    # No proxy of the environment stands between a test and this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    made = urllib.request.Request(f"{server.endpoint}/{BUCKET}", method="PUT")  # noqa: S310 - this machine
    opener.open(made).close()
    try:
        yield server
    finally:
        server.stop()
        backends = pytest.importorskip("moto.s3.models").s3_backends
        backends[pytest.importorskip("moto.core.models").DEFAULT_ACCOUNT_ID]["aws"].reset()
