"""What commands say to a person: errors in words, progress bars with time left. All of it on stderr."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from sedi_engine.errors import StudioError

POLL_S = 0.5
Do = Callable[..., Any]
console = Console(stderr=True, highlight=False)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turn any failure into sentences on stderr and an exit code; no traceback reaches a person."""
    try:
        yield
    except StudioError as error:
        fail(error.message, error.next_step, error.exit_code)
    except KeyboardInterrupt:
        fail("Stopped by the keyboard.", "What was stored is kept.", 1)
    except OSError as error:
        fail(f"{error.filename or 'The system'}: {error.strerror or error}.", "Check the disk and try again.", 1)


def fail(message: str, next_step: str, code: int) -> NoReturn:
    """Say what happened and what to do, and leave."""
    console.print(f"[bold red]error[/] {escape(message)}", soft_wrap=True)
    if next_step:
        console.print(f"      {escape(next_step)}", soft_wrap=True)
    raise typer.Exit(code)


def bars() -> Progress:
    """Progress bars with time left; nothing is drawn where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for (done, total)."""
    with bars() as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def telling() -> Iterator[Callable[[str, float | None], None]]:
    """A bar for (what is being done, its share); without a terminal, one line for each new thing."""
    said: list[str] = []
    with bars() as progress:
        task = progress.add_task("", total=100)

        def tell(what: str, share: float | None) -> None:
            progress.update(task, description=escape(what), completed=round(100 * (share or 0.0)))
            if what not in said:
                said.append(what)
                if not console.is_terminal:
                    console.print(escape(what), soft_wrap=True)

        yield tell


def follow(do: Do, run_id: str) -> dict[str, Any]:
    """Watch a run until it ends; ctrl-c or SIGTERM pauses it, a second one leaves at once. Its summary."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    pausing = False
    with bars() as progress:
        task = progress.add_task(run_id, total=None)
        while True:
            try:
                summary = do("summary", run_id=run_id)
                _draw(progress, task, summary)
                if summary["status"] not in ("queued", "running"):
                    return summary
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                if pausing:
                    raise
                pausing = True
                console.print(f"Pausing {run_id}: calls in flight come back first. Press again to leave at once.")
                do("pause", run_id=run_id)


def _as_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _draw(progress: Progress, task: Any, summary: dict[str, Any]) -> None:
    window = summary["window"]
    done = min(summary["iteration"], summary["iterations"]) * window + min(summary["queued"], window)
    doing = f"{summary['phase'] or summary['status']}, {summary['kept']} kept, step {summary['steps']}"
    progress.update(
        task, description=f"{summary['run_id']}  {doing}", completed=done, total=summary["iterations"] * window
    )


def say_json(value: Any) -> None:
    """One JSON value on one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def say(summary: dict[str, Any], as_json: bool) -> None:
    """A summary on stdout, as one line of JSON or as lines to read."""
    if as_json:
        say_json(summary)
        return
    for name, value in summary.items():
        typer.echo(f"{name:>18}  {value}")


def show_runs(found: list[dict[str, Any]]) -> None:
    """A line a run on stdout."""
    if not found:
        typer.echo("No run yet. Start one with: python -m sedi_engine run --preset quick")
    for one in found:
        numbers = f"{one['kept']} kept of {one['asked']} asked, {one['steps']} steps, {one['seeds_active']} seeds"
        typer.echo(f"{one['run_id']}  {one['status']:<18} {one['preset']:<7} {numbers}")
