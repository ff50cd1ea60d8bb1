"""The command line: `python -m sedi_engine COMMAND`.

With --json, stdout carries JSON only, one value a line; everything else goes to stderr. A command works the same while
the dashboard is open: then the process that owns the store carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sedi_engine import paths
from sedi_engine.config import PRESETS, RunConfig, parse_settings
from sedi_engine.console import Do, console, counting, errors_in_words, follow, say, say_json, show_runs, telling
from sedi_engine.errors import InputError

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
GOOD_ENDS = ("completed", "waiting_for_review")


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard on 127.0.0.1.")] = 8501,
    store: StoreOption = None,
) -> None:
    """Fetch the weights once, then start the dashboard."""
    from sedi_engine import serve

    with errors_in_words():
        serve.check(paths.data_folder(store), port)
        _fetch_weights()
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
        _fetch_weights()
        console.print("The weights are there.")


@app.command()
def run(
    preset: Annotated[str, typer.Option(help=f"Start from: {', '.join(PRESETS)}.")] = "quick",
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
        _fetch_weights_for(config)
        with _door(paths.data_folder(store)) as do:
            _see_to_end(do, do("start", config=config.model_dump()), as_json)


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
        with _door(paths.data_folder(store)) as do:
            config = RunConfig.model_validate(do("config", run_id=run_id))
            _fetch_weights_for(config)
            do("resume", run_id=run_id, more_iterations=more, settings=given)
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
            with _door(folder) as do:
                found = do("runs")
        if as_json:
            say_json(found)
        else:
            show_runs(found)


@app.command("filter")
def filter_(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="Candidates: one {instruction} a line.")],
    out: Annotated[Path, typer.Option("--out", help="One verdict a line, in order.")],
    threshold: Annotated[float, typer.Option(help="Drop above this ROUGE-L F1, in (0, 1].")] = 0.85,
    pool: Annotated[Path | None, typer.Option(help="Instructions to compare with from the start.")] = None,
    heuristics: Annotated[bool, typer.Option(help="Apply the heuristic drops.")] = True,
    tokenizer: Annotated[Literal["rouge", "unicode"], typer.Option(help="How texts become tokens.")] = "rouge",
    as_json: JsonOption = False,
) -> None:
    """Filter instructions by heuristics and exact ROUGE-L, as a run does."""
    from sedi_engine.filters.file import filter_file

    with errors_in_words():
        with counting("filtering") as progress:
            summary = filter_file(
                source,
                out,
                threshold=threshold,
                pool=pool,
                heuristics=heuristics,
                tokenizer=tokenizer,
                progress=progress,
            )
        say(asdict(summary), as_json)


@app.command()
def compose(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="One {instruction, input} a line.")],
    batch_size: Annotated[int, typer.Option(help="Examples in a batch (B).")],
    out: Annotated[Path, typer.Option("--out", help="One batch a line.")],
    composer: Annotated[Literal["deal", "random"], typer.Option(help="deal, or the random control.")] = "deal",
    seed: Annotated[int, typer.Option(help="Seed of clusters and shuffles.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Deal instructions into diverse batches, and measure them beside the random control."""
    from sedi_engine.compose_file import compose_file

    with errors_in_words():
        with counting("embedding") as progress:
            summary = compose_file(source, out, batch_size, composer, seed, progress=progress)
        say(summary, as_json)


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
    with errors_in_words(), _door(paths.data_folder(store)) as do:
        arguments = {"what": what, "file_format": file_format, "out": str(out.absolute()), "lineage": lineage}
        rows = do("export", run_id=run_id, **arguments)
        say({"run_id": run_id, "what": what, "format": file_format, "rows": rows, "out": str(out)}, as_json)


bench = typer.Typer(no_args_is_help=True, help="Measure what the project claims, as ratios in one run.")
app.add_typer(bench, name="bench")


@bench.command("filter")
def bench_filter(
    data: Annotated[
        Path | None, typer.Option(help="Instructions to measure on; default: our seeds, recombined.")
    ] = None,
    sizes: Annotated[list[int] | None, typer.Option("--pool", help="Pool size; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """CPU-microseconds of the filter per candidate beside Alpaca's own loop on the same pool."""
    from sedi_engine.bench import filter as measure

    with errors_in_words():
        say(measure.run(tuple(sizes or measure.SIZES), data=data), as_json)


@contextmanager
def _door(folder: Path) -> Iterator[Do]:
    """The store's commands: through the process that owns it, or opened here for the length of this command."""
    from sedi_engine.owner import Remote, commands
    from sedi_engine.service import Service

    if remote := Remote.find(folder):
        yield remote
        return
    service = Service(folder)
    try:
        known = commands(service.store, service.manager)
        yield lambda command, **arguments: known[command](**arguments)
    finally:
        service.close()


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
    with errors_in_words(), _door(paths.data_folder(store)) as do:
        do(how, run_id=run_id)
        say({"run_id": run_id, "asked": how}, as_json)


def _fetch_weights() -> None:
    from sedi_engine.models import ensure_weights

    with telling() as tell:
        ensure_weights(tell)


def _fetch_weights_for(config: RunConfig) -> None:
    from sedi_engine.preflight import needs_weights

    if needs_weights(config):
        _fetch_weights()


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


if __name__ == "__main__":
    app()
