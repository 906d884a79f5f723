"""Record what a language model's API answered, once; answer from the recordings ever after."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "async_transport", "transport"]


def transport(*, scope: str | None = None, **settings: Any) -> Any:
    """A transport for a client of httpx or httpx2: the harness answers in this process, without a socket.

    ``OpenAI(http_client=httpx2.Client(transport=harness.transport()))``; ``openai.DefaultHttpxClient`` takes it too.
    Whatever host the client names, nothing but the harness answers, and nothing but the harness's upstream is asked.

    In a test, calls have the test's settings and its scope; elsewhere those of the environment and of
    ``[tool.harness]``. ``scope`` and ``settings`` (``mode="replay"``, ``recordings="…"``, ``upstream="…"``,
    ``strict=True``, ``state="…"``) say otherwise. What is wrong with them is a SettingsError at the first call.
    """
    from harness.transports.client import Transport

    return Transport(scope, **settings)


def async_transport(*, scope: str | None = None, **settings: Any) -> Any:
    """The same for ``httpx.AsyncClient`` and ``httpx2.AsyncClient``, in asyncio and in trio."""
    from harness.transports.client import AsyncTransport

    return AsyncTransport(scope, **settings)
