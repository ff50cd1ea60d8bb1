"""The door of the process that owns a store: commands of the same user reach it over loopback.

A token file (mode 600) in the data folder names the port and holds a random token. Requests are POST /COMMAND with a
JSON object; answers are {"result": …} or {"error", "next_step", "exit_code"}.
"""

from __future__ import annotations

import hmac
import http.client
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedi_engine import bringing_in, exports, prompting, replay
from sedi_engine.comparing import compare
from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, StudioError
from sedi_engine.exports.adapter import export_adapter
from sedi_engine.exports.recording import play, record
from store import runs, spend

if TYPE_CHECKING:
    from sedi_engine.service import Service

OWNER_FILE = "owner.json"
LARGEST_BODY_BYTES = 1 << 20
TIMEOUT_S = 600.0


class Owner:
    """Listens on a free loopback port until closed."""

    def __init__(self, service: Service) -> None:
        token = secrets.token_urlsafe(32)
        self._file = service.store.folder / OWNER_FILE
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(commands(service), token))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="owner", daemon=True)
        self._thread.start()
        self._publish({"pid": os.getpid(), "port": self._server.server_port, "token": token})

    def close(self) -> None:
        """Take the token file away and stop listening."""
        self._file.unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _publish(self, content: dict[str, Any]) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
        fresh.replace(self._file)


def commands(service: Service) -> dict[str, Callable[..., Any]]:
    """What can be asked of an owner, by name: the command line does the same through here with no owner about."""
    store, manager = service.store, service.manager

    def start(config: dict[str, Any], key: str | None) -> str:
        return manager.start(RunConfig.model_validate(config), key)

    def all_runs() -> list[dict[str, Any]]:
        return [manager.summary(run_id) for run_id in store.read(runs.run_ids)]

    def export(selection: dict[str, Any], file_format: str, out: str, lineage: bool) -> int:
        wanted = exports.selection_of(selection)
        manager.get(wanted.run_id)
        return exports.export(store, wanted, file_format, Path(out), lineage)

    def replayed(run_id: str, threshold: float) -> dict[str, Any]:
        manager.get(run_id)
        (found,) = replay.of_run(store, run_id, threshold)
        return {"run_id": run_id, **found.summary()}

    return {
        **prompting.commands(store, manager, service.prober),
        **bringing_in.commands(store, service.imports),
        "start": start,
        "config": lambda run_id: manager.get(run_id)["config"],
        "resume": manager.resume,
        "pause": manager.pause,
        "cancel": manager.cancel,
        "summary": manager.summary,
        "runs": all_runs,
        "compare": lambda first, second: compare(store, first, second),
        "estimate": lambda config: asdict(service.estimate(RunConfig.model_validate(config))),
        "replay": replayed,
        "spend": lambda by: store.read(spend.spend, by),
        "export": export,
        "record": lambda run_id, out: record(store, manager.get(run_id)["run_id"], Path(out)),
        "play": lambda path, by: play(store, Path(path), Path(path).name, by),
        "export_adapter": lambda run_id, out: export_adapter(store, run_id, Path(out)),
    }


class Remote:
    """The owner of a store in another process."""

    def __init__(self, folder: Path, port: int, token: str, pid: int) -> None:
        self._folder, self._port, self._token, self.pid = folder, port, token, pid

    @classmethod
    def find(cls, folder: Path) -> Remote | None:
        """The owner of the store in `folder`, if one answers."""
        try:
            content = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
            remote = cls(folder, int(content["port"]), str(content["token"]), int(content["pid"]))
            remote("ping")
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return None
        return remote

    def __call__(self, command: str, **arguments: Any) -> Any:
        """The result of a command there; raises its error here."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request("POST", f"/{command}", json.dumps(arguments), headers)
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            raise _error(answer)
        return answer["result"]


def _error(answer: dict[str, Any]) -> StudioError:
    kind = InputError if answer["exit_code"] == InputError.exit_code else StudioError
    return kind(answer["error"], answer["next_step"])


def _handler(known: dict[str, Callable[..., Any]], token: str) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {token}".encode()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_POST(self) -> None:
            """Check the token, then do the command."""
            if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
                self.send_error(401)
                return
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_BODY_BYTES:
                self.send_error(413)
                return
            self._answer(_perform(known, self.path.removeprefix("/"), self.rfile.read(length)))

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: stdout and stderr belong to the command."""

    return Handler


def _perform(known: dict[str, Callable[..., Any]], name: str, body: bytes) -> dict[str, Any]:
    if name == "ping":
        return {"result": "pong"}
    if name not in known:
        return {
            "error": f"The owner of the store knows no command {name!r}.",
            "next_step": "Update it.",
            "exit_code": 1,
        }
    try:
        return {"result": known[name](**json.loads(body or b"{}"))}
    except StudioError as error:
        return {"error": error.message, "next_step": error.next_step, "exit_code": error.exit_code}
    except Exception as error:
        text = f"The owner of the store failed: {type(error).__name__}: {error}"
        return {"error": text, "next_step": "Look into its log.", "exit_code": 1}
