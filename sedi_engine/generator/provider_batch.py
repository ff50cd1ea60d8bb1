"""Batches as a provider describes them, and the lines of their results. Pure; whatever it says may be anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from sedi_engine.generator.body import UnreadableError, storable
from sedi_engine.generator.request import Reply

IDENT = re.compile(r"[\w-]{1,200}")
ENDED = {"completed", "failed", "expired", "cancelled"}
SHOWN = 200


@dataclass(frozen=True)
class ProviderBatch:
    """A batch: its id, how it stands, the files that hold its results, and our tag."""

    batch_id: str
    status: str = ""
    result_files: tuple[str, ...] = ()
    said: str = ""
    tag: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED

    def missing(self, ours: bool) -> Reply:
        """What a call gets of which no result came; `ours`: it was this run that cancelled the batch."""
        if self.status == "failed":
            text = f"The provider did not take the batch {self.batch_id}."
            busy = "limit" in self.said.lower()  # so many tokens may wait at once
            words = f"{text} It says: {self.said}" if self.said else text
            return Reply(error=words, error_kind="server" if busy else "request", retryable=busy)
        if self.status == "expired":
            return Reply(error="The batch expired before this call.", error_kind="timeout", retryable=True)
        if self.status == "cancelled":
            return Reply(error=f"The batch {self.batch_id} was cancelled.", error_kind="request", retryable=ours)
        text = f"The batch {self.batch_id} ended without a result for this call."
        return Reply(error=text, error_kind="server", usage_source="unknown", retryable=True)


def read_batch(body: bytes) -> ProviderBatch:
    """A batch (or a file, of which the id alone is read); raises UnreadableError for anything else."""
    return _batch(_object(body))


def read_batches(body: bytes) -> list[ProviderBatch]:
    """A list of batches, less what is none; raises UnreadableError for anything else."""
    listed = _object(body).get("data")
    if not isinstance(listed, list):
        raise UnreadableError("it lists no batches.")
    return [_batch(one) for one in listed if isinstance(one, dict) and _ident(one.get("id"))]


def read_result(line: bytes) -> tuple[str, int, bytes] | None:
    """The name of the call, the status and the body in a line of a result file; None for what is none."""
    try:
        record = json.loads(line)
        name, response = record["custom_id"], record.get("response")
        if not isinstance(name, str):
            return None
        if isinstance(response, dict) and isinstance(response.get("status_code"), int):
            return name, response["status_code"], json.dumps(response.get("body")).encode()
        return name, 500, json.dumps({"error": record.get("error")}).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _batch(found: dict[str, Any]) -> ProviderBatch:
    batch_id = _ident(found.get("id"))
    if not batch_id:
        raise UnreadableError("it gives no id for what was sent.")
    files = (_ident(found.get(name)) for name in ("output_file_id", "error_file_id"))
    metadata = found.get("metadata")
    tag = metadata.get("sedi_tag") if isinstance(metadata, dict) else None
    return ProviderBatch(
        batch_id,
        str(found.get("status"))[:SHOWN],
        tuple(name for name in files if name),
        _said(found.get("errors")),
        str(tag or ""),
    )


def _ident(value: Any) -> str:
    """An id that can stand in an address."""
    return value if isinstance(value, str) and IDENT.fullmatch(value) else ""


def _said(errors: Any) -> str:
    data = errors.get("data") if isinstance(errors, dict) else None
    messages = [one.get("message") for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    first = next((one for one in messages if isinstance(one, str)), "")
    return " ".join(storable(first).split())[:SHOWN]


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnreadableError("its answer about a batch is no JSON object.")
    return found
