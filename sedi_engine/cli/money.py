"""Commands on money: what was spent, by run, by day, by model."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sedi_engine import paths
from sedi_engine.cli.app import JsonOption, StoreOption, app, door
from sedi_engine.console import errors_in_words, say_json


@app.command()
def spend(
    by: Annotated[Literal["run", "day", "model"], typer.Option(help="What a line stands for.")] = "run",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What calls and probes cost, by run, by day or by model."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        rows = do("spend", by=by)
        if as_json:
            say_json(rows)
            return
        for row in rows:
            unknown = f", {row['cost_unknown']} attempts of unknown price" if row["cost_unknown"] else ""
            tokens = f"{row['prompt_tokens']:,} + {row['completion_tokens']:,} tokens"
            typer.echo(f"{row['of']}  ${row['cost_usd']:.6g}{unknown}, {tokens} in {row['attempts']:,} attempts")
        if not rows:
            typer.echo("Nothing was spent yet.")
