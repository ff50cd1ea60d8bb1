"""Starting the dashboard: Streamlit's own server on loopback, in this process's place."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from sedi_engine.errors import InputError
from sedi_engine.owner import Remote
from sedi_engine.paths import STORE_VARIABLE
from store.database import Store
from store.errors import StoreLockedError

ROOT = Path(__file__).parents[1]


def check(folder: Path, port: int) -> None:
    """Raise in words when the port is taken or the store cannot be owned."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}.",
                "Close what listens there, or choose another with --port.",
            ) from None
    if owner := Remote.find(folder):
        raise StoreLockedError(
            f"The store in {folder} is open in process {owner.pid}.",
            "Use the dashboard or command that runs there, or name another folder with --store DIR.",
            owner.pid,
        )
    Store(folder).close()


def serve(folder: Path, port: int) -> None:
    """Become the dashboard's server."""
    os.environ[STORE_VARIABLE] = str(folder)
    os.chdir(ROOT)  # Streamlit reads .streamlit/ from where it is started
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606
