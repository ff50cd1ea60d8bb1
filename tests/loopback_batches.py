"""A loopback provider with a batch API: files, batches and their results over real HTTP, with statuses to order.

with BatchProvider(answering()) as provider:
    provider.status = "in_progress"        # what every batch is, until told otherwise
"""

from __future__ import annotations

import json
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.loopback import KEY, Answer, Answering, Asked, Fault, _completion, _send_json


class BatchProvider:
    """Answers each request line once, when its batch is first looked at as ended."""

    def __init__(self, answering: Answering, *, status: str = "completed", key: str = KEY) -> None:
        self.api_key, self.status = key, status
        self.asked: list[Asked] = []
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.refused: dict[str, int] = {}  # statuses by the end of a path, such as {"/batches": 500}
        self.charged = [0, 0]
        self.errors: list[str] = []
        self.lost_lines = 0  # results that are left out of each batch
        self._answering = answering
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def upload(self, content: bytes) -> dict[str, Any]:
        ident = f"file-{len(self.files)}"
        self.files[ident] = content
        return {"id": ident, "object": "file", "purpose": "batch"}

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        ident = f"batch-{len(self.batches)}"
        names = {"input_file_id", "endpoint", "completion_window", "metadata"}
        assert set(wanted) == names, wanted
        self.batches[ident] = {"id": ident, "object": "batch", "status": "validating", **wanted}
        return self.batches[ident]

    def look(self, ident: str) -> dict[str, Any] | None:
        batch = self.batches.get(ident)
        if batch is None or batch["status"] in ("completed", "cancelled", "expired", "failed"):
            return batch
        batch["status"] = self.status
        if self.status in ("completed", "expired"):
            batch["output_file_id"] = self._answered(batch)
        if self.status == "failed":
            batch["errors"] = {"data": [{"message": message} for message in self.errors]}
        return batch

    def cancel(self, ident: str) -> dict[str, Any]:
        batch = self.batches[ident]
        batch.update(status="cancelled", output_file_id=self._answered(batch))
        return batch

    def _answered(self, batch: dict[str, Any]) -> str:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert len({line["body"]["model"] for line in lines}) == 1
        assert {line["url"] for line in lines} == {batch["endpoint"]}
        # results come in any order
        results = [self._result(line) for line in reversed(lines[: len(lines) - self.lost_lines])]
        return self.upload(b"".join(json.dumps(result).encode() + b"\n" for result in results))["id"]

    def _result(self, line: dict[str, Any]) -> dict[str, Any]:
        kind = "chat" if line["url"].endswith("/chat/completions") else "completion"
        asked = Asked(len(self.asked), kind, line["body"], None)
        self.asked.append(asked)
        answer = self._answering(asked)
        if isinstance(answer, Fault):
            body: Any = {"error": {"message": answer.message}}
            return {"custom_id": line["custom_id"], "response": {"status_code": answer.status, "body": body}}
        answer = Answer(answer) if isinstance(answer, str) else answer
        self.charged = [sum(pair) for pair in zip(self.charged, answer.usage or (0, 0), strict=True)]
        body = _completion(kind, answer)
        return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        path = handler.path.partition("?")[0].removeprefix("/v1")
        with self._lock:
            if handler.headers.get("authorization") != f"Bearer {self.api_key}":
                _send_json(handler, 401, {"error": {"message": "bad key"}}, {})
            elif status := next((code for end, code in self.refused.items() if path.endswith(end)), None):
                _send_json(handler, status, {"error": {"message": "ordered"}}, {})
            elif path.endswith("/content"):
                _send_raw(handler, self.files[path.split("/")[2]])
            else:
                found = self._found(handler, path, body)
                _send_json(handler, 200 if found else 404, found or {"error": {"message": "no such thing"}}, {})

    def _found(self, handler: BaseHTTPRequestHandler, path: str, body: bytes) -> dict[str, Any] | None:
        posted = handler.command == "POST"
        if path == "/files" and posted:
            return self.upload(_part(handler.headers["content-type"], body, "file"))
        if path == "/batches" and posted:
            return self.create(json.loads(body))
        if path == "/batches":
            return {"object": "list", "data": list(reversed(self.batches.values())), "has_more": False}
        if path.endswith("/cancel"):
            return self.cancel(path.split("/")[2])
        return self.look(path.split("/")[2]) if path.startswith("/batches/") else None


def _handler(provider: BatchProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            provider.respond(self, b"")

        def do_POST(self) -> None:
            provider.respond(self, _body(self))

        def log_message(self, format: str, *args: object) -> None:
            """Tests read what was asked, not a log."""

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    parts = []
    while size := int(handler.rfile.readline(), 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


def _part(content_type: str, body: bytes, name: str) -> bytes:
    """The content of a form's part."""
    form = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    (part,) = [one for one in form.iter_parts() if one.get_param("name", header="content-disposition") == name]
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _send_raw(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
