"""Writing to a client that may leave."""

from aiohttp import web


class Writer:
    """Writes a streamed response until the client has left; what comes after that is dropped, and ``left`` is set.

    The head is sent with the first piece.
    """

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request, self._response = request, response
        self.left = False

    async def cut(self) -> None:
        """End the connection behind what was written, before the answer is complete."""
        transport = self._request.transport
        if transport is not None:
            transport.close()
        self.left = True

    async def write(self, data: bytes) -> None:
        if self.left:
            return
        try:
            if not self._response.prepared:
                await self._response.prepare(self._request)
            await self._response.write(data)
        except ConnectionError:
            self.left = True
