"""Prompts to look at: a draft makes the prompt that a saved template of the same text would make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine import paths
from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.generator.journal import Journal
from sedi_engine.generator.request import Request
from sedi_engine.generator.templates import STAGES, Templates, TemplateStage
from sedi_engine.rendering import preview, rendered, said, sample
from sedi_engine.seeds import library_seeds
from store.records import Call

ENDPOINT = {"generator.kind": "endpoint", "generator.base_url": "http://127.0.0.1:9/v1"}
SEEDS = library_seeds()
TEXTS = {
    "instructions": "Of {{shown}}:\n{{list}}\nGo on.",
    "output": "{{examples}}Task: {{instruction}}",
    "whole_task": "{{list}}\nFrom {{first}} to {{total}}, {{count}} more.",
}


def endpoint(**more: object) -> RunConfig:
    return RunConfig.load("quick", {**ENDPOINT, **{name.replace("__", "."): value for name, value in more.items()}})


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("stem", ["mine", "mine_json"])
def test_a_draft_previews_what_it_will_be_once_saved(stage: TemplateStage, stem: str, tmp_path: Path) -> None:
    if stage == "output" and stem == "mine_json":
        with pytest.raises(InputError, match="read as it is"):
            preview(stage, TEXTS[stage], endpoint(), SEEDS, tmp_path, stem)
        return
    draft = preview(stage, TEXTS[stage], endpoint(), SEEDS, tmp_path, stem)
    templates = Templates(tmp_path)
    name = templates.save(stem, TEXTS[stage], stage)
    saved = sample(stage, endpoint(**{f"prompts.{stage}": name}), SEEDS, templates)
    assert draft.request.prompt == saved.request.prompt
    assert draft.request.schema == saved.request.schema
    assert (draft.request.schema is not None) == (stem == "mine_json")
    assert "{{" not in said(draft.request)


@given(st.text(max_size=60), st.sampled_from(sorted(STAGES)))
def test_any_draft_is_a_prompt_or_a_fault_in_words(text: str, stage: TemplateStage) -> None:
    if fault := Templates().check(text, stage):
        with pytest.raises(InputError, match="cannot be used"):
            preview(stage, text, endpoint(), SEEDS)
        assert fault
    else:
        assert preview(stage, text, endpoint(), SEEDS).call.asked == (0 if stage == "output" else 8)


def test_a_sample_shows_as_many_demonstrations_as_a_run(tmp_path: Path) -> None:
    config = endpoint(demos__count=6, demos__from_pool=2)
    ask = sample("instructions", config, SEEDS, Templates(tmp_path))
    assert len(ask.call.demo_seed_ids) == 8
    shown = {seed.seed_id: seed.instruction for seed in SEEDS}
    assert all(json.dumps(shown[ident])[1:-1] in said(ask.request) for ident in ask.call.demo_seed_ids)
    assert ask == sample("instructions", config, SEEDS, Templates(tmp_path))


def test_the_second_stage_is_asked_of_its_own_model() -> None:
    ask = sample("output", endpoint(generator__output_model="large"), SEEDS, Templates())
    assert (ask.request.model, ask.call.model) == ("large", "large")


def test_a_library_without_seeds_has_prompts_all_the_same() -> None:
    for stage in STAGES:
        assert said(sample(stage, endpoint(), [], Templates()).request).strip()


def test_turns_are_shown_under_their_roles() -> None:
    chat = Request("chat", (("system", "Be short."), ("user", "Hi.")), 10, 0.0)
    assert said(chat) == "[system]\nBe short.\n\n[user]\nHi."
    assert said(Request("completion", "Hi.", 10, 0.0)) == "Hi."


@pytest.fixture
def journal(folder: Path) -> list[Call]:
    """A journal of three calls, as the ledger would name them: the last has no offset, as older ones have none."""
    book, calls = Journal(paths.journal(folder, "r1")), []
    for index in range(3):
        call = Call(
            run_id="r1", call_index=index, stage="instruction", iteration=1, model="m", endpoint="e", asked=4,
            prompt_version="v1", attempt=index,
        )  # fmt: skip
        offset = book.sent(call, Request("completion", f"prompt {index}", 10, 0.5))
        calls.append(call.model_copy(update={"journal_offset": offset if index < 2 else None}))
        book.reply(call)
    book.close()
    return calls


def test_every_call_of_a_journal_can_be_read_back(folder: Path, journal: list[Call]) -> None:
    for index, call in enumerate(journal):
        ask = rendered(folder, "r1", call.model_dump())
        assert said(ask.request) == f"prompt {index}"
        assert ask.call.call_index == index


@pytest.mark.parametrize("offset", [None, 7, 10**9])
def test_a_prompt_that_is_gone_is_told_in_words(folder: Path, journal: list[Call], offset: int | None) -> None:
    lost = journal[0].model_copy(update={"call_index": 99, "journal_offset": offset})
    with pytest.raises(NotFoundError, match=r"replies\.jsonl"):
        rendered(folder, "r1", lost.model_dump())
    with pytest.raises(NotFoundError):
        rendered(folder, "r2", journal[0].model_dump())


def test_a_journal_torn_in_the_middle_is_no_crash(folder: Path, journal: list[Call]) -> None:
    path = paths.journal(folder, "r1")
    path.write_bytes(path.read_bytes().replace(b'"prompt 1"', b'"prompt', 1))
    with pytest.raises(NotFoundError):
        rendered(folder, "r1", journal[2].model_dump())
