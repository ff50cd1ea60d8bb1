"""How long the server takes to draw a page again: `python -m pages.ui.measure` over the store that SEDI_DATA names.

It prints one JSON object: seconds by name, the median of several reruns after a first one. An empty page and the bare
figure are drawn by scripts of two lines; everything goes through the same test harness of Streamlit.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from sedi_engine import service

RERUNS = 9
TIMEOUT_S = 120
APP = Path(__file__).parents[2] / "app.py"
EMPTY = "import streamlit as st\nst.title('Empty')\n"
FIGURE = """
import numpy as np, plotly.graph_objects as go, streamlit as st
random = np.random.default_rng(0)
figure = go.Figure()
for place in range(4):
    xy = random.normal(size=(2, {points} // 4)).astype(np.float32)
    text = [f"A task of the usual length that says what is wanted {{at}}" for at in range({points} // 4)]
    figure.add_scattergl(x=xy[0], y=xy[1], mode="markers", customdata=np.arange({points} // 4), text=text)
st.plotly_chart(figure, key="bare", on_select="rerun")
"""
PAGES = {
    "overview": "",
    "generate": "generate",
    "seeds": "seeds",
    "runs": "runs",
    "map": "diversity",
    "batches": "batches",
    "training": "training",
}


def median_s(app: AppTest) -> float:
    """Median time of a rerun; raises RuntimeError where a page shows an error instead of itself."""
    app.run()
    taken = []
    for _ in range(RERUNS):
        started = time.perf_counter()
        app.run()
        taken.append(time.perf_counter() - started)
        if app.exception:
            raise RuntimeError(str(app.exception[0].message))
    return statistics.median(taken)


def page(name: str, **query: str) -> AppTest:
    """One of our pages at an address."""
    app = AppTest.from_file(str(APP), default_timeout=TIMEOUT_S)
    app.run()
    for parameter, value in query.items():
        app.query_params[parameter] = value
    return app.switch_page(f"pages/{PAGES[name]}.py") if PAGES[name] else app


def main(points: int, region: str) -> None:
    """Measure everything, and say it."""
    scripts = {"empty": EMPTY, "figure": FIGURE.format(points=points)}
    found = {name: median_s(AppTest.from_string(text, default_timeout=TIMEOUT_S)) for name, text in scripts.items()}
    found |= {name: median_s(page(name)) for name in PAGES}
    found["lasso"] = median_s(page("map", region=region))
    service.close_current()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
