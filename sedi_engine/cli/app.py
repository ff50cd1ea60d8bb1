"""What every command shares: the program, its common options, and the way to the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sedi_engine.console import Do

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="SeDi Studio: make instruction-tuning data with an LLM, and watch the loop close.",
)
StoreOption = Annotated[Path | None, typer.Option("--store", help="Data folder; default SEDI_DATA, else ./data.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Only JSON on stdout, one value a line.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A setting as key=value; may be repeated.")]
RunArgument = Annotated[str, typer.Argument(help="Run id, as `runs` lists it.")]


@contextmanager
def door(folder: Path) -> Iterator[Do]:
    """The store's commands: through the process that owns it, or opened here for the length of this command."""
    from sedi_engine.owner import Remote, commands
    from sedi_engine.service import Service

    if remote := Remote.find(folder):
        yield remote
        return
    service = Service(folder)
    try:
        known = commands(service)
        yield lambda command, **arguments: known[command](**arguments)
    finally:
        service.close()
