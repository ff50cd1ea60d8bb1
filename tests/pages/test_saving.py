"""Every figure can be taken away: one way to draw it, and the data behind it as CSV."""

from __future__ import annotations

import csv
import io
import re

import pytest

from pages.ui import batch_charts, saving
from sedi_engine.service import Service
from store import maps, training
from tests.pages.builder import explored
from tests.pages.conftest import ROOT, Open

# Drawn by Streamlit's own test harness, and a figure of two lines to compare with.
MEASURE = ROOT / "pages" / "ui" / "measure.py"
BEHIND = {
    "overview": {"overview_keep_rate", "overview_cost_per_kept", "overview_map"},
    "diversity": {"map"},
    "batches": {"batches_map", "batches_random", "batches_ranking", "batches_wins"},
    "training": {"training", "training_machine"},
    "generate": {"generate_training"},
}


def test_there_is_one_way_to_draw_a_figure() -> None:
    drawing = [
        path
        for path in (ROOT / "pages").rglob("*.py")
        if path != MEASURE and re.search(r"\.plotly_chart\(|\.(altair|line|bar|area|scatter)_chart\(", path.read_text())
    ]
    assert drawing == [ROOT / "pages" / "ui" / "saving.py"]


@pytest.mark.parametrize("page", list(BEHIND))
def test_each_figure_of_a_page_offers_its_data(show: Open, service: Service, page: str) -> None:
    explored(service.store)
    app = show(page)
    offered = {button.key.removesuffix("_csv") for button in app.get("download_button") if button.key.endswith("_csv")}
    assert offered == BEHIND[page]
    assert len(app.get("plotly_chart")) == len(offered)


def test_the_data_of_a_figure_reads_back_and_holds_no_formula(service: Service) -> None:
    explored(service.store)
    batches = service.store.read(training.batches, "r1")
    ranked = batch_charts.ranked(batches)
    rows = list(csv.DictReader(io.StringIO(saving.as_csv(ranked).decode())))
    assert [int(row["step"]) for row in rows] == [batch["step"] for batch in batches]
    assert [float(row["grad_norm"]) for row in rows] == [batch["grad_norm"] for batch in batches]
    assert service.store.read(maps.current) is not None
    (row,) = csv.DictReader(io.StringIO(saving.as_csv([{"instruction": "=HYPERLINK(1)"}]).decode()))
    assert not row["instruction"].startswith("=")
    assert saving.as_csv([]) == b""
