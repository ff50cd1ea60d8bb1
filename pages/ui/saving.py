"""Every figure is drawn here, and can be taken away: PNG or SVG by the camera above it, the data behind it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from store.cells import cell

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FORMATS = {"png": "PNG", "svg": "SVG"}
Rows = Sequence[Mapping[str, Any]]


def chart(
    figure: Figure,
    key: str,
    alt: str,
    rows: Callable[[], Rows] | None = None,
    *,
    name: str = "",
    note: str = "",
    more: Mapping[str, Any] | None = None,
    **events: Any,
) -> Any:
    """Draw a figure, its `note` under it, and what saves it; returns the event that Streamlit does.

    `rows` gives the data behind it; without it only the camera is there. The keys of what saves it, and its files,
    begin with `name`, `key` if there is none. `more` goes into Plotly's configuration, `events` to Streamlit.
    """
    event = st.plotly_chart(figure, key=key, config=config(name or key, **(more or {})), alt=alt, **events)
    if note:
        st.caption(note)
    if rows is not None:
        offer(name or key, rows)
    return event


def config(key: str, **more: Any) -> dict[str, Any]:
    """What Plotly needs to draw a figure that can be saved in the form chosen under `key`."""
    image = {"format": st.session_state.get(f"{key}_form") or "png", "scale": 2, "filename": key.replace("_", "-")}
    buttons = {} if more else {"modeBarButtons": [["toImage"]]}
    return {"displaylogo": False, "toImageButtonOptions": image, **buttons, **more}


def offer(key: str, rows: Callable[[], Rows]) -> None:
    """The choice of form, and the download; `rows` is asked for only when somebody takes them."""
    with st.popover("Save", icon=":material/save:", key=f"{key}_save"):
        st.segmented_control(
            "Picture", list(FORMATS), format_func=FORMATS.get, default="png", required=True, key=f"{key}_form"
        )
        st.caption("Press the camera above the figure.")
        name = f"{key.replace('_', '-')}.csv"
        st.download_button(
            "Data as CSV", lambda: as_csv(rows()), name, "text/csv", key=f"{key}_csv", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def as_csv(rows: Rows) -> bytes:
    """Rows that share their columns; texts that a spreadsheet would take for a formula are defused."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if rows:
        writer.writerow(list(rows[0]))
        writer.writerows([cell(value) for value in row.values()] for row in rows)
    return out.getvalue().encode()
