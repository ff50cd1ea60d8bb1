"""The benchmarks run, in small, and their counts are what they should be; their timings are for people to read."""

from __future__ import annotations

import pytest

from tests.commands import last_json, sedi


def test_the_endpoint_is_measured_beside_a_bare_client() -> None:
    found = last_json(sedi("bench", "endpoint", "--calls", 80, "--json"))
    assert (found["calls"], found["capacity_per_s"]) == (80, 64)
    assert found["ratio_to_bare"] == found["ours_per_s"] / found["bare_per_s"] > 0
    assert 0 <= found["wasted_share"] < 1


def test_an_import_is_measured_with_what_others_wait() -> None:
    found = last_json(sedi("bench", "import", "--rows", 500, "--json"))
    assert (found["rows"], found["taken"]) == (500, 500)
    assert found["reads"] > 0
    assert found["reader_mb"] > 0


def test_every_form_of_export_is_measured() -> None:
    found = last_json(sedi("bench", "export", "--rows", 500, "--json"))
    forms = {name: figures for name, figures in found.items() if isinstance(figures, dict)}
    assert set(forms) == {"alpaca", "jsonl", "csv", "parquet", "openai", "hf"}
    assert all(figures["rows_per_s"] > 0 for figures in forms.values())


@pytest.mark.browser
@pytest.mark.weights
def test_every_page_is_measured_beside_an_empty_one_and_beside_a_job() -> None:
    found = last_json(sedi("bench", "ui", "--records", 1000, "--rounds", 1, "--json"))
    measures = {(one["measure"], one["compared_with"]): one for one in found["measures"]}
    assert {("map", "empty"), ("map", "figure"), ("lasso", "empty"), ("lasso beside a job", "lasso")} <= set(measures)
    for one in measures.values():
        assert one["ratio"] == one["seconds"] / one["compared_seconds"] > 0
        assert one["met"] == (None if one["goal"] is None else one["ratio"] <= one["goal"])
    assert found["met"] == all(one["met"] is not False for one in measures.values())
