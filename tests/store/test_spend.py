"""Spend by run, day and model adds up to the ledger, and what is unknown stays unknown."""

from __future__ import annotations

from datetime import datetime

import pytest

from store import spend
from store.database import Store
from tests.story import Story


@pytest.fixture
def told(store: Store) -> Store:
    for run_id, day, cost in (("r1", 1, 0.5), ("r2", 2, None)):
        story = Story(run_id)
        story.begin(store)
        calls = [
            story.call(0, sent_at=datetime(2026, 1, day), cost_usd=cost),
            story.call(1, sent_at=datetime(2026, 1, 2), cost_usd=0.25, model="big", usage_source="estimated"),
        ]
        story.tell(store, *calls)
    return store


def test_each_way_adds_up_to_the_same(told: Store) -> None:
    for by in spend.GROUPS:
        rows = told.read(spend.spend, by)
        assert sum(row["attempts"] for row in rows) == 4
        assert sum(row["cost_usd"] for row in rows) == 1.0
        assert sum(row["cost_unknown"] for row in rows) == 1
        assert sum(row["usage_estimated"] for row in rows) == 2
        assert sum(row["prompt_tokens"] for row in rows) == 120


def test_rows_are_what_they_are_named_after(told: Store) -> None:
    assert {row["of"]: row["attempts"] for row in told.read(spend.spend, "day")} == {"2026-01-02": 3, "2026-01-01": 1}
    assert {row["of"] for row in told.read(spend.spend, "model")} == {"m at e", "big at e"}
    assert {row["of"]: row["cost_usd"] for row in told.read(spend.spend, "run")} == {"r1": 0.75, "r2": 0.25}
