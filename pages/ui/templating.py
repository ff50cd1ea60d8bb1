"""Templates: what prompts are made from, edited beside the prompt that they make; a change is a new version."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards, command, trial
from sedi_engine import presets
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from sedi_engine.generator.templates import MARKER_WORDS, MARKERS, STAGES, Templates, TemplateStage, name_for
from sedi_engine.rendering import preview, said
from store import seeds, views
from store.errors import StudioError

STAGE_WORDS = {"instructions": "Instruction list", "output": "Output", "whole_task": "Whole tasks"}
HEIGHT = 460


def show(service: Desk, run_id: str | None) -> None:
    """The editor on the left, the rendered prompt on the right."""
    with st.container(key="runs_templates"):
        config = _settings(service, run_id)
        if config is None:
            return
        stage: TemplateStage = st.segmented_control(
            "Stage", list(STAGES), format_func=STAGE_WORDS.get, default="instructions", required=True, key="runs_stage"
        )
        left, right = st.columns(2, gap="medium")
        with left:
            stem, draft = _editor(service, config, stage)
        with right:
            st.text("The prompt that it makes, with seeds of the library")
            try:
                ask = preview(stage, draft, config, service.store.read(seeds.library), service.store.folder, stem)
            except StudioError as problem:
                cards.error(problem)
                return
            st.code(said(ask.request), language=None, wrap_lines=True, height=HEIGHT)
            trial.offer(service, config, ask, "Try it once", "runs_template_try")


def _settings(service: Desk, run_id: str | None) -> RunConfig | None:
    """The settings that prompts are made with: a run's, or a preset's."""
    folder = service.store.folder
    known = [*([run_id] if run_id else []), *presets.built_in(), *presets.saved(folder)]
    chosen = st.selectbox("With the settings of", known, key="runs_template_settings", width=430)
    if chosen == run_id:
        return RunConfig.model_validate(service.store.read(views.settings, chosen))
    return cards.attempt(RunConfig.load, chosen, None, folder) or cards.notice()


def _editor(service: Desk, config: RunConfig, stage: TemplateStage) -> tuple[str, str]:
    """The template's text as it stands in the editor, and the stem that it would be saved under."""
    templates = Templates(service.store.folder)
    names = templates.names(stage)
    used = name_for(stage, config)
    name = st.selectbox(
        "Template",
        names,
        names.index(used) if used in names else 0,
        format_func=lambda one: f"{one}{' (built in)' if templates.is_built_in(one) else ''}",
        key=f"runs_template_{stage}",
    )
    text = st.text_area("Text", templates.text(name), height=HEIGHT - 150, key=f"runs_template_text_{name}")
    st.text("\n".join(f"{{{{{marker}}}}}  {MARKER_WORDS[marker]}" for marker in MARKERS[stage]))
    stem = name.rpartition(".v")[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        stem = st.text_input("Name", stem, key=f"runs_template_name_{name}", max_chars=48) or stem
        save = service.settings.save_template
        if command.button(save, "Save as next version", icon=":material/save:", key="runs_template_save"):
            if saved := cards.attempt(save, stem, text, stage):
                st.session_state["runs_template_saved"] = saved
                st.session_state.pop(f"runs_template_{stage}", None)
            st.rerun()
    if saved := st.session_state.pop("runs_template_saved", None):
        st.caption(f"Saved as {saved}. A run uses it with prompts.{stage} = {saved}, which Generate offers.")
    return stem, text
