"""How this store is curated: guidelines, reason codes, overlap; kept in one file of the data folder."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards
from sedi_engine.curation import settings as curation_settings
from sedi_engine.curation.settings import MOST_CODES, Curation
from sedi_engine.desk import Desk

FIELDS = Curation.model_fields


def show(desk: Desk, settings: Curation) -> None:
    """The settings as a form, for who may change them; drawn only while it is unfolded, its table is slow to draw."""
    if not desk.person.may("researcher"):
        return
    unfolded = st.expander("Guidelines and reasons", icon=":material/rule:", key="seeds_settings", on_change="rerun")
    if unfolded.open:
        with unfolded, st.form("seeds_form"):
            _form(desk, settings)


def _form(desk: Desk, settings: Curation) -> None:
    text = st.text_area("Guidelines", settings.guidelines, max_chars=8000, height=140, key="seeds_guidelines",
                        help=FIELDS["guidelines"].description)  # fmt: skip
    st.caption(f"Reasons under the keys 1 to {MOST_CODES}, in this order")
    codes = st.data_editor(
        [one.model_dump() for one in settings.reason_codes], num_rows="dynamic", hide_index=True, key="seeds_codes"
    )
    left, middle, right = st.columns(3)
    overlap = left.number_input("People an item", 1, 20, settings.overlap, key="seeds_overlap",
                                help=FIELDS["overlap"].description)  # fmt: skip
    near = middle.number_input("Near the threshold", 0.0, 0.5, settings.near, 0.01, key="seeds_near",
                               help=FIELDS["near"].description)  # fmt: skip
    lease = right.number_input("Minutes before one person", 1.0, 1440.0, settings.lease_minutes, key="seeds_lease",
                               help=FIELDS["lease_minutes"].description)  # fmt: skip
    if st.form_submit_button("Save", icon=":material/save:"):
        values = {"guidelines": text, "reason_codes": [row for row in codes if any(row.values())],
                  "overlap": overlap, "near": near, "lease_minutes": lease}  # fmt: skip
        cards.attempt(lambda: desk.settings.save_curation(curation_settings.of(values)))
        st.rerun()
