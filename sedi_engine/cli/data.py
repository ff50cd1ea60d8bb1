"""Commands on data that goes out: export and push."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sedi_engine import paths
from sedi_engine.cli.app import JsonOption, RunArgument, StoreOption, app, door
from sedi_engine.console import errors_in_words, say
from sedi_engine.errors import InputError

FormatName = Literal[
    "alpaca",
    "jsonl",
    "parquet",
    "csv",
    "self_instruct",
    "sharegpt",
    "openai",
    "openai_parquet",
    "prompt_completion",
    "hf",
    "llamafactory",
]
WhatOption = Annotated[
    Literal["kept", "candidates", "seeds", "adapter"], typer.Option("--what", help="What to take out.")
]


@app.command()
def export(
    run_id: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write, or the folder for hf, llamafactory, adapter.")],
    file_format: Annotated[FormatName | None, typer.Option("--format", help="Form of the file or folder.")] = None,
    what: WhatOption = "kept",
    lineage: Annotated[bool, typer.Option("--lineage", help="Add where each row comes from.")] = False,
    verdict: Annotated[
        Literal["kept", "dropped"] | None, typer.Option(help="Only candidates with this verdict.")
    ] = None,
    reason: Annotated[list[str] | None, typer.Option(help="Only dropped for this reason; may be repeated.")] = None,
    iteration: Annotated[list[int] | None, typer.Option(help="Only of this window; may be repeated.")] = None,
    flag: Annotated[list[str] | None, typer.Option(help="Only with this flag; may be repeated.")] = None,
    without_flags: Annotated[bool, typer.Option("--without-flags", help="Only rows that carry no flag.")] = False,
    search: Annotated[str, typer.Option(help="Only rows with this in one of their texts.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's examples, candidates or seeds to a file or a folder, or its trained adapter."""
    with errors_in_words():
        said = {"run_id": run_id, "what": what, "format": file_format, "out": str(out)}
        if what == "adapter":
            with door(paths.data_folder(store)) as do:
                steps = do("export_adapter", run_id=run_id, out=str(out.absolute()))
            say({**said, "steps": steps}, as_json)
            return
        if file_format is None:
            raise InputError("--format is missing.", "Name one, for example --format jsonl.")
        selection = {
            "run_id": run_id,
            "what": what,
            "verdict": verdict,
            "reasons": reason or [],
            "iterations": iteration or [],
            "flags": flag or [],
            "without_flags": without_flags,
            "search": search,
        }
        with door(paths.data_folder(store)) as do:
            arguments = {"file_format": file_format, "out": str(out.absolute()), "lineage": lineage}
            rows = do("export", selection=selection, **arguments)
        say({**said, "rows": rows}, as_json)


@app.command()
def push(
    run_id: RunArgument,
    repo: Annotated[str, typer.Option(help="OWNER/NAME on the Hugging Face Hub.")],
    what: Annotated[Literal["kept", "adapter"], typer.Option(help="The examples, or the adapter.")] = "kept",
    private: Annotated[bool, typer.Option(help="Whether others cannot see it.")] = True,
    lineage: Annotated[bool, typer.Option("--lineage", help="Add where each row comes from.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go out; no network.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Push a run's examples or adapter to the Hugging Face Hub, with the caller's HF_TOKEN."""
    from sedi_engine.exports import hub

    with errors_in_words(), tempfile.TemporaryDirectory() as temporary:
        folder, kind = Path(temporary) / "export", "dataset" if what == "kept" else "model"
        with door(paths.data_folder(store)) as do:
            if what == "adapter":
                do("export_adapter", run_id=run_id, out=str(folder))
            else:
                selection = {"run_id": run_id, "what": what}
                do("export", selection=selection, file_format="hf", out=str(folder), lineage=lineage)
        planned: dict[str, Any] = hub.plan(folder, repo, kind, private)
        address = None if dry_run else hub.push(folder, repo, kind, private)
        say({**planned, "dry_run": dry_run, "address": address}, as_json)


@app.command()
def record(
    run_id: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write, for example demo.sedi.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run as one file that another store can show, with no key, GPU or network."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        rows = do("record", run_id=run_id, out=str(out.absolute()))
        say({"run_id": run_id, "out": str(out), "rows": rows}, as_json)


@app.command()
def play(
    recording: Annotated[Path, typer.Argument(metavar="FILE.sedi", help="A recording, as `record` writes it.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a recorded run into the store, to be looked at in the dashboard."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        say({"run_id": do("play", path=str(recording.absolute()), by=getpass.getuser())}, as_json)
