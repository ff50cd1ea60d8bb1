"""The block that shows one item at a time and takes keys: its script and style, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from store.curation import Press

HERE = Path(__file__).parent
MOST_PRESSES = 200
# Not isolated: the buttons carry the same CSS classes as Streamlit's own widgets do.
_mount = st.components.v2.component(
    "sedi_review",
    css=(HERE / "review_block.css").read_text(encoding="utf-8"),
    js=(HERE / "review_block.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def draw(key: str, data: dict[str, Any], heard: Callable[[], None]) -> None:
    """Mount the block; `heard` is called when it has sent presses."""
    _mount(key=key, data=data, default={"presses": {}}, on_presses_change=heard)


def presses(key: str) -> list[Press]:
    """What the block has sent and the server has not said it has; what is no press is left out."""
    sent = st.session_state[key]["presses"]
    found = []
    for one in (sent.get("presses") or ())[:MOST_PRESSES] if isinstance(sent, dict) else ():
        try:
            found.append(Press.model_validate(one))
        except ValidationError:
            continue
    return found
