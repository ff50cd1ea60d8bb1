"""A loopback OpenAI-compatible server with faults to order: what it answers is a function of the call it is asked.

    with LoopbackServer(answer) as server:
        Client(server.base_url, "any", api_key=server.api_key, ...)

`answer(asked)` gets an Asked and returns text, an Answer, or a Fault. `server.asked` lists the calls so far.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any, Literal, Self

KEY = "loopback-key-5f1d"


@dataclass(frozen=True)
class Asked:
    """One call as it came in; `number` counts calls from 0."""

    number: int
    kind: Literal["completion", "chat"]
    body: dict[str, Any]
    authorization: str | None

    @property
    def prompt(self) -> str:
        """The prompt, or all messages one after the other."""
        if self.kind == "completion":
            return self.body["prompt"]
        return "\n".join(message["content"] for message in self.body["messages"])


@dataclass(frozen=True)
class Answer:
    """A good reply; without `usage` the server does not say what it counted."""

    text: str | None
    finish_reason: str | None = "stop"
    usage: tuple[Any, Any] | None = (7, 5)
    refusal: str | None = None


@dataclass(frozen=True)
class Fault:
    """A reply that goes wrong.

    status: that HTTP status, with `message`, `code` and `headers` · hang: no reply until the server stops ·
    half: the connection ends in the middle of the body, which `message` begins · raw: `message` as the body of a 200 ·
    large: a body of `size` bytes, sent in chunks.
    """

    kind: Literal["status", "hang", "half", "raw", "large"]
    status: int = 500
    message: str = "ordered fault"
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0


Answering = Callable[[Asked], "str | Answer | Fault"]

RATE_LIMITED = Fault("status", 429, "slow down", headers={"retry-after": "0"})
BROKEN = Fault("status", 500)
HANGS = Fault("hang")
HALF_A_REPLY = Fault("half")
WRONG_JSON = Fault("raw", message='{"choices": [')


def in_order(*answers: str | Answer | Fault) -> Answering:
    """The answers one after the other; the last one for ever."""
    coming: Iterator[str | Answer | Fault] = chain(answers, repeat(answers[-1]))
    lock = threading.Lock()

    def answer(_asked: Asked) -> str | Answer | Fault:
        with lock:
            return next(coming)

    return answer


class LoopbackServer:
    """Serves while the context is open. Each call has its own thread, so an answering function may block."""

    def __init__(
        self, answering: Answering, *, key: str | None = KEY, models: Sequence[str] | Fault | None = None
    ) -> None:
        self.asked: list[Asked] = []
        self.api_key = key
        self._models = models
        self._answering = answering
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def list_models(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer what models there are; an endpoint that lists none knows no such address."""
        if self.api_key is not None and handler.headers.get("authorization") != f"Bearer {self.api_key}":
            _send_json(handler, 401, {"error": {"message": "bad key"}}, {})
        elif self._models is None:
            _send_json(handler, 404, {"error": {"message": "not found"}}, {})
        elif isinstance(self._models, Fault):
            _send_fault(handler, self._models, self._stopping)
        else:
            _send_json(handler, 200, {"object": "list", "data": [{"id": name} for name in self._models]}, {})

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one call as ordered."""
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        authorization = handler.headers.get("authorization")
        if self.api_key is not None and authorization != f"Bearer {self.api_key}":
            _send_fault(handler, Fault("status", 401, f"bad key {authorization}"), self._stopping)
            return
        kind: Literal["completion", "chat"] = "chat" if handler.path.endswith("/chat/completions") else "completion"
        with self._lock:
            asked = Asked(len(self.asked), kind, body, authorization)
            self.asked.append(asked)
        answer = self._answering(asked)
        if isinstance(answer, Fault):
            _send_fault(handler, answer, self._stopping)
        else:
            _send_json(handler, 200, _completion(kind, Answer(answer) if isinstance(answer, str) else answer), {})


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.list_models(self)

        def do_POST(self) -> None:
            server.respond(self)

        def log_message(self, format: str, *args: object) -> None:
            """Tests read the record of calls, not a log."""

    return Handler


def _completion(kind: str, answer: Answer) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": answer.finish_reason}
    if kind == "chat":
        choice["message"] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    else:
        choice["text"] = answer.text
    reply: dict[str, Any] = {"id": "loopback", "object": kind, "created": 0, "model": "loopback", "choices": [choice]}
    if answer.usage:
        prompt_tokens, completion_tokens = answer.usage
        reply["usage"] = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return reply


def _send_fault(handler: BaseHTTPRequestHandler, fault: Fault, stopping: threading.Event) -> None:
    if fault.kind == "status":
        error = {"error": {"message": fault.message, "code": fault.code}}
        _send_json(handler, fault.status, error, fault.headers)
    elif fault.kind == "hang":
        stopping.wait()
    elif fault.kind == "raw":
        _send_body(handler, 200, [fault.message.encode()], len(fault.message.encode()), fault.headers)
    elif fault.kind == "large":
        block = b"x" * 65536
        _send_body(handler, 200, repeat(block, fault.size // len(block)), fault.size // len(block) * len(block), {})
    else:
        said = b'{"choices": [{"te' if fault.message == Fault.message else fault.message.encode()
        _send_body(handler, 200, [said], 4096 + len(said), fault.headers)
    handler.close_connection = True


def _send_json(handler: BaseHTTPRequestHandler, status: int, value: object, headers: dict[str, str]) -> None:
    body = json.dumps(value).encode()
    _send_body(handler, status, [body], len(body), headers)


def _send_body(
    handler: BaseHTTPRequestHandler, status: int, parts: Iterable[bytes], length: int, headers: dict[str, str]
) -> None:
    handler.send_response(status)
    for name, value in {"content-type": "application/json", "content-length": str(length), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    try:
        for part in parts:
            handler.wfile.write(part)
    except OSError:
        handler.close_connection = True
