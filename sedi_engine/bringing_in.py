"""What can be asked of the process that owns a store about imports."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError
from sedi_engine.imports.job import Imports
from store import imports
from store.database import Store


def commands(store: Store, jobs: Imports) -> dict[str, Callable[..., Any]]:
    """Start, watch, list and read the report of imports."""

    def start(path: str, target: str, form: str | None, mapping: Mapping[str, str]) -> str:
        try:
            with Path(path).open("rb") as file:
                return jobs.start(file, Path(path).name, target, getpass.getuser(), form, mapping)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path and its rights.") from None

    def state(import_id: str) -> dict[str, Any]:
        path = store.folder / "streams" / f"{import_id}.jsonl"
        return {**_plain(jobs.get(import_id)), "stream_path": str(path) if path.exists() else None}

    def report(import_id: str) -> list[dict[str, Any]]:
        jobs.get(import_id)
        return store.read(imports.report, import_id)

    return {
        "import": start,
        "import_state": state,
        "import_report": report,
        "imports": lambda: [_plain(row) for row in store.read(imports.listed)],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
