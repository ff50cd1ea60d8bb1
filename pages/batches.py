"""Batches: what a batch holds, how diverse it is beside the same items at random, and why it was (not) attractive."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from pages.ui import batch_card, batch_charts, beside_random, cards, focus, map_state, mapping, pictures, saving, shell
from sedi_engine import batch_study
from store import training, views

PAGE = "batches"


def choose(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """The batch that the address names, else the newest attractive one, else the newest."""
    by_step = {batch["step"]: batch for batch in batches}
    newest = max((step for step, batch in by_step.items() if batch["attractive"]), default=max(by_step))
    asked = focus.step()
    if asked is not None and asked not in by_step:
        cards.card(
            f"This run has no batch of step {asked}.", f"Choose one of {min(by_step)} to {max(by_step)}.", "orange"
        )
    st.session_state["batches_select"] = asked if asked in by_step else newest
    st.selectbox(
        "Batch",
        list(by_step),
        format_func=lambda step: _label(by_step[step]),
        key="batches_select",
        on_change=lambda: focus.show_step(st.session_state["batches_select"]),
        width=560,
    )
    return by_step[st.session_state["batches_select"]]


def _label(batch: dict[str, Any]) -> str:
    star = " ★ attractive" if batch["attractive"] else ""
    norm = f" · norm {batch['grad_norm']:.3f}" if _ranks(batch) else ""
    return f"step {batch['step']} · window {batch['iteration']} · {len(batch['members'])} tasks{norm}{star}"


def _ranks(batch: dict[str, Any]) -> bool:
    """Whether its step has a norm that is a number."""
    return batch["grad_norm"] is not None and math.isfinite(batch["grad_norm"])


def show(run_id: str) -> None:
    """Everything about one batch."""
    batches = service.store.read(training.batches, run_id)
    if not batches:
        cards.card("No batch of this run is composed yet.", "Batches come once a window is full; see Generate.", "blue")
        return
    batch = choose(batches)
    of_window = service.store.read(training.members, run_id, batch["iteration"])
    rows = [row for row in of_window if row["step"] == batch["step"]]
    with st.container(horizontal=True, vertical_alignment="center", key="batches_head"):
        st.text(batch_card.numbers(batch))
        query = {"run": run_id, "step": str(batch["step"])}
        st.page_link("pages/training.py", label="On the curve", icon=":material/show_chart:", query_params=query)
        st.page_link("pages/diversity.py", label="On the map", icon=":material/scatter_plot:", query_params=query)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Members", anchor=False)
        batch_card.members(rows, "batches_members")
    with right:
        st.subheader("On the map", anchor=False)
        _map(run_id, batch["step"])
    beside_random.show(service, run_id, batch, of_window, rows)
    _why(batches, batch)


def _map(run_id: str, step: int) -> None:
    if not map_state.show(service, run_id):
        return
    rows = mapping.frame(service.store, run_id)
    if not len(rows):
        return
    figure = pictures.lit(service.store, run_id, rows, 360, step)
    alt = f"The batch of step {step} lit on the map"
    saving.chart(
        figure, "batches_map", alt, lambda: rows[mapping.of_step(rows, step)][mapping.SAVED].to_dict("records")
    )


def _why(batches: list[dict[str, Any]], batch: dict[str, Any]) -> None:
    st.subheader("Why it was, or was not, the attractive one", anchor=False)
    ranks = [one for one in batches if _ranks(one)]
    window = [one for one in ranks if one["iteration"] == batch["iteration"]]
    if batch["grad_norm"] is not None and not _ranks(batch):
        cards.card("Its gradient norm is no number: it has no place among the others.", colour="orange")
        return
    if batch["grad_norm"] is None or len(window) < 2:
        st.caption("A window is ranked once its batches are trained, from two on.")
        return
    ranked = sorted(window, key=lambda one: -one["grad_norm"])
    place = 1 + [one["step"] for one in ranked].index(batch["step"])
    share = batch_study.correlation([o["grad_norm"] for o in ranks], [o["response_tokens"] for o in ranks])
    said = f"Its gradient norm is number {place} of {len(window)} in window {batch['iteration']}."
    if batch["grad_norm_detrended"] is not None:
        detrended = sorted(window, key=lambda one: -(one["grad_norm_detrended"] or 0))
        said += f" Less the window’s trend it is number {1 + [o['step'] for o in detrended].index(batch['step'])}."
    if share is not None:
        said += f" Norm and response length correlate at {share:+.2f} over this run’s batches."
    st.text(said)
    trained = [one for one in batches if one["attractive"] is not None]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = pictures.once(batch_charts.ranking, window, batch["step"])
        saving.chart(figure, "batches_ranking", "Norms of the window by step", lambda: batch_charts.ranked(window))
    with right:
        counts = batch_study.position_wins(trained)
        alt = "How often each position of a window won"
        saving.chart(
            pictures.once(batch_charts.wins, counts), "batches_wins", alt,
            lambda: [{"position": position, "windows_won": won} for position, won in counts.items()],
        )  # fmt: skip


service = shell.open_service()
chosen = shell.run_to_explore(service, PAGE, "Batches")
show(chosen)
if not shell.is_alive(service.store.read(views.pulse, chosen)["status"]):
    shell.notice_revival(service, chosen)
