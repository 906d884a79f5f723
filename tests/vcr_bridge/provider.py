"""A provider on this machine, for vcrpy to record: it answers as the network would, and counts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import ProxyHandler, Request, build_opener

from harness.recording.model import Json


@dataclass
class Provider:
    """Where it is, and what it was asked: the questions, and paths that are no model's."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    def ask(self, question: str, path: str = "/v1/chat/completions", **more: Json) -> str:
        """What an application does: ask, by the standard library's client."""
        body = {"model": "m", "messages": [{"role": "user", "content": question}], **more}
        headers = {"content-type": "application/json", "authorization": "Bearer my-own-k3y-of-mine"}
        return self._said(Request(f"{self.url}{path}", json.dumps(body).encode(), headers))  # noqa: S310

    def page(self) -> str:
        """What it does besides, with no model."""
        with build_opener(ProxyHandler({})).open(f"{self.url}/page", timeout=5) as answer:
            return str(answer.read().decode())

    def _said(self, request: Request) -> str:
        with build_opener(ProxyHandler({})).open(request, timeout=5) as answer:
            return str(json.loads(answer.read())["choices"][0]["message"]["content"])


@contextmanager
def provider() -> Iterator[Provider]:
    """One that says how often it was asked."""
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
            found.asked.append(question)
            if question == "Fail!":
                self._send({"error": {"message": "slower, please"}}, "application/json", 429)
                return
            message = {"role": "assistant", "content": f"{question}: {len(found.asked)}"}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._send({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice]}, "application/json")

        def do_GET(self) -> None:
            found.asked.append(self.path)
            self._send(f"page {len(found.asked)}", "text/plain")

        def _send(self, value: Json, media_type: str, status: int = 200) -> None:
            data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
        thread.join()
