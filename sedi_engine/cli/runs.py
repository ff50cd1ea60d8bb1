"""Commands on runs: start, go on, stop, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sedi_engine import keys, licences, paths, presets, spec
from sedi_engine.cli.app import JsonOption, RunArgument, SetOption, StoreOption, app, door
from sedi_engine.cli.setup import fetch_weights_for
from sedi_engine.config import RunConfig, parse_settings
from sedi_engine.console import Do, console, errors_in_words, follow, say, say_json, show_runs
from sedi_engine.errors import InputError

GOOD_ENDS = ("completed", "waiting_for_review")


@app.command()
def run(
    spec_file: Annotated[
        Path | None, typer.Argument(metavar="SPEC.toml", help="Settings as TOML, as the dashboard saves and downloads.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"Start from {', '.join(presets.built_in())}, or a saved one; default quick.")
    ] = None,
    settings: SetOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of every random choice.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and start nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run and wait for its end; ctrl-c pauses it."""
    with errors_in_words():
        given = parse_settings(settings or [])
        if seed is not None:
            given["random_seed"] = seed
        folder = paths.data_folder(store)
        config = _config(spec_file, preset, _absolute(given), folder)
        for sentence in licences.sentences(config):
            console.print(sentence, markup=False, soft_wrap=True)
        if dry_run:
            _estimate(config, folder, as_json)
            return
        fetch_weights_for(config)
        with door(folder) as do:
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


def _config(spec_file: Path | None, preset: str | None, given: dict[str, Any], folder: Path) -> RunConfig:
    """From a spec or from a preset, with settings laid over it."""
    if spec_file is None:
        return RunConfig.load(preset or "quick", given, folder)
    if preset is not None:
        raise InputError(
            f"Both a spec ({spec_file}) and --preset {preset} are given.",
            f'Name one; a spec can build on a preset with preset = "{preset}" in it.',
        )
    return spec.load(spec_file, given)


def _estimate(config: RunConfig, folder: Path, as_json: bool) -> None:
    """What the run would take, as low, likely and high."""
    with door(folder) as do:
        found = do("estimate", config=config.model_dump())
    if as_json:
        say_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict):
            value = "{likely:,.4g} ({low:,.4g} to {high:,.4g})".format(**value)
        typer.echo(f"{name:>18}  {'unknown' if value is None and name == 'cost_usd' else value or '–'}")


@app.command()
def compare(
    first: RunArgument,
    second: RunArgument,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs: settings, where they ran, counts and costs, and what their data sets share."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        found = do("compare", first=first, second=second)
        if as_json:
            say_json(found)
            return
        for part in ("settings", "provenance", "figures"):
            typer.echo(part)
            for name, (one, other) in found[part].items():
                typer.echo(f"{name:>34}  {_short(one):>24}  {_short(other):>24}")
        typer.echo("data")
        for name, count in found["data"].items():
            typer.echo(f"{name.replace('_', ' '):>34}  {count:>24,}")


@app.command()
def replay(
    run_id: RunArgument,
    threshold: Annotated[float, typer.Option(help="Another ROUGE-L threshold τ, in (0, 1].")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What another threshold had kept of a run's candidates, and what that had cost: exact, or an upper bound."""
    with errors_in_words(), door(paths.data_folder(store)) as do:
        say(do("replay", run_id=run_id, threshold=threshold), as_json)


def _short(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


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
