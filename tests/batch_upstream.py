"""An upstream with a Batch API, shaped as OpenAI's is: files, batches that take a while, output and errors."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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
        if (method, path) == ("POST", "/v1/batches"):
            assert body["completion_window"] == "24h"
            return self._json(self._begin(body))
        if path.startswith("/v1/batches/"):
            return self._json(self._look(path.rpartition("/")[2]))
        if path.startswith("/v1/files/"):
            return http(self.files[path.split("/")[3]].encode(), media="application/octet-stream")
        self.alone += 1
        status, said = self.answer(body)
        return http(json.dumps(said).encode(), status=status)

    def _json(self, value: dict[str, Any]) -> bytes:
        return http(json.dumps(value).encode())

    def _file(self, content: str) -> dict[str, Any]:
        id = f"file-{len(self.files)}"
        self.files[id] = content
        return {"id": id}

    def _begin(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {body["endpoint"]}
        assert len({line["body"]["model"] for line in lines}) == 1
        assert len({line["custom_id"] for line in lines}) == len(lines)
        self.asked += len(lines)
        id = f"batch_{len(self.batches)}"
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        self.batches[id] = {"id": id, "object": "batch", "status": "validating", "lines": lines, "looks": 0,
                            "request_counts": counts}  # fmt: skip
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
