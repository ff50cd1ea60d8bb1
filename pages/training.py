"""Training: loss and gradient norm live, several runs on one plot, the machine, and from a point to its batch."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import batch_card, cards, controls, focus, pictures, playing, saving, shell, training_charts, words
from pages.ui.playing import Moment
from sedi_engine.machine import usage
from store import training, views

PAGE = "training"
MOST_RUNS = 4


def picked() -> None:
    """A click on a point goes into the address, with its run."""
    for point in st.session_state["training_plot"]["selection"]["points"][:1]:
        run_id = point.get("customdata")
        run_id = run_id[0] if isinstance(run_id, list) else run_id
        focus.show_step(int(point["x"]))
        if run_id:
            st.session_state["run_id"] = st.query_params["run"] = run_id


def options(run_id: str) -> tuple[list[str], str, bool]:
    """Runs laid over this one, the form of the norm, and whether the axes are logarithmic."""
    others = [row["run_id"] for row in service.store.read(views.run_list) if row["run_id"] != run_id]
    with st.container(key="training_options"):
        left, middle, right = st.columns([4, 3, 2], gap="medium", vertical_alignment="bottom")
        over = left.multiselect(
            "Laid over it", others, max_selections=MOST_RUNS - 1, key="training_runs", placeholder="other runs",
            bind="query-params",
        )  # fmt: skip
        form = middle.selectbox(
            "Gradient norm, or a signal", list(training_charts.NORMS), format_func=training_charts.NORMS.get,
            key="training_norm", bind="query-params",
        )  # fmt: skip
        log = right.toggle("Logarithmic", key="training_log", bind="query-params")
    return over, form, log


def moment_of(run_id: str) -> Moment | None:
    """How far a run that has ended is played; None while it goes on, or where nothing was trained."""
    steps = service.store.read(training.steps, run_id)
    return playing.player(PAGE, max(row["iteration"] for row in steps), lambda: steps) if steps else None


def live(
    run_id: str, over: list[str], form: str, log: bool, was_alive: bool, step: int | None, moment: Moment | None
) -> None:
    """Everything that changes by itself; what stands outside is drawn anew where a click changed it."""
    pulse = service.store.read(views.pulse, run_id)
    shell.noticed_end(pulse["status"], was_alive)
    if focus.step() != step:
        st.rerun()
    _state(run_id, pulse)
    controls.controls(service, run_id, pulse["status"], PAGE)
    if shell.is_alive(pulse["status"]):
        st.caption("Pause stops after the step under way and saves; the open window is trained again on resuming.")
    rows = {one: service.store.read(training.steps, one) for one in (run_id, *over)}
    if not any(rows.values()):
        _no_training(run_id, pulse["status"])
        return
    lit = () if step is None else (step,)
    figure = pictures.once(training_charts.curves, rows, form, log, lit, moment=moment)
    with st.container(key="training_loss"):
        saving.chart(
            figure,
            "training_plot",
            "Loss and gradient norm over optimiser steps",
            lambda: [row for of_run in rows.values() for row in of_run],
            name=PAGE,
            on_select=picked,
            selection_mode="points",
        )
    if form == "ifd":
        _ifd_cost(rows[run_id])
    if bad := sum(training_charts.norm_values([row], "raw") == [None] for row in rows[run_id]):
        cards.card(f"{bad} steps have a gradient norm that is no number; they are left out.", colour="orange")
    taken = [row for row in rows[run_id] if moment is None or moment.reached(row)]
    if measured := training_charts.measured(taken):
        alt = f"{', '.join(training_charts.MACHINE[field] for field in measured)} over steps".capitalize()
        figure = pictures.once(training_charts.machine, taken, measured)
        saving.chart(figure, "training_machine", alt, lambda: rows[run_id])


def _state(run_id: str, pulse: dict[str, Any]) -> None:
    label, colour = words.STATUS[pulse["status"]]
    with st.container(horizontal=True, vertical_alignment="center", key="training_state"):
        st.badge(label, color=colour)
        if pulse["phase"]:
            st.text(words.PHASE[pulse["phase"]])
        if on := service.store.read(training.hardware, run_id):
            st.text(f"Trained on {on}")
        for one in usage() if shell.is_alive(pulse["status"]) else ():
            memory = f"{one.memory_used_gb:.1f} of {one.memory_total_gb:.1f} GB"
            st.text(f"{one.name}: {one.busy:.0%} busy, {memory}")


def _ifd_cost(rows: list[dict[str, Any]]) -> None:
    """What measuring IFD cost of the training; or how to have it."""
    took = [(row["ifd_seconds"], row["seconds"]) for row in rows if row["ifd_seconds"] is not None]
    if not took:
        st.caption("IFD was not measured: set train.ifd on Generate; it takes a second pass over each answer.")
        return
    ifd, whole = (sum(column) for column in zip(*took, strict=True))
    st.caption(f"Measuring IFD took {ifd:,.1f} s of {whole:,.1f} s of training: {ifd / (whole - ifd):.0%} on top.")


def _no_training(run_id: str, status: str) -> None:
    settings = service.store.read(views.settings, run_id)
    if settings["train"]["model"] == "none":
        cards.card("This run does not train: train.model is none.", "Set a student on Generate.", "blue")
    elif shell.is_alive(status):
        st.caption("The curves begin with the first optimiser step, once a window is full.")
    else:
        cards.card("No batch of this run was trained.", "Resume it, or look at its end on Generate.", "blue")


service = shell.open_service()
chosen = shell.run_to_explore(service, PAGE, "Training")
alive_now = shell.is_alive(service.store.read(views.pulse, chosen)["status"])
laid_over, norm_form, is_log = options(chosen)
looked_at = focus.step()
asked = (chosen, laid_over, norm_form, is_log, alive_now, looked_at, None if alive_now else moment_of(chosen))
st.fragment(live, run_every=shell.POLL_S if alive_now else None)(*asked)
if looked_at is not None:
    batch_card.brief(service, chosen, looked_at)
if not alive_now:
    shell.notice_revival(service, chosen)
