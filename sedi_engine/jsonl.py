"""JSON lines in and out: a fault is told with its line; a file is written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError, NotFoundError, StudioError

Check = Callable[[dict[str, Any]], str | None]
UTF8_BOM = b"\xef\xbb\xbf"


def read_records(path: Path | str, check: Check = lambda record: None) -> list[dict[str, Any]]:
    """All records of a JSONL file, in order; an empty file gives an empty list.

    `check` names what is wrong with one record, or returns None. Raises InputError with the line's number
    (from 1) for the first line that is no JSON object in UTF-8, is blank (trailing ones are allowed) or fails
    the check; NotFoundError when there is no such file.
    """
    path = Path(path)
    lines = _read_bytes(path).removeprefix(UTF8_BOM).rstrip(b" \t\r\n").split(b"\n")
    if lines == [b""]:
        return []
    records = []
    for number, line in enumerate(lines, start=1):
        record, fault = _parse(line)
        fault = fault or check(record)
        if fault:
            raise InputError(f"Line {number} of {path} is wrong: {fault}.", f"Correct line {number} and start again.")
        records.append(record)
    return records


def text_fault(record: Mapping[str, Any], name: str, *, required: bool) -> str | None:
    """What is wrong with the text field `name`; a missing or null one is fine unless it is required."""
    value = record.get(name)
    if value is None:
        return f"it has no {name}, which is required" if required else None
    if not isinstance(value, str):
        return f"{name} is of type {type(value).__name__}, but should be text"
    if required and not value.strip():
        return f"{name} is empty"
    return None


def check_target(path: Path | str) -> None:
    """Raise InputError unless a file can be made, or replaced, at `path`."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file, so it cannot be replaced.", "Name a file.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist.", "Create it or name a file elsewhere.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(
            f"The folder {path.parent} is not writable.", "Change its permissions or name a file elsewhere."
        )


def write_lines(path: Path | str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all; raises as `write_whole` does."""
    write_whole(path, (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records))


def write_whole(path: Path | str, pieces: Iterable[str]) -> None:
    """Write a text, to a temporary name in the same folder first, synced, then renamed.

    Until the rename an older file at `path` stays as it was. Raises InputError for a place that cannot be
    written and StudioError when the disk is full or fails.
    """
    path = Path(path)
    check_target(path)
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", "Check its name.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name a readable JSONL file.") from error


def _parse(line: bytes) -> tuple[dict[str, Any], str | None]:
    if not line.strip():
        return {}, "it is blank"
    try:
        record = json.loads(line.decode("utf-8"))
        if b"\\ud" in line.lower():
            json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        return {}, f"byte {error.start + 1} is not UTF-8"
    except UnicodeEncodeError:
        return {}, "it holds half of a surrogate pair (a \\ud… escape without its partner)"
    except (ValueError, RecursionError) as error:
        return {}, f"it is not JSON ({error})"
    if not isinstance(record, dict):
        return {}, f"it holds a JSON {type(record).__name__}, but should be an object"
    return record, None


def _write_error(path: Path, error: OSError) -> StudioError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StudioError(f"The disk is full: {path} was not written.", "Free some space and start again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG):
        return InputError(f"{path} cannot be written: {error.strerror}.", "Name a file elsewhere.")
    return StudioError(f"{path} was not written: {error.strerror}.", "Check the disk and start again.")
