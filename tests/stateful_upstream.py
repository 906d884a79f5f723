"""An upstream that keeps what it is given, as OpenAI does, under ids that are random and others in every run."""

import asyncio
import json
import secrets
import string
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Object = dict[str, Any]

_LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """An id in OpenAI's shape: hex for what the Responses API makes, letters of both cases for files and calls."""
    if prefix in ("file-", "call_", "chatcmpl-"):
        return prefix + "".join(secrets.choice(_LETTERS) for _ in range(22))
    return prefix + secrets.token_hex(24)


@dataclass
class StatefulUpstream:
    """Objects by their ids. ``says`` is the text of every answer, ``asked`` each request: method, URL and body."""

    says: str = "Hello"
    port: int = 0
    new_id: Callable[[str], str] = new_id
    objects: dict[str, Object] = field(default_factory=dict)
    items: dict[str, list[Object]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    forms: list[Object] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def keep(self, prefix: str, kind: str, **more: Any) -> Object:
        times = {} if "created" in more else {"created_at": time.time_ns() // 1000}
        made = {"id": self.new_id(prefix), "object": kind, **times, **more}
        self.objects[made["id"]] = made
        return made

    def get(self, name: str) -> Object:
        if name not in self.objects:
            error = {"message": f"No such object: {name}", "type": "invalid_request_error", "param": None, "code": None}
            raise web.HTTPNotFound(text=json.dumps({"error": error}), content_type="application/json")
        return self.objects[name]

    def delete(self, name: str) -> Object:
        return {"id": self.get(name)["id"], "object": self.objects.pop(name)["object"] + ".deleted", "deleted": True}

    # Conversations and responses.

    def message(self, role: str, text: str) -> Object:
        part = {"type": "input_text", "text": text} if role == "user" else {"type": "output_text", "text": text}
        made = {"id": self.new_id("msg_"), "type": "message", "role": role, "status": "completed", "content": [part]}
        return made if role == "user" else made | {"content": [{**part, "annotations": []}]}

    def respond(self, body: Object) -> Object:
        earlier, conversation = body.get("previous_response_id"), body.get("conversation")
        if earlier:
            self.get(earlier)
        if conversation:
            self.get(conversation)
        given = body["input"] if isinstance(body["input"], list) else []
        for item in given:
            if item.get("type") == "function_call_output":
                assert any(item["call_id"] == call for call in self.objects), f"{item['call_id']} was never called"
            for part in item.get("content", ()) if isinstance(item.get("content"), list) else ():
                if "file_id" in part:
                    self.get(part["file_id"])
        output = [self.message("assistant", self.says)]
        if body.get("tools") and not any(item.get("type") == "function_call_output" for item in given):
            call = self.keep("call_", "call")
            output = [{"id": self.new_id("fc_"), "type": "function_call", "call_id": call["id"], "name": "w",
                       "arguments": "{}", "status": "completed"}]  # fmt: skip
        if conversation:
            asked = given or [self.message("user", body["input"])]
            self.items[conversation] += [{"id": self.new_id("msg_"), **item} for item in asked] + output
        return self.keep(
            "resp_", "response", status="completed", model=body.get("model"), output=output, error=None,
            previous_response_id=earlier, conversation={"id": conversation} if conversation else None,
            parallel_tool_calls=True, tool_choice="auto", tools=body.get("tools", []),
            metadata=body.get("metadata", {}),
        )  # fmt: skip

    async def events(self, response: Object) -> AsyncIterator[Object]:
        started = {**response, "status": "in_progress", "output": []}
        yield {"type": "response.created", "response": started}
        for index, item in enumerate(response["output"]):
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}}
            for letter in self.says:
                yield {"type": "response.output_text.delta", "item_id": item["id"], "output_index": index,
                       "content_index": 0, "delta": letter, "logprobs": []}  # fmt: skip
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": response}

    # Batches.

    def poll(self, batch: Object) -> Object:
        """Each look at a batch is one step nearer to its end."""
        order = ["validating", "in_progress", "completed"]
        batch["status"] = order[min(order.index(batch["status"]) + 1, 2)]
        if batch["status"] == "completed" and not batch["output_file_id"]:
            lines = [self.result(json.loads(line)) for line in self.contents[batch["input_file_id"]].splitlines()]
            data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
            made = self.keep("file-", "file", filename="out.jsonl", purpose="batch_output", bytes=len(data))
            self.contents[made["id"]] = data
            batch |= {"output_file_id": made["id"], "completed_at": time.time_ns() // 1000}
        return batch

    def result(self, line: Object) -> Object:
        response = {"status_code": 200, "request_id": secrets.token_hex(16), "body": self.respond(line["body"])}
        return {"id": self.new_id("batch_req_"), "custom_id": line["custom_id"], "response": response, "error": None}


def _page(rows: list[Object], request: web.Request) -> Object:
    after, limit = request.query.get("after"), int(request.query.get("limit", "20"))
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after else 0
    page = rows[start : start + limit]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    has_more = start + limit < len(rows)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": has_more}


def _conversations(kept: StatefulUpstream) -> web.RouteTableDef:
    routes, answer = web.RouteTableDef(), web.json_response

    @routes.post("/v1/conversations")
    async def _(request: web.Request) -> web.Response:
        body = await request.json() if request.body_exists else {}
        made = kept.keep("conv_", "conversation", metadata=body.get("metadata") or {})
        kept.items[made["id"]] = [{"id": kept.new_id("msg_"), **item} for item in body.get("items") or ()]
        return answer(made)

    @routes.post("/v1/conversations/{id}/items")
    async def _(request: web.Request) -> web.Response:
        name = kept.get(request.match_info["id"])["id"]
        new = [{"id": kept.new_id("msg_"), "status": "completed", **item} for item in (await request.json())["items"]]
        kept.items[name] += new
        return answer(_page(new, request))

    @routes.get("/v1/conversations/{id}/items")
    async def _(request: web.Request) -> web.Response:
        return answer(_page(kept.items[kept.get(request.match_info["id"])["id"]], request))

    @routes.delete("/v1/conversations/{id}/items/{item}")
    async def _(request: web.Request) -> web.Response:
        rows = kept.items[request.match_info["id"]]
        rows[:] = [row for row in rows if row["id"] != request.match_info["item"]]
        return answer(kept.get(request.match_info["id"]))

    return routes


def _models(kept: StatefulUpstream) -> web.RouteTableDef:
    routes, answer = web.RouteTableDef(), web.json_response

    @routes.post("/v1/responses")
    async def _(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        made = kept.respond(body)
        if not body.get("stream"):
            return answer(made)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        number = 0
        async for event in kept.events(made):
            data = json.dumps({**event, "sequence_number": number})
            await stream.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
            number += 1
        return stream

    @routes.post("/v1/chat/completions")
    async def _(request: web.Request) -> web.Response:
        body = await request.json()
        for message in body["messages"]:
            for part in message["content"] if isinstance(message.get("content"), list) else ():
                if part["type"] == "file":
                    kept.get(part["file"]["file_id"])
        choice = {"index": 0, "message": {"role": "assistant", "content": kept.says}, "finish_reason": "stop"}
        made = kept.keep("chatcmpl-", "chat.completion", created=time.time_ns() // 1000, model="m", choices=[choice])
        return answer(made)

    return routes


def _files(kept: StatefulUpstream) -> web.RouteTableDef:
    routes, answer = web.RouteTableDef(), web.json_response

    @routes.post("/v1/files")
    async def _(request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        data = upload.file.read()
        made = kept.keep("file-", "file", filename=upload.filename, purpose=form["purpose"], bytes=len(data))
        kept.contents[made["id"]] = data
        return answer(made)

    @routes.post("/v1/containers/{id}/files")
    async def _(request: web.Request) -> web.Response:
        form = dict(await request.post())
        kept.forms.append(
            {name: part.file.read() if isinstance(part, web.FileField) else part for name, part in form.items()}
        )
        return answer(kept.get(request.match_info["id"]))

    @routes.get("/v1/files/{id}/content")
    async def _(request: web.Request) -> web.Response:
        return web.Response(
            body=kept.contents[kept.get(request.match_info["id"])["id"]], content_type="application/octet-stream"
        )

    return routes


def _stores_and_batches(kept: StatefulUpstream) -> web.RouteTableDef:
    routes, answer = web.RouteTableDef(), web.json_response

    @routes.post("/v1/vector_stores")
    async def _(request: web.Request) -> web.Response:
        body = await request.json()
        for name in body.get("file_ids", ()):
            kept.get(name)
        return answer(kept.keep("vs_", "vector_store", name=body.get("name"), expires_at=time.time_ns() // 1000))

    @routes.post("/v1/vector_stores/{id}/files")
    async def _(request: web.Request) -> web.Response:
        store, body = kept.get(request.match_info["id"]), await request.json()
        named = kept.get(body["file_id"])["id"]
        return answer({"id": named, "object": "vector_store.file", "created_at": time.time_ns() // 1000,
                       "usage_bytes": 1, "vector_store_id": store["id"], "status": "completed"})  # fmt: skip

    @routes.post("/v1/batches")
    async def _(request: web.Request) -> web.Response:
        body = await request.json()
        kept.get(body["input_file_id"])
        more = {"status": "validating", "output_file_id": None, "completed_at": None, "completion_window": "24h"}
        return answer(kept.keep("batch_", "batch", **body | more))

    return routes


def _anything_kept(kept: StatefulUpstream) -> web.RouteTableDef:
    routes, answer = web.RouteTableDef(), web.json_response

    def kind(request: web.Request) -> list[Object]:
        names = {"files": "file", "vector_stores": "vector_store", "batches": "batch", "responses": "response"}
        names["chat/completions"] = "chat.completion"
        wanted = names[request.path.removeprefix("/v1/")]
        return [row for row in kept.objects.values() if row["object"] == wanted]

    for plural in ("files", "vector_stores", "batches", "chat/completions", "responses"):

        @routes.get(f"/v1/{plural}")
        async def _(request: web.Request) -> web.Response:
            return answer(_page(kind(request), request))

    for plural in ("conversations", "responses", "files", "vector_stores", "batches", "chat/completions"):

        @routes.get(f"/v1/{plural}/{{id}}")
        async def _(request: web.Request) -> web.Response:
            found = kept.get(request.match_info["id"])
            return answer(kept.poll(found) if found["object"] == "batch" else found)

        @routes.delete(f"/v1/{plural}/{{id}}")
        async def _(request: web.Request) -> web.Response:
            return answer(kept.delete(request.match_info["id"]))

    return routes


def _app(kept: StatefulUpstream) -> web.Application:
    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.text() if request.content_type == "application/json" else None
        kept.asked.append((request.method, request.path_qs, json.loads(body) if body else None))
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[noted])
    for routes in (_conversations, _models, _files, _stores_and_batches, _anything_kept):
        app.add_routes(routes(kept))
    return app


@contextmanager
def stateful(says: str = "Hello", **options: Any) -> Iterator[StatefulUpstream]:
    """A stateful upstream on a free port, in a thread of its own, that knows nothing yet."""
    upstream = StatefulUpstream(says, **options)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        runner = web.AppRunner(_app(upstream))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        upstream.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait()
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
