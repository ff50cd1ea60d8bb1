"""Commands that set up: weights, dashboard, and what stands in the way."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sedi_engine import paths
from sedi_engine.cli.app import JsonOption, StoreOption, app
from sedi_engine.config import RunConfig
from sedi_engine.console import console, errors_in_words, say_json, telling


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard on 127.0.0.1.")] = 8501,
    store: StoreOption = None,
) -> None:
    """Fetch the weights once, then start the dashboard."""
    from sedi_engine import serve

    with errors_in_words():
        serve.check(paths.data_folder(store), port)
        fetch_weights()
        console.print(f"SeDi Studio: http://127.0.0.1:{port}  (data in {paths.data_folder(store)}; ctrl-c stops it)")
        serve.serve(paths.data_folder(store), port)


@app.command()
def doctor(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to look at.")] = 8501,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check versions, device, weights, store, port and disk, and say what to do about each."""
    from sedi_engine import doctor as checks

    with errors_in_words():
        found = checks.examine(paths.data_folder(store), port)
        if as_json:
            say_json([asdict(one) for one in found])
        else:
            checks.show(found)
        raise typer.Exit(0 if all(one.ok for one in found) else 1)


@app.command()
def weights() -> None:
    """Fetch, check and convert the embedded model's weights, if they are not there yet."""
    with errors_in_words():
        fetch_weights()
        console.print("The weights are there.")


def fetch_weights() -> None:
    """The embedded model's weights, with a bar, if they are not there yet."""
    from sedi_engine.models import ensure_weights

    with telling() as tell:
        ensure_weights(tell)


def fetch_weights_for(config: RunConfig) -> None:
    """The same where these settings need them."""
    from sedi_engine.preflight import needs_weights

    if needs_weights(config):
        fetch_weights()
