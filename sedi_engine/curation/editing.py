"""A person's edit of a candidate, judged as the filter judges: against everything but its own ancestors."""

from __future__ import annotations

from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.filters.flags import flags
from sedi_engine.filters.verdict import Filter
from sedi_engine.seeds import heldout_tasks
from store import imports, runs, snapshot
from store.candidates import ancestors
from store.database import Reader
from store.records import Candidate
from store.snapshot import BUILT_IN, MOST_HELDOUT

MOST_CHARACTERS = 20_000
Text = tuple[str, str, str]


def checked(text: Text) -> Text:
    """The three texts of a task, stripped; raises InputError for an empty instruction or one that is too long."""
    instruction, given, output = (part.strip() for part in text)
    if not instruction:
        raise InputError("The edit has no instruction, so it was not taken.", "Write one, or reject the task.")
    for name, part in (("instruction", instruction), ("input", given), ("output", output)):
        if len(part) > MOST_CHARACTERS:
            raise InputError(
                f"The edited {name} has {len(part):,} characters; at most {MOST_CHARACTERS:,} are taken.",
                "Shorten it.",
            )
    return instruction, given, output


def edited(store: Reader, candidate_id: str, text: Text) -> Candidate:
    """The candidate that an edit makes, with its verdict; its id is given when it is stored.

    Raises InputError for a text that cannot be one, and NotFoundError for a candidate that is not there.
    """
    instruction, given, output = checked(text)
    line = store.read(ancestors, candidate_id)
    if not line:
        raise NotFoundError(f"There is no candidate {candidate_id!r}.", "Reload the page.")
    original = line[0]
    run = store.read(runs.get, original["run_id"])
    assert run is not None
    judge = _filter(
        store, RunConfig.model_validate(run["config"]), run["run_id"], {row["candidate_id"] for row in line}
    )
    found = judge.judge(instruction, output=(given, output))
    return Candidate(
        candidate_id="",
        **{name: original[name] for name in ("run_id", "iteration", "call_index", "position")},
        origin="edit",
        parent_id=candidate_id,
        instruction=instruction,
        input=given,
        output=output,
        flags=flags(instruction, given, output),
        **vars(found),
    )


def _filter(store: Reader, config: RunConfig, run_id: str, without: set[str]) -> Filter:
    """The filter of a run, its pool less these candidates."""
    heldout = store.read(imports.tasks, config.train.heldout, MOST_HELDOUT) if config.train.heldout != BUILT_IN else ()
    judge = Filter(
        config.filter.threshold, config.filter.tokenizer, [task.instruction for task in heldout or heldout_tasks()]
    )
    for entry in store.read(snapshot.pool, run_id):
        if entry.ident in without:
            continue
        judge.add(entry.instruction, entry.ident, entry.source)
        if entry.output is not None:
            judge.complete(entry.instruction, entry.input, entry.output)
    return judge
