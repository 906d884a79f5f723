"""MCP servers behind the door that the provider stands behind: a call in, an answer out.

The requests are those of ``harness.recording.mcp``; whom they go to is the call's ``target``, with the call's headers.
"""

import asyncio
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from harness.backends.ending import ended
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.mcp_session import GOODBYE_SECONDS, Session, SessionError, Work, call_tool, list_tools
from harness.backends.protocol import Answer, Call
from harness.errors import HarnessError, UpstreamError
from harness.recording.answer import encode
from harness.recording.mcp import LIST_PATH
from harness.recording.model import JSON_TYPE, Json

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class McpUpstream:
    """Asks the MCP server that a call names, in the session of the call's target: to be recorded, or as it is."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, call: Call) -> Answer:
        try:
            answer = await self.ask(call)
        except HarnessError as error:
            self._journal.write(Line(Outcome.FAILED, call.scope, call.path, "", error=error))
            raise
        outcome = Outcome.LIVE if answer.status < 400 else Outcome.FAILED
        self._journal.write(Line(outcome, call.scope, call.path, ""))
        return answer

    async def ask(self, call: Call) -> Answer:
        """The server's result; an error of the server's protocol is a 400, one of HTTP its status.

        Raises UpstreamError when the server cannot be reached.
        """
        body = call.request.body
        work = list_tools
        if call.path != LIST_PATH:
            work = partial(call_tool, name=body["name"], arguments=body["arguments"])
        try:
            return _answer(200, await self._asked(call, work))
        except SessionError as error:
            return self._failure(call, error)
        except ImportError as error:
            raise _not_installed(error) from error

    async def _asked(self, call: Call, work: Work) -> Json:
        try:
            return await self._session(call).ask(work)
        except SessionError as error:
            if not error.was_lost:
                raise
        return await self._session(call).ask(work)

    def _session(self, call: Call) -> Session:
        """The session of the call's target; a new one where it has none, or none any more."""
        assert call.target is not None
        session = call.target.session
        if not isinstance(session, Session) or session.is_over:
            session = call.target.session = Session(call.target.url, call.headers)
            self._tasks.add(session.task)
            session.task.add_done_callback(self._tasks.discard)
        return session

    def forget(self, scope: str | None) -> None:
        """Nothing is counted."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    async def check_key(self, call: Call, patience: float | None = None) -> None:
        """There is nothing cheap to ask that would tell."""

    def secrets(self, call: Call) -> list[str]:
        """What must never be written down: what the headers say, and the secrets that URLs carry."""
        parts = urlsplit(_url(call))
        inside = [parts.username, parts.password, *(value for _, value in parse_qsl(parts.query))]
        sent = [word for value in call.headers.values() for word in (value, value.rpartition(" ")[2])]
        return [secret for secret in [*inside, *sent] if secret]

    def provider(self, call: Call) -> str:
        parts = urlsplit(_url(call))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    async def close(self, grace: float | None = None) -> None:
        """Wait for sessions to end: each was left when its turn ended."""
        await ended(self._tasks, GOODBYE_SECONDS if grace is None else grace)

    def _failure(self, call: Call, error: SessionError) -> Answer:
        if error.status is not None:
            message = f"Http status code: {error.status} ({_PHRASES.get(error.status, 'Unknown')})"
            return _answer(error.status, {"error": {"type": "http_error", "code": error.status, "message": message}})
        if error.code is not None:
            fields = {"type": "mcp_protocol_error", "code": error.code, "message": str(error)}
            return _answer(400, {"error": fields})
        raise UpstreamError(
            f"The MCP server {self.provider(call)} could not be asked: {error}",
            hint="Is it running, and is the address right?",
        ) from error


def _url(call: Call) -> str:
    return call.target.url if call.target else ""


def _answer(status: int, body: Json) -> Answer:
    return Answer(status, JSON_TYPE, encode(body))


def _not_installed(error: ImportError) -> HarnessError:
    return HarnessError(
        f"The tools of MCP servers need the package 'mcp': {error}",
        hint="Install the extra 'mcp', or: pip install 'mcp>=2'",
        code="mcp_not_installed",
        http_status=501,
    )
