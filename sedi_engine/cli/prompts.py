"""Commands on endpoints and prompts: test a connection, show a prompt and try it, list and save templates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sedi_engine import keys, paths, presets
from sedi_engine.cli.app import JsonOption, SetOption, StoreOption, app, door
from sedi_engine.cli.setup import fetch_weights
from sedi_engine.config import RunConfig, parse_settings
from sedi_engine.console import errors_in_words, say_json
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.generator.templates import LARGEST_BYTES, STAGES, Templates, TemplateStage
from sedi_engine.prompting import from_dict
from sedi_engine.rendering import said

PresetOption = Annotated[str, typer.Option(help=f"Start from: {', '.join(presets.built_in())}, or a saved one.")]
StageOption = Annotated[
    Literal["instructions", "output", "whole_task"] | None, typer.Option(help="Stage; default: the first.")
]
SIGNS = {"ok": "ok ", "no": "NO ", "unknown": "?  "}
CALL_STAGES = {None: None, "instructions": "instruction", "output": "output", "whole_task": "whole_task"}


@app.command()
def endpoint(
    preset: PresetOption = "custom",
    settings: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test a connection: what an endpoint can do, in at most four short calls, which are entered in the ledger."""
    with errors_in_words():
        folder, given = paths.data_folder(store), parse_settings(settings or [])
        config = RunConfig.load(preset, {"generator.kind": "endpoint", **given}, folder)
        _fetch_weights(config)
        with door(folder) as do:
            found = do("examine", config=config.model_dump(), key=keys.callers_own(config.generator))
        if as_json:
            say_json(found)
        else:
            _show_findings(found)
        raise typer.Exit(0 if found["usable"] else 1)


@app.command()
def prompt(
    run_id: Annotated[str | None, typer.Argument(help="A run; without one, what these settings would send.")] = None,
    call_index: Annotated[int, typer.Argument(min=0, help="Index of one of its calls.")] = 0,
    stage: StageOption = None,
    position: Annotated[int, typer.Option(min=0, help="With --stage output: the candidate's position.")] = 0,
    attempt: Annotated[int | None, typer.Option(min=0, help="Which attempt; default: the last.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it once, and show the tasks in the reply.")] = False,
    preset: PresetOption = "quick",
    settings: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a prompt word for word, one of a run or one of these settings; with --send, try it once."""
    with errors_in_words():
        folder, given = paths.data_folder(store), parse_settings(settings or [])
        with door(folder) as do:
            if run_id:
                place = position if stage == "output" else -1
                wanted = {"call_index": call_index, "stage": CALL_STAGES[stage], "position": place, "attempt": attempt}
                found = do("prompt", run_id=run_id, **wanted)
                config = RunConfig.model_validate(do("config", run_id=run_id)).with_settings(given)
            else:
                config = RunConfig.load(preset, given, folder)
                found = do("sample", config=config.model_dump(), stage=stage or _first_stage(config))
            ask = {name: found[name] for name in ("call", "request")}
            if send:
                _fetch_weights(config)
                key = keys.callers_own(config.generator)
                found["trial"] = do("trial", config=config.model_dump(), key=key, ask=ask)
        if as_json:
            say_json(found)
        else:
            _show_prompt(found)
        if send and found["trial"]["probe"]["error"]:
            raise typer.Exit(1)


@app.command()
def templates(
    name: Annotated[str | None, typer.Argument(help="One to print; with --save, the stem of the new one.")] = None,
    save: Annotated[Path | None, typer.Option(help="A file of text to keep as its next version.")] = None,
    stage: StageOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the templates of prompts, print one, or save a text as the next version of one."""
    with errors_in_words():
        known = Templates(paths.data_folder(store))
        if save is not None:
            saved = known.save(*_to_save(name, save, stage))
            say_json({"saved": saved}) if as_json else typer.echo(f"saved {saved}")
        elif name:
            text = known.text(name)
            say_json({"name": name, "text": text}) if as_json else typer.echo(printable(text))
        else:
            listed = {one: known.names(one) for one in STAGES if stage in (None, one)}
            if as_json:
                say_json(listed)
                return
            for one, names in listed.items():
                for template in names:
                    origin = "built in" if known.is_built_in(template) else "saved"
                    typer.echo(f"{one:<13} {origin:<9} {template}")


def printable(text: str) -> str:
    """The text without what a terminal would take as a command to itself."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _show_findings(found: dict[str, Any]) -> None:
    for one in found["findings"]:
        typer.echo(f"{SIGNS[one['state']]} {one['subject']:<13} {printable(one['found'])}")
        if one["next_step"]:
            typer.echo(f"{'':17} {printable(one['next_step'])}")
    cost = "an unknown sum" if found["cost_usd"] is None else f"{found['cost_usd']:.6f} USD"
    typer.echo(f"{found['calls']} calls sent, for {cost}.")


def _show_prompt(found: dict[str, Any]) -> None:
    request = from_dict(found).request
    typer.echo(f"{request.prompt_version}, {request.kind}, at most {request.max_tokens} tokens\n")
    typer.echo(printable(said(request)))
    if reply := found.get("reply") or found.get("error"):
        typer.echo(f"\nits reply\n{printable(reply)}")
    if "trial" in found:
        _show_trial(found["trial"])


def _show_trial(trial: dict[str, Any]) -> None:
    probe = trial["probe"]
    cost = "an unknown sum" if probe["cost_usd"] is None else f"{probe['cost_usd']:.6f} USD"
    tokens = f"{probe['prompt_tokens']} + {probe['completion_tokens']} tokens"
    typer.echo(f"\nsent: {tokens}, {probe['latency_s']:.2f} s, {cost}")
    if probe["error"]:
        typer.echo(printable(probe["error"]))
    for number, item in enumerate(trial["items"], start=1):
        cut = "  (cut)" if item["truncated"] else ""
        typer.echo(f"{number}. {printable(item['instruction'])}{cut}")
        for name in ("input", "output"):
            if item[name]:
                typer.echo(f"   {name}: {printable(item[name])}")
    for cause, count in trial["failed"].items():
        typer.echo(f"{count} {cause}")


def _to_save(stem: str | None, source: Path, stage: TemplateStage | None) -> tuple[str, str, TemplateStage]:
    if stem is None or stage is None:
        raise InputError("A template is saved under a stem and for a stage.", "Write templates STEM --stage STAGE.")
    try:
        with source.open("rb") as file:
            return stem, file.read(2 * LARGEST_BYTES).decode("utf-8-sig"), stage
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {source}.", "Check its name.") from None
    except UnicodeDecodeError:
        raise InputError(f"{source} is no text in UTF-8.", "Save it in UTF-8.") from None


def _first_stage(config: RunConfig) -> TemplateStage:
    return "instructions" if config.generator.prompt_form == "staged" else "whole_task"


def _fetch_weights(config: RunConfig) -> None:
    if config.generator.kind == "embedded":
        fetch_weights()
