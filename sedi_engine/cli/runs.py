"""Commands on runs: start, go on, stop, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sedi_engine import keys, paths, presets
from sedi_engine.cli.app import JsonOption, RunArgument, SetOption, StoreOption, app, door
from sedi_engine.cli.setup import fetch_weights_for
from sedi_engine.config import RunConfig, parse_settings
from sedi_engine.console import Do, console, errors_in_words, follow, say, say_json, show_runs
from sedi_engine.errors import InputError

GOOD_ENDS = ("completed", "waiting_for_review")


@app.command()
def run(
    preset: Annotated[str, typer.Option(help=f"Start from: {', '.join(presets.built_in())}.")] = "quick",
    settings: SetOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of every random choice.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run and wait for its end; ctrl-c pauses it."""
    with errors_in_words():
        given = parse_settings(settings or [])
        if seed is not None:
            given["random_seed"] = seed
        config = RunConfig.load(preset, _absolute(given))
        fetch_weights_for(config)
        with door(paths.data_folder(store)) as do:
            _see_to_end(do, do("start", config=config.model_dump(), key=keys.callers_own(config.generator)), as_json)


@app.command()
def resume(
    run_id: RunArgument,
    iterations: Annotated[str | None, typer.Option(help="+N: so many more iterations.")] = None,
    settings: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run that was paused, interrupted, capped or reviewed, or give a finished one more iterations."""
    with errors_in_words():
        given = _resumable(parse_settings(settings or []))
        more = _more_iterations(iterations)
        with door(paths.data_folder(store)) as do:
            config = RunConfig.model_validate(do("config", run_id=run_id))
            fetch_weights_for(config)
            key = keys.callers_own(config.generator)
            do("resume", run_id=run_id, more_iterations=more, settings=given, key=key)
            _see_to_end(do, run_id, as_json)


@app.command()
def pause(run_id: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Pause a run: calls in flight come back first, and `resume` goes on from there."""
    _stop("pause", run_id, store, as_json)


@app.command()
def cancel(run_id: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Cancel a run; what it has is kept."""
    _stop("cancel", run_id, store, as_json)


@app.command()
def runs(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List runs, newest first."""
    from store.connection import DATABASE_NAME

    with errors_in_words():
        folder = paths.data_folder(store)
        found: list[dict[str, Any]] = []
        if (folder / DATABASE_NAME).exists():
            with door(folder) as do:
                found = do("runs")
        if as_json:
            say_json(found)
        else:
            show_runs(found)


def _see_to_end(do: Do, run_id: str, as_json: bool) -> None:
    """Wait for a run's end, print its summary and leave with the code that it deserves."""
    if as_json:
        say_json({"run_id": run_id, "status": "queued"})
    else:
        console.print(f"run {run_id}")
    summary = follow(do, run_id)
    say(summary, as_json)
    if summary["error"]:
        console.print(f"{summary['error']} {summary['next_step'] or ''}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if summary["status"] in GOOD_ENDS else 1)


def _stop(how: str, run_id: str, store: Path | None, as_json: bool) -> None:
    with errors_in_words(), door(paths.data_folder(store)) as do:
        do(how, run_id=run_id)
        say({"run_id": run_id, "asked": how}, as_json)


def _absolute(settings: dict[str, Any]) -> dict[str, Any]:
    """Paths are the caller's, wherever the run's process stands."""
    path = settings.get("generator.stream_path")
    return {**settings, "generator.stream_path": str(Path(path).absolute())} if path else settings


def _resumable(settings: dict[str, Any]) -> dict[str, Any]:
    if other := next((key for key in settings if not key.startswith("budget.")), None):
        raise InputError(
            f"A run's {other} cannot be changed when it is resumed.", "Only budget.* can; start a new run instead."
        )
    return settings


def _more_iterations(text: str | None) -> int:
    if text is None:
        return 0
    if not text.removeprefix("+").isdigit() or int(text) < 1:
        raise InputError(f"--iterations is {text!r}, but should be +N with N of at least 1.", "Write for example +2.")
    return int(text)
