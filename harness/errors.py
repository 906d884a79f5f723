"""Every error of this project: what happened, the fields behind the sentence, and what to do next.

Few and flat. Each class fixes the HTTP status, OpenAI's ``type`` and ``code``; an instance adds the message, the hint
(a command to run or a line to change) and, where one value is at fault, the path of that value in the request.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

DO_NOT_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
"""The header that tells SDKs not to ask again."""


class HarnessError(Exception):
    """The root: anything the harness says no to.

    ``message`` says what happened and where; ``hint`` what to do next; ``param`` names the value of the request that is
    at fault (``input[3].content``), if one is. ``code``, ``type``, ``http_status`` and ``headers`` (of the HTTP answer)
    override what the class says: that asking again does not help, unless it is the upstream that failed.
    """

    status: ClassVar[int] = 500
    default_type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    default_headers: ClassVar[Mapping[str, str]] = DO_NOT_RETRY

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        code: str | None = None,
        type: str | None = None,
        http_status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param
        self.code = code if code is not None else self.default_code
        self.type = type or self.default_type
        self.http_status = http_status or self.status
        self.headers = self.default_headers if headers is None else headers

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingsError(HarnessError):
    """A flag, an environment variable or a line of ``[tool.harness]`` that cannot be what was meant."""

    default_code = "invalid_settings"


class RecordingError(HarnessError):
    """A file that is not a recording, or cannot be read as one."""

    default_code = "invalid_recording"


class NotHttp(RecordingError):
    """A recording of an exchange with what is no HTTP API, such as a tool of OGX's: replay passes it over."""

    said = "not an exchange over HTTP"


class RecordingNotSent(RecordingError):
    """A recording that its store could not take now; it is kept on this machine until the store can."""


class InvalidRequest(HarnessError):
    """The client asked for something that its API does not allow."""

    status = 400
    default_type = "invalid_request_error"


class NotFound(HarnessError):
    """What the client named is not here (any more)."""

    status = 404
    default_type = "invalid_request_error"


class RecordingNotFound(HarnessError):
    """A miss: no recording answers the request. SDKs are told not to ask again.

    ``details`` are what the sentence is made of, as JSON for reports: ``key``, ``method``, and of the near miss
    ``recording``, ``scope`` and ``differences``. ``key_variable`` is the environment variable that the key of the
    upstream comes from which was asked; empty where it takes none.
    """

    status = 404
    default_type = "invalid_request_error"
    default_code = "recording_not_found"
    details: Mapping[str, object] = MappingProxyType({})
    key_variable: str = ""


class NetworkRefused(HarnessError):
    """A test that replays reached for a provider past the harness."""

    default_code = "network_refused"


class UpstreamError(HarnessError):
    """The upstream could not be reached, broke off, or answered with something that is not its protocol."""

    status = 502
    default_type = "server_error"
    default_code = "upstream_error"
    default_headers: ClassVar[Mapping[str, str]] = {}


class BrokenOff(UpstreamError):
    """A stream that breaks here because it did so when it was recorded: its reader sees the connection end."""
