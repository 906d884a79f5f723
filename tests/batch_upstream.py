"""An upstream with batches that take a while: OpenAI's, with files of requests, output and errors; Anthropic's."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.scripted_upstream import ScriptedUpstream, http, scripted

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass
class BatchApi:
    """``answer`` gives status and body for the body of a request; ``looks`` is how often a batch is not ready yet."""

    answer: Answer
    looks: int = 1
    files: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0
    alone: int = 0
    held: bool = False
    """While this is set no batch gets ready."""
    end: str = "completed"
    lost: int = 0
    """How many batches are begun without a word: the connection ends."""
    upstream: ScriptedUpstream | None = None

    def reply(self, body: Any) -> bytes:
        assert self.upstream is not None
        head, _ = self.upstream.requests[-1]
        method, path = head.split(" ")[:2]
        if path == "/v1/models":
            return http(b'{"object": "list", "data": []}')
        if (method, path) == ("POST", "/v1/files"):
            assert re.search(rb'name="purpose"\r\n\r\nbatch\r\n', body)
            content = body.split(b"\r\n\r\n", 2)[2].rpartition(b"\r\n--")[0].decode()
            return self._json(self._file(content) | {"object": "file", "purpose": "batch"})
        if path.startswith("/v1/messages/batches"):
            return self._messages(method, path, body)
        if (method, path.partition("?")[0]) == ("GET", "/v1/batches"):
            return self._json(self._listed(path, "after"))
        if (method, path) == ("POST", "/v1/batches"):
            assert body["completion_window"] == "24h"
            return self._unless_lost(self._begin(body))
        if path.startswith("/v1/batches/"):
            if path.rpartition("/")[2] not in self.batches:
                return http(b'{"error": {"message": "No batch found"}}', status=404)
            return self._json(self._look(path.rpartition("/")[2]))
        if path.startswith("/v1/files/"):
            return http(self.files[path.split("/")[3]].encode(), media="application/octet-stream")
        self.alone += 1
        status, said = self.answer(body)
        return http(json.dumps(said).encode(), status=status)

    def _unless_lost(self, batch: dict[str, Any]) -> bytes:
        self.lost -= 1
        return self._json(batch) if self.lost < 0 else b""

    def _listed(self, path: str, after: str) -> dict[str, Any]:
        """Two on each page, the newest first."""
        ids = [*self.batches][::-1]
        asked = parse_qs(urlsplit(path).query)
        start = ids.index(asked[after][0]) + 1 if after in asked else 0
        return {"data": [self._shown(id) for id in ids[start : start + 2]], "has_more": start + 2 < len(ids)}

    def _messages(self, method: str, path: str, body: Any) -> bytes:
        assert self.upstream is not None
        assert "anthropic-version: 2023-06-01" in self.upstream.requests[-1][0].lower()
        id, _, rest = path.removeprefix("/v1/messages/batches").strip("/").partition("/")
        if method == "POST":
            for line in body["requests"]:
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", line["custom_id"])
            lines = [{"custom_id": line["custom_id"], "body": line["params"]} for line in body["requests"]]
            return self._unless_lost(self._shown_to_anthropic(self.take(lines)["id"]))
        if not id or id.startswith("?"):
            listed = self._listed(path, "after_id")
            return self._json({**listed, "data": [self._shown_to_anthropic(one["id"]) for one in listed["data"]]})
        if rest == "results":
            rows = [self._result(line) for line in reversed(self.batches[id]["lines"])]
            return http("".join(json.dumps(row) + "\n" for row in rows).encode(), media="application/x-jsonl")
        self._look(id)
        return self._json(self._shown_to_anthropic(id))

    def _shown_to_anthropic(self, id: str) -> dict[str, Any]:
        batch = self.batches[id]
        has_ended, total = batch["status"] == self.end, len(batch["lines"])
        counts = {"processing": 0 if has_ended else total, "succeeded": total if has_ended else 0, "errored": 0}
        status = "ended" if has_ended else "in_progress"
        return {"id": id, "type": "message_batch", "processing_status": status, "request_counts": counts}

    def _result(self, line: dict[str, Any]) -> dict[str, Any]:
        status, body = self.answer(line["body"])
        result = {"type": "succeeded", "message": body} if status < 400 else {"type": "errored", "error": body}
        return {"custom_id": line["custom_id"], "result": result}

    def _json(self, value: dict[str, Any]) -> bytes:
        return http(json.dumps(value).encode())

    def _file(self, content: str) -> dict[str, Any]:
        id = f"file-{len(self.files)}"
        self.files[id] = content
        return {"id": id}

    def _begin(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {body["endpoint"]}
        return self.take(lines, input_file_id=body["input_file_id"])

    def take(self, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Begin a batch of lines, ours or another's."""
        assert len({line["body"]["model"] for line in lines}) == 1
        assert len({line["custom_id"] for line in lines}) == len(lines)
        self.asked += len(lines)
        id = f"batch_{len(self.batches)}"
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        self.batches[id] = {"id": id, "object": "batch", "status": "validating", "lines": lines, "looks": 0,
                            "request_counts": counts, **more}  # fmt: skip
        return self._shown(id)

    def _shown(self, id: str) -> dict[str, Any]:
        return {name: value for name, value in self.batches[id].items() if name not in ("lines", "looks")}

    def _look(self, id: str) -> dict[str, Any]:
        batch = self.batches[id]
        batch["looks"] += 1
        batch["status"] = "in_progress"
        if batch["looks"] > self.looks and not self.held:
            batch["status"] = self.end
            if self.end == "failed":
                batch["errors"] = {"object": "list", "data": [{"code": "token_limit", "message": "Enqueued too much."}]}
            else:
                self._finish(batch)
        return self._shown(id)

    def _finish(self, batch: dict[str, Any]) -> None:
        good: list[str] = []
        bad: list[str] = []
        # The order of the output is not that of the input.
        for number, line in enumerate(reversed(batch["lines"])):
            status, body = self.answer(line["body"])
            response = {"status_code": status, "request_id": f"req_{number}", "body": body}
            row = {"id": f"batch_req_{number}", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if status < 400 else bad).append(json.dumps(row) + "\n")
        batch["output_file_id"] = self._file("".join(good))["id"] if good else None
        batch["error_file_id"] = self._file("".join(bad))["id"] if bad else None


@contextmanager
def batch_upstream(answer: Answer, **options: Any) -> Iterator[tuple[BatchApi, str]]:
    """The API and its base URL."""
    api = BatchApi(answer, **options)
    with scripted(reply=api.reply) as upstream:
        api.upstream = upstream
        yield api, upstream.url
