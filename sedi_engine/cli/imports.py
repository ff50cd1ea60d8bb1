"""Commands on what comes in: import a file, list imports, read a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from sedi_engine import paths
from sedi_engine.cli.app import JsonOption, StoreOption, app, door
from sedi_engine.console import counting, errors_in_words, fail, say, say_json
from sedi_engine.errors import InputError

POLL_S = 0.2
TargetOption = Annotated[
    Literal["seeds", "heldout", "reference", "stream"], typer.Option("--as", help="What the tasks become.")
]
FormOption = Annotated[
    Literal["self_instruct", "alpaca", "sharegpt", "openai", "prompt_completion", "columns"] | None,
    typer.Option("--format", help="Form of the records; recognised if not said."),
]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON, JSONL, CSV or Parquet, also in gzip or zip.")],
    target: TargetOption,
    form: FormOption = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Which column is what, as instruction=NAME; may be repeated.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in tasks as seeds, as held-out set, as reference for the map, or as a stream of recorded candidates."""
    with errors_in_words():
        mapping = dict(_pair(text) for text in column or [])
        if not file.is_file():
            raise InputError(f"There is no file {file}.", "Check the path.")
        with door(paths.data_folder(store)) as do:
            arguments = {"path": str(file.absolute()), "target": target, "form": form, "mapping": mapping}
            import_id = do("import", **arguments)
            with counting("importing") as progress:
                while (row := do("import_state", import_id=import_id))["status"] == "running":
                    progress(row["read"], row["read"])
                    time.sleep(POLL_S)
            report = do("import_report", import_id=import_id)
        if not as_json:
            for fault in report[:20]:
                typer.echo(f"line {fault['line']}: {fault['reason']}", err=True)
        stream = {"stream_path": row["stream_path"]} if target == "stream" else {}
        names = ("import_id", "target", "status", "read", "taken", "duplicates", "refused")
        say({**{name: row[name] for name in names}, **stream}, as_json)
        if row["status"] != "completed":
            fail(row["error"] or f"The import was {row['status']}.", row["next_step"] or "", 2)


@app.command()
def imports(
    report: Annotated[str | None, typer.Option(help="Id of an import: print what it left out, by line.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was imported, or what one import left out and why."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        rows = do("import_report", import_id=report) if report else do("imports")
        if as_json:
            say_json(rows)
            return
        for row in rows:
            if report:
                typer.echo(f"line {row['line']}: {row['reason']}")
            else:
                counts = ", ".join(f"{row[name]:,} {name}" for name in ("read", "taken", "duplicates", "refused"))
                typer.echo(f"{row['import_id']}  {row['status']:<11} {row['target']:<9} {counts}")


def _pair(text: str) -> tuple[str, str]:
    part, equals, name = text.partition("=")
    if not equals:
        raise InputError(f"--column {text!r} has no '='.", "Write for example --column instruction=question.")
    return part.strip(), name
