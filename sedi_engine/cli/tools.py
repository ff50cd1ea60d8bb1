"""Commands that need no store: the filter, the composer, the benchmarks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from sedi_engine.cli.app import JsonOption, app
from sedi_engine.console import counting, errors_in_words, say, say_json, telling


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


@bench.command("endpoint")
def bench_endpoint(
    calls: Annotated[int, typer.Option(min=50, help="Calls of each client.")] = 1500, as_json: JsonOption = False
) -> None:
    """Replies a second through our client beside a bare one that knows the endpoint's capacity; calls wasted on 429."""
    from sedi_engine.bench import endpoint as measure

    with errors_in_words():
        say(measure.run(calls), as_json)


@bench.command("import")
def bench_import(
    rows: Annotated[int, typer.Option(min=100, help="Tasks in the file.")] = 100_000, as_json: JsonOption = False
) -> None:
    """Rows a second of an import beside Python's json alone, its memory, and how long a page waits meanwhile."""
    from sedi_engine.bench import data as measure

    with errors_in_words():
        say(measure.run_import(rows), as_json)


@bench.command("export")
def bench_export(
    rows: Annotated[int, typer.Option(min=100, help="Examples in the run.")] = 100_000, as_json: JsonOption = False
) -> None:
    """Rows a second of each form of export beside Python's json alone, and what memory grows by."""
    from sedi_engine.bench import data as measure

    with errors_in_words():
        say(measure.run_export(rows), as_json)


@bench.command("ui")
def bench_ui(
    records: Annotated[int, typer.Option(min=1000, help="Candidates in the store.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that everything is done; medians are compared.")] = 9,
    as_json: JsonOption = False,
) -> None:
    """Reruns of each page over a large store, in Chromium, beside an empty page and the bare figure, and a job."""
    from sedi_engine.bench import ui as measure

    with errors_in_words():
        with telling() as tell:
            found = measure.run(records, rounds, lambda what: tell(what, None))
        if as_json:
            say_json(found)
        else:
            typer.echo(measure.as_table(found))


@bench.command("review")
def bench_review(
    records: Annotated[int, typer.Option(min=1000, help="Candidates in the store.")] = 100_000,
    decisions: Annotated[int, typer.Option(min=60, help="Decisions in a row.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """Keys to the next item, decisions in a row and queues over a large store, in Chromium, beside a job."""
    from sedi_engine.bench import review as measure
    from sedi_engine.bench.ui import as_table

    with errors_in_words():
        with telling() as tell:
            found = measure.run(records, decisions, lambda what: tell(what, None))
        if as_json:
            say_json(found)
        else:
            typer.echo(as_table(found))
