"""Presets on the Generate page: to begin from one, to keep settings under a name, to take them along as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from pages.ui import cards, command, draft
from pages.ui.draft import Draft
from sedi_engine import presets, spec
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from sedi_engine.presets import Preset

FIRST = ("demo", "quick")
UPLOAD = "generate_preset_upload"


def known(folder: Path) -> dict[str, Preset]:
    """Presets in the order to offer them: the demo first, saved ones after those of the project."""
    shipped = presets.built_in()
    first = {name: shipped[name] for name in FIRST}
    return {**first, **shipped, **{name: one for name, one in presets.saved(folder).items() if name not in shipped}}


def choose(folder: Path) -> Draft:
    """The choice of a preset; the settings that were begun from it."""
    offered = known(folder)
    begun = draft.current(offered)
    st.selectbox("New run from preset", list(offered), key="generate_preset", on_change=_begin, args=(offered,))
    return begun


def describe(folder: Path, begun: Draft) -> None:
    """What the chosen preset is for; anybody may have written it."""
    if said := known(folder)[begun.preset].description:
        st.text(said)


def keep(service: Desk, begun: Draft, config: RunConfig | None) -> None:
    """Save, delete, download and upload; `config` is None while the settings contradict each other."""
    folder = service.store.folder
    with st.popover("Presets", icon=":material/bookmarks:", key="generate_presets"):
        name = st.text_input("Name", key="generate_preset_name", max_chars=40, placeholder="a–z, 0–9, - and _")
        about = st.text_input("What it is for", key="generate_preset_about", max_chars=presets.LONGEST_DESCRIPTION)
        with st.container(horizontal=True):
            save, remove, ready = service.settings.save_preset, service.settings.remove_preset, bool(config and name)
            if command.button(save, "Save", icon=":material/save:", key="generate_preset_save", disabled=not ready):
                _save(service, name, config, about)
            st.download_button(
                "Download",
                spec.to_toml(config, about) if config else "",
                f"{begun.preset}.toml",
                "application/toml",
                key="generate_preset_download",
                icon=":material/download:",
                disabled=config is None,
                on_click="ignore",
            )
            saved = begun.preset in presets.saved(folder)
            if command.button(
                remove, "Delete", icon=":material/delete:", key="generate_preset_delete", disabled=not saved
            ):
                cards.attempt(remove, begun.preset)
                st.rerun()
        st.file_uploader(
            "Settings as TOML", "toml", key=UPLOAD, on_change=_upload, args=(known(folder),), max_upload_size=1
        )


def _save(service: Desk, name: str, config: RunConfig | None, about: str) -> None:
    if config and cards.attempt(service.settings.save_preset, name, config, about):
        draft.begin(presets.find(name, service.store.folder))
    st.rerun()


def _begin(offered: Mapping[str, Preset]) -> None:
    """Lay the chosen preset into the form, or say why it cannot be, and go on with the one before."""
    cards.attempt(draft.begin, offered[st.session_state["generate_preset"]])
    st.session_state["generate_preset"] = st.session_state[draft.KEY].preset


def _upload(offered: Mapping[str, Preset]) -> None:
    """Lay the settings of a file into the form, beside the preset that it builds on."""
    if file := st.session_state[UPLOAD]:
        cards.attempt(_take, offered, file.read(presets.LARGEST_BYTES + 1))


def _take(offered: Mapping[str, Preset], content: bytes) -> None:
    found = presets.parse_bytes(content, "custom", "The file")
    draft.begin(offered[found.base or "custom"], spec.of(found))
