"""Commands on data: what goes out of a store, and what comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sedi_engine import paths
from sedi_engine.cli.app import JsonOption, RunArgument, StoreOption, app, door
from sedi_engine.console import errors_in_words, say


@app.command()
def export(
    run_id: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    file_format: Annotated[Literal["alpaca", "jsonl", "parquet"], typer.Option("--format", help="Form of the file.")],
    what: Annotated[Literal["kept", "candidates", "seeds"], typer.Option(help="What to export.")] = "kept",
    lineage: Annotated[bool, typer.Option("--lineage", help="Add where each row comes from.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's examples, candidates or seeds to a file."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        arguments = {"what": what, "file_format": file_format, "out": str(out.absolute()), "lineage": lineage}
        rows = do("export", run_id=run_id, **arguments)
        say({"run_id": run_id, "what": what, "format": file_format, "rows": rows, "out": str(out)}, as_json)
