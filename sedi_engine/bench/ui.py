"""What a rerun of each page costs a person who works with a large store, beside an empty page and the bare figure.

Everything is measured end to end in a headless Chromium, over the real server: from the event of the gesture (the key
or the mouse, as the browser stamps it) until the script of the page is at rest, what the gesture asked for is there,
and the frame that shows it has been drawn.

A fair rerun is the same on every page, whatever it holds: the key r, Streamlit's own command to run the script again.
It goes to the server with the state of all widgets, runs the whole page there, and comes back with all its elements.
The references are pages of one title, and of one figure with as many points, hover texts and ids as the map draws; an
untouched Streamlit serves them with our settings. Nothing changes by the key r, so a figure is also drawn anew, on the
map and on the bare page, by the same press on the same kind of widget.

All gestures of a round follow each other at once, on reference and page, with and without a job; the medians of the
rounds are compared. Thus whatever else the machine does meets both. The job is a run on the embedded model in the
measured server itself; in the idle half of a round its worker process is halted.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedi_engine.bench import large_store
from sedi_engine.bench.browser import Server, chromium
from sedi_engine.bench.gestures import Tab, bare_lasso, lasso, lasso_and_curve, press_r, show_other_half
from sedi_engine.bench.job import Job
from sedi_engine.bench.large_store import RUN

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

MAPPED, DRAWN = 50_000, 10_000
MET = {True: "met", False: "missed"}
TO_EMPTY, TO_FIGURE, TO_IDLE = 3.0, 1.5, 2.0
REFERENCE = """
import json, pathlib, numpy as np, plotly.graph_objects as go, streamlit as st

@st.cache_resource
def figure(half, fresh):
    random, made = np.random.default_rng(0), go.Figure()
    texts = np.array(json.loads(pathlib.Path(__file__).with_name("hover.json").read_text()))
    x, y = random.uniform(-1, 1, size=(2, len(texts))).astype(np.float32)
    ids = np.arange(len(texts), dtype=np.int32)
    for layer in ((ids % 10 < 6, ids % 10 >= 6) if half else (ids >= 0,)):
        name, text = f"{layer.sum()} points", texts[layer].tolist()
        made.add_scattergl(x=x[layer], y=y[layer], mode="markers", customdata=ids[layer], text=text, name=name)
    return made.update_layout(height=620, showlegend=True, meta=fresh)

st.title("A page")
if st.query_params.get("figure"):
    half = st.segmented_control("Show", ["All", "Kept"], default="All", key="map_show") == "Kept"
    fresh = st.session_state["fresh"] = st.session_state.get("fresh", 0) + st.button("Clear", key="map_clear")
    st.plotly_chart(figure(half, fresh), key="map_plot", on_select="rerun")
"""


@dataclass(frozen=True)
class Page:
    """What is measured: where it lies, what is done on it, and what it is compared with, at most so many times."""

    name: str
    path: str
    gesture: Callable[[Tab], float] = press_r
    reference: str = "empty"
    goal: float | None = TO_EMPTY

    @property
    def reference_gesture(self) -> Callable[[Tab], float]:
        """What is done on the reference."""
        return {"figure drawn anew": show_other_half, "lasso on the figure": bare_lasso}.get(self.reference, press_r)


@dataclass(frozen=True)
class Measure:
    """A ratio of two medians of one run; without a goal it is there to compare with."""

    measure: str
    seconds: float
    compared_with: str
    compared_seconds: float
    ratio: float
    goal: float | None
    met: bool | None


PAGES = (
    Page("overview", ""),
    Page("generate", "generate"),
    Page("map", "map"),
    Page("batches", "batch"),
    Page("training", "train"),
    Page("seeds", "seeds"),
    Page("runs", "runs"),
    Page("lasso", "map", lasso),
    Page("lasso and curve", "map", lasso_and_curve, goal=None),
    Page("lasso", "map", lasso, "lasso on the figure", None),
    Page("map", "map", press_r, "figure", TO_FIGURE),
    Page("map drawn anew", "map", show_other_half, "figure drawn anew", TO_FIGURE),
)


def run(records: int, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Seconds and ratios of every page, idle and beside a job, each with its goal and whether it is met.

    `tell` is given the name of what is measured next.
    """
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary) / "data"
        large_store.fill(folder, records, MAPPED)
        script = Path(temporary) / "reference.py"
        script.write_text(REFERENCE, encoding="utf-8")
        script.with_name("hover.json").write_text(json.dumps(large_store.texts(DRAWN)), encoding="utf-8")
        load = os.getloadavg()[0]
        bare_command = ("-m", "streamlit", "run", str(script), "--server.port")
        with serving(Server(folder)) as ours, serving(Server(folder, bare_command, "/_stcore/health")) as bare:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(120_000)
            with Job(folder, ours.pid) as job:
                measures = []
                for page in PAGES:
                    tell(f"{page.name} beside {page.reference}")
                    measures += _compare(context, job, ours.address, bare.address, page, rounds)
    return {
        "records": records,
        "drawn": DRAWN,
        "rounds": rounds,
        "cores": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "measures": [asdict(one) for one in measures],
        "met": all(one.met is not False for one in measures),
    }


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """A server that is stopped at the end."""
    try:
        yield server
    finally:
        server.stop()


def _compare(context: BrowserContext, job: Job, ours: str, bare: str, page: Page, rounds: int) -> list[Measure]:
    """The page beside its reference, and beside itself while a job runs."""
    figure = "?figure=true" if page.reference != "empty" else ""
    reference = Tab(context, f"{bare}/{figure}")
    tab = Tab(context, f"{ours}/{page.path}?run={RUN}")
    taken = defaultdict(list)
    for number in range(rounds + 1):
        found = {}
        for beside in ("", " beside a job"):
            job.go_on() if beside else job.halt()
            found[page.reference + beside] = page.reference_gesture(reference)
            found[page.name + beside] = page.gesture(tab)
        if number:  # the first round warms caches, and is not counted
            for name, seconds in found.items():
                taken[name].append(seconds)
    reference.close()
    tab.close()
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    made = [_measure(median, page.name, page.reference, page.goal)]
    if page.reference in ("empty", "figure drawn anew"):  # the others are of a page that is there already
        made.append(_measure(median, f"{page.name} beside a job", page.name, TO_IDLE))
    return made


def _measure(median: dict[str, float], name: str, other: str, goal: float | None) -> Measure:
    ratio = median[name] / median[other]
    return Measure(name, median[name], other, median[other], ratio, goal, None if goal is None else ratio <= goal)


def as_table(found: dict[str, Any]) -> str:
    """The measures as lines to read."""
    lines = [f"{'':32}{'seconds':>9}   {'of':24}{'seconds':>9}{'ratio':>8}{'goal':>7}"]
    for one in found["measures"]:
        lines.append(
            f"{one['measure']:32}{one['seconds']:9.3f}   {one['compared_with']:24}{one['compared_seconds']:9.3f}"
            f"{one['ratio']:8.2f}" + ("" if one["met"] is None else f"{one['goal']:7.1f}  {MET[one['met']]}")
        )
    load = f"{found['load_after']:.1f}"
    return "\n".join([*lines, f"{found['records']:,} records, {found['cores']} cores, load at the end {load}."])
