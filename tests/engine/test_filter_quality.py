from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from sedi_engine.curation.filter_quality import FEW, GRID, by_threshold, caution, counted

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "verdict": st.sampled_from(["kept", "dropped"]),
            "is_copy": st.booleans(),
            "max_rouge_l": st.none() | st.floats(0.5, 1).map(lambda value: round(value, 2)),
        }
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_it_is_precision_and_recall_of_dropping_above_the_threshold(rows: list[dict]) -> None:
    truth = [row["is_copy"] for row in rows]
    for point in by_threshold(rows, GRID[::10]):
        told = [(row["max_rouge_l"] or 0) > point.threshold for row in rows]
        assert (point.precision.of, point.recall.of) == (sum(told), sum(truth))
        if any(told):
            assert point.precision.value == precision_score(truth, told, zero_division=0)
        if any(truth):
            assert point.recall.value == recall_score(truth, told)
        for share in (point.precision, point.recall):
            assert (share.value is None) == (share.of == 0)
            assert share.of == 0 or share.low <= share.value <= share.high


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_recall_never_rises_with_the_threshold_and_nothing_is_above_one(rows: list[dict]) -> None:
    points = by_threshold(rows)
    hits = [point.recall.hits for point in points]
    assert hits == sorted(hits, reverse=True)
    assert (points[-1].threshold, points[-1].precision.of) == (1.0, 0)


@given(ROWS)
def test_every_label_is_counted_once(rows: list[dict]) -> None:
    labels = counted(rows)
    assert labels.copies + labels.others == len(rows)
    assert labels.copies == sum(row["is_copy"] for row in rows)
    assert (caution(labels) is None) == (min(labels.copies, labels.others) >= FEW)
