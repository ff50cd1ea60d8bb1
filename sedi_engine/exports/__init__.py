"""What goes out of a store: files, folders that other tools read as they are, the adapter, the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from sedi_engine.exports import folder
from store import exports
from store.database import Store
from store.errors import ExportError
from store.selection import Selection

EXTENSIONS: dict[str, str] = {
    "alpaca": "json",
    "csv": "csv",
    "parquet": "parquet",
    "openai_parquet": "parquet",
    **dict.fromkeys(("jsonl", "self_instruct", "sharegpt", "openai", "prompt_completion"), "jsonl"),
    **dict.fromkeys(get_args(folder.Kind), "zip"),
}
FORMATS: tuple[str, ...] = (*get_args(exports.Format), *get_args(folder.Kind))


def selection_of(values: dict[str, Any]) -> Selection:
    """A selection from plain values, as a command line or a page has them; raises ExportError in words."""
    try:
        return Selection.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        wanted = fault["msg"].removeprefix("Input should be ")
        raise ExportError(f"{name} is {fault['input']!r}, but should be {wanted}.", "Change it.") from None


def export(store: Store, selection: Selection, file_format: str, out: Path, lineage: bool = False) -> int:
    """Write the selected rows in any of FORMATS, a file or a folder; returns how many they are."""
    if file_format not in FORMATS:
        raise ExportError(f"There is no format {file_format!r} to export.", f"Choose one of {', '.join(FORMATS)}.")
    if file_format in get_args(folder.Kind):
        return folder.export_folder(store, selection, file_format, out, lineage)
    return store.read(exports.export, selection, file_format, out, lineage)
