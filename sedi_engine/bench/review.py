"""What a review under the keyboard costs over a large store and beside a job: in Chromium, as ratios in one run.

Three things: from a key to the next item on screen, beside a rerun of an empty fragment; from a key until the server
has stored the decision, of the first fifty in a row beside the last fifty; and from the choice of a queue over
everything until its first item is there, beside a rerun of an empty page. All end with the frame that shows it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sedi_engine.bench import large_store
from sedi_engine.bench.browser import Server, chromium
from sedi_engine.bench.gestures import Tab, press_r
from sedi_engine.bench.job import Job
from sedi_engine.bench.large_store import RUN
from sedi_engine.bench.ui import Measure, serving

MAPPED = 50_000
KEY_S, TO_FRAGMENT, TO_FIRST, TO_EMPTY = 0.150, 1.0, 1.3, 3.0
PART = 50
REFERENCE = """
import streamlit as st

@st.fragment
def empty():
    st.session_state["drawn"] = st.session_state.get("drawn", 0) + 1
    with st.container(key="drawn"):
        st.text(str(st.session_state["drawn"]))
    st.button("Again", key="again")

st.title("A page")
empty()
"""
# A rerun of a fragment leaves the state of the page's script as it is: what it draws tells.
AGAIN = """() => {
    const drawn = () => document.querySelector(".st-key-drawn")?.textContent, before = drawn();
    window.benchAgain = new Promise(resolve => addEventListener("pointerup", ({timeStamp}) => {
        const look = () => drawn() !== before
            ? requestAnimationFrame(() => setTimeout(() => resolve((performance.now() - timeStamp) / 1000)))
            : requestAnimationFrame(look);
        requestAnimationFrame(look);
    }, {capture: true, once: true}));
}"""
# From the key on until another item is drawn, and until nothing waits to be stored.
WATCH = """() => {
    const shown = () => document.querySelector(".review-item")?.dataset.subject, before = shown();
    const waiting = () => document.querySelector(".review-state")?.dataset.waiting;
    const after = (done, stamp) => new Promise(resolve => {
        const look = () => done()
            ? requestAnimationFrame(() => setTimeout(() => resolve((performance.now() - stamp) / 1000)))
            : requestAnimationFrame(look);
        requestAnimationFrame(look);
    });
    window.benchPress = new Promise(resolve => addEventListener("keydown", ({timeStamp}) => {
        const next = after(() => shown() !== undefined && shown() !== before, timeStamp);
        const stored = after(() => waiting() === "0" && shown() !== before, timeStamp);
        resolve(Promise.all([next, stored]));
    }, {capture: true, once: true}));
}"""


def run(records: int, decisions: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Seconds and ratios, each with its goal and whether it is met; everything beside a running job."""
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary) / "data"
        large_store.fill(folder, records, min(MAPPED, records))
        script = Path(temporary) / "reference.py"
        script.write_text(REFERENCE, encoding="utf-8")
        bare_command = ("-m", "streamlit", "run", str(script), "--server.port")
        with serving(Server(folder)) as ours, serving(Server(folder, bare_command, "/_stcore/health")) as bare:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(120_000)
            with Job(folder, ours.pid):
                empty = Tab(context, bare.address)
                tab = Tab(context, f"{ours.address}/seeds?run={RUN}&queue=new")
                tab.page.wait_for_selector(".review-item")
                tell("queues")
                opened, page = _queues(tab, empty)
                tell(f"{decisions} decisions in a row")
                tab.rest()  # in front: a tab behind another draws no frames
                presses = []
                for at in range(decisions):
                    presses.append(_press(tab, "ax"[at % 2]))
                    if at % 50 == 49:
                        tell(f"{at + 1} of {decisions} decisions")
                fragment = [_again(empty) for _ in range(20)]
    nexts, stored = zip(*presses, strict=True)
    key, first, last = statistics.median(nexts), statistics.median(stored[:PART]), statistics.median(stored[-PART:])
    measures = [
        _measure("key to next item", key, "150 ms", KEY_S, 1.0),
        _measure("key to next item", key, "empty fragment", statistics.median(fragment), TO_FRAGMENT),
        _measure(f"last {PART} decisions", last, f"first {PART}", first, TO_FIRST),
        _measure("queue opened", opened, "empty page", page, TO_EMPTY),
    ]
    return {
        "records": records,
        "decisions": decisions,
        "cores": os.cpu_count(),
        "load_after": os.getloadavg()[0],
        "slowest_key_s": max(nexts),
        "measures": [asdict(one) for one in measures],
        "met": all(one.met for one in measures),
    }


def _queues(tab: Tab, empty: Tab, rounds: int = 16) -> tuple[float, float]:
    """Median seconds until the other queue's first item is there, and of a rerun of the empty page, by turns."""
    opened, page = [], []
    for number in range(rounds + 1):
        name, position = (("Library", "seed:"), ("New", "candidate:"))[number % 2]
        tab.expect("pointerup", f".review-item[data-subject^='{position}']")
        tab.page.locator(".st-key-seeds_queue").get_by_text(name, exact=False).first.click()
        seconds = tab.seconds()
        if number:
            opened += [seconds] if name == "New" else []
            page.append(press_r(empty))
    return statistics.median(opened), statistics.median(page)


def _press(tab: Tab, key: str) -> tuple[float, float]:
    """Seconds from a key to the next item, and until the server has the decision."""
    tab.page.wait_for_selector(".review-item")
    tab.page.evaluate(WATCH)
    tab.page.keyboard.press(key)
    found = tab.page.evaluate("window.benchPress")
    return float(found[0]), float(found[1])


def _again(tab: Tab) -> float:
    """A rerun of the empty fragment."""
    tab.rest()
    tab.page.evaluate(AGAIN)
    tab.page.locator(".st-key-again button").click()
    return float(tab.page.evaluate("window.benchAgain"))


def _measure(name: str, seconds: float, other: str, compared: float, goal: float) -> Measure:
    return Measure(name, seconds, other, compared, seconds / compared, goal, seconds / compared <= goal)
