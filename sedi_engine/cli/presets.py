"""Commands on presets: list them, print one as TOML, save a spec under a name, delete one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sedi_engine import paths, presets, spec
from sedi_engine.cli.app import JsonOption, StoreOption, app
from sedi_engine.config import RunConfig
from sedi_engine.console import errors_in_words, say_json
from sedi_engine.errors import InputError


@app.command("presets")
def presets_(
    name: Annotated[str | None, typer.Argument(help="Print this one as TOML, as `run` takes it.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save this TOML file under NAME.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the saved preset NAME.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List presets, print one as TOML, or save and delete those of a data folder."""
    with errors_in_words():
        folder = paths.data_folder(store)
        if name is None:
            if save or delete:
                raise InputError("No name is given.", "Write for example: presets my-run --save my-run.toml.")
            _list(folder, as_json)
        elif delete:
            spec.remove(folder, name)
        elif save:
            found = presets.read(save)
            typer.echo(str(spec.save(folder, name, spec.of(found), found.description)))
        else:
            found = presets.find(name, folder)
            sys.stdout.write(spec.to_toml(RunConfig.load(name, folder=folder), found.description))


def _list(folder: Path, as_json: bool) -> None:
    known = {**presets.built_in(), **presets.saved(folder)}
    rows = [
        {"name": one.name, "saved": one.name not in presets.built_in(), "description": one.description}
        for one in known.values()
    ]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<20} {'saved' if row['saved'] else '':<6} {row['description'].partition(chr(10))[0]}")
