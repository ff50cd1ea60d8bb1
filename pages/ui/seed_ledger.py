"""The seed ledger: what each seed of a run cost and brought, one seed in full, and the library beside the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import curation_charts, pictures, saving, seed_family, words
from pages.ui.tables import number, table, text
from sedi_engine.curation import territory
from store import ledger
from store.database import Reader

KEY = "seeds_ledger"
SEED = f"{KEY}_seed"
COLUMNS = {
    "seed_id": "seed",
    "status": "status",
    "instruction": "instruction",
    "calls": "calls",
    "asked": "asked",
    "parsed": "parsed",
    "kept": "kept",
    "dropped": "dropped",
    "drops": "dropped, by reason",
    "tokens": "tokens",
    "cost_usd": "USD",
    "usd_per_kept": "USD per kept",
    "credit": "credit",
    "map_share": "share of the map",
    "origin": "origin",
    "joined": "joined",
    "left": "left",
}
LIBRARY = {
    "seed_id": "seed",
    "instruction": "instruction",
    "origin": "origin",
    "in_run": "in this run",
    "credit": "credit in this run",
    "calls": "calls with credit",
    "children": "children kept",
}
HEIGHT = 380
COUNTING = (
    "A candidate counts whole for each seed of its prompt; tokens and USD of a call, its retries and output calls "
    "included, are shared equally among its seeds. Share of the map: the embedded candidates that are nearer to this "
    "seed than to any other active one."
)
Rows = Sequence[Mapping[str, Any]]


def show(service: Any, run_id: str) -> None:
    """The ledger of a run as a table that sorts, and the seed chosen in it in full."""
    st.subheader("Seed ledger", anchor=False)
    rows = service.store.read(ledger.of_run, run_id)
    if not any(row["calls"] for row in rows):
        st.caption("No seed has been in a prompt of this run; a run from a stream has no seeds in its prompts at all.")
        return
    shares = _shares(service.store, str(service.store.folder), *service.store.read(ledger.territory_mark, run_id))
    if not shares:
        st.caption("The share of the map is shown once the run is on the map.")
    st.caption(COUNTING)
    ids = [row["seed_id"] for row in rows]
    _table([_flat(row, shares) for row in rows], ids)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.session_state.get(SEED) not in ids:
            st.session_state.pop(SEED, None)
        chosen = st.selectbox("Seed in full", ids, index=None, placeholder="choose a row, or here", key=SEED, width=300)
        _download(rows, shares)
    if chosen:
        _one(service, run_id, rows[ids.index(chosen)], rows)


@st.cache_data(max_entries=8, show_spinner="Measuring the share of the map …")
def _shares(_store: Reader, folder: str, run_id: str, *mark: Any) -> dict[str, float]:
    return territory.shares(*_store.read(ledger.territory, run_id))


def _table(flat: Rows, ids: Sequence[str]) -> None:
    st.dataframe(
        [{heading: row[field] for field, heading in COLUMNS.items()} for row in flat],
        hide_index=True,
        height=HEIGHT,
        placeholder="",
        key=KEY,
        on_select=lambda: _selected(ids),
        selection_mode="single-row",
        column_config={
            "instruction": text(300),
            "tokens": number(format="localized"),
            "USD": number(format="$%.4f"),
            "USD per kept": number(format="$%.5f"),
            "credit": number(format="%+.3f"),
            "share of the map": number(format="percent"),
        },
    )


def _selected(ids: Sequence[str]) -> None:
    """A row that is clicked is the seed shown in full."""
    for row in st.session_state[KEY]["selection"]["rows"][:1]:
        st.session_state[SEED] = ids[row]


def _flat(row: Mapping[str, Any], shares: Mapping[str, float]) -> dict[str, Any]:
    """A row of the ledger with what the table says in words."""
    return {
        **row,
        "drops": ", ".join(f"{words.plain(reason)} {n:,}" for reason, n in row["reasons"].items()),
        "tokens": round(row["prompt_tokens"] + row["completion_tokens"]),
        "map_share": shares.get(row["seed_id"]),
        "joined": _joined(row),
        "left": _left(row),
    }


def _joined(row: Mapping[str, Any]) -> str:
    if row["promoted_by"] is None:
        return "at the start" if not row["added_iteration"] else f"window {row['added_iteration']}"
    return f"window {row['added_iteration']}, by {row['promoted_by']}"


def _left(row: Mapping[str, Any]) -> str:
    if row["status"] == "active":
        return ""
    by = f", by {row['left_by']}" if row["left_by"] else ""
    return f"window {row['removed_iteration']}{by}: {row['reason']}"


def _download(rows: Rows, shares: Mapping[str, float]) -> None:
    st.download_button(
        "Ledger as CSV", lambda: saving.as_csv(exported(rows, shares)), "seed-ledger.csv", "text/csv",
        key=f"{KEY}_csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def exported(rows: Rows, shares: Mapping[str, float]) -> list[dict[str, Any]]:
    """The ledger as flat rows that share their columns: a column for each reason of a drop."""
    reasons = sorted({reason for row in rows for reason in row["reasons"]})
    left_out = ("reasons", "promotion", "eviction")
    return [
        {
            **{name: value for name, value in row.items() if name not in left_out},
            **{f"dropped_{reason}": row["reasons"].get(reason, 0) for reason in reasons},
            "map_share": shares.get(row["seed_id"]),
            "promotion_evidence": words.evidence("promote", row["promotion"] or {}),
            "eviction_evidence": words.evidence("evict", row["eviction"] or {}),
        }
        for row in rows
    ]


def _one(service: Any, run_id: str, row: Mapping[str, Any], rows: Rows) -> None:
    """A seed with its texts, its history, its drops, its credit over time and its family."""
    with st.container(border=True, key=f"{KEY}_one"):
        st.text(row["instruction"])
        if row["input"]:
            st.text(f"Input: {row['input']}")
        st.text(f"Output: {row['output']}")
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _history(row)
            _credit(service, run_id, row["seed_id"])
        with right:
            _drops(row)
        seed_family.show(service, run_id, row["seed_id"], rows)


def _history(row: Mapping[str, Any]) -> None:
    lines = [f"Joined: {_joined(row)}{_at(row['promoted_at'])}{_said(row['promoted_reason'])}."]
    if row["promotion"]:
        lines.append(f"Why: {words.evidence('promote', row['promotion'])}.")
    if left := _left(row):
        lines.append(f"Left: {left}{_at(row['left_at'])}{_said(row['left_reason'])}.")
    if row["eviction"]:
        lines.append(f"Why: {words.evidence('evict', row['eviction'])}.")
    st.text("\n".join(lines))


def _at(moment: Any) -> str:
    return f", {moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _said(reason: str | None) -> str:
    return f", saying “{reason}”" if reason else ""


def _credit(service: Any, run_id: str, seed_id: str) -> None:
    rows = service.store.read(ledger.credit_over_time, run_id, seed_id)
    if not rows:
        st.caption("It has no credit yet: none of its children has been trained.")
        return
    figure = pictures.once(curation_charts.credit, rows, seed_id)
    saving.chart(figure, f"{KEY}_credit", "Credit of the seed after each window", lambda: rows)


def _drops(row: Mapping[str, Any]) -> None:
    cost = words.usd(row["usd_per_kept"]) if row["kept"] else "nothing kept"
    st.text(f"{row['parsed']:,} parsed = {row['kept']:,} kept + {row['dropped']:,} dropped; {cost} per kept child.")
    drops = [
        {"reason": words.plain(reason), "dropped": n, "share": n / row["parsed"]}
        for reason, n in row["reasons"].items()
    ]
    if drops:
        heads = {"reason": "reason", "dropped": "dropped", "share": "share of its parsed"}
        table(drops, heads, f"{KEY}_drops", share=number(format="percent"))


def library(service: Any, run_id: str) -> None:
    """The accepted seeds of the library, and what this run knows of each."""
    st.subheader("Library beside this run", anchor=False)
    rows = service.store.read(ledger.library, run_id)
    inside = sum(row["status"] is not None for row in rows)
    st.caption(
        f"{inside:,} of the {len(rows):,} accepted seeds of the library are or were in S of this run. A run copies its "
        "seeds from the library when it starts; what is accepted or left out here acts on the runs that start later."
    )
    shown = [{**row, "in_run": row["status"] or "not in it"} for row in rows]
    table(shown, LIBRARY, f"{KEY}_library", height=HEIGHT, credit=number(format="%+.3f"), instruction=text(380))
