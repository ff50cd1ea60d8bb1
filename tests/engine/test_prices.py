"""Prices: dated, bound to their host, overridable, and no file is believed that cannot be true."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from sedi_engine import prices
from sedi_engine.config import RunConfig
from sedi_engine.costs import price_note, priced
from sedi_engine.errors import ConfigError

OPENAI = "https://api.openai.com/v1"
ENTRY = '[[price]]\nhost = "h"\nmodel = "m"\nfrom = 2025-01-01\nin = 1\nout = 2\n'


def endpoint(**more: object) -> RunConfig:
    settings = {"generator.kind": "endpoint", "generator.base_url": OPENAI, "generator.model": "gpt-4o-mini"}
    return RunConfig.load("quick", {**settings, **{name.replace("__", "."): value for name, value in more.items()}})


def test_what_is_shipped_can_be_believed() -> None:
    assert len(prices.shipped()) >= 5
    assert all(price.usd_out >= price.usd_in for price in prices.shipped())


def test_a_dated_name_has_the_price_of_its_model_and_no_other() -> None:
    found = {name: prices.find(OPENAI, name, None) for name in ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "gpt-4")}
    assert found["gpt-4o-mini-2024-07-18"].model == "gpt-4o-mini"
    assert found["gpt-4o-2024-08-06"].model == "gpt-4o"
    assert found["gpt-4"] is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://api.openai.com.evil.example/v1", "", None])
def test_a_price_is_for_its_host_alone(address: str | None) -> None:
    assert prices.find(address, "gpt-4o-mini", None) is None


def test_the_latest_day_that_is_not_after_today_stands_and_the_own_file_wins(tmp_path: Path) -> None:
    (tmp_path / prices.FILE_NAME).write_text(
        ENTRY + ENTRY.replace("2025-01-01", "2025-06-01").replace("in = 1", "in = 3")
    )
    found = {day: prices.find("http://h/v1", "m", tmp_path, day) for day in (date(2025, 5, 1), date(2025, 7, 1))}
    assert [price.usd_in if price else None for price in found.values()] == [1, 3]
    assert prices.find("http://h/v1", "m", tmp_path, date(2024, 1, 1)) is None
    (tmp_path / prices.FILE_NAME).write_text(
        '[[price]]\nhost = "api.openai.com"\nmodel = "gpt-4o-mini"\nfrom = 2020-01-01\nin = 9\nout = 9\n'
    )
    assert priced(endpoint(), tmp_path).prices("instruction") == (9, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price", "no TOML"),
        ("prices = 1", "holds prices"),
        (ENTRY.replace("in = 1", "in = -1"), "in is -1"),
        (ENTRY.replace("in = 1", "in = nan"), "in is nan"),
        (ENTRY.replace("in = 1", "in = inf"), "in is inf"),
        (ENTRY.replace("in = 1", 'in = "1"'), "in is '1'"),
        (ENTRY.replace("in = 1", "in = true"), "in is True"),
        (ENTRY.replace("in = 1", "in = 5000"), "really USD per million"),
        (ENTRY.replace("from = 2025-01-01", 'from = "2025"'), "from is '2025'"),
        (ENTRY.replace("from = 2025-01-01", f"from = {date.today() + timedelta(days=2)}"), "still to come"),
        (ENTRY + "cached = 1", "it has 'cached'"),
        (ENTRY.replace('host = "h"', "host = 1"), "host should be a text"),
        (ENTRY + ENTRY, "there twice"),
        ("x = [" * 5000, "no TOML"),
    ],
)
def test_a_file_that_lies_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / prices.FILE_NAME).write_text(text)
    with pytest.raises(ConfigError, match=said):
        priced(endpoint(), tmp_path)


def test_settings_win_over_files_and_each_stage_has_its_own(tmp_path: Path) -> None:
    config = endpoint(generator__output_model="gpt-4o", generator__price_in_usd_per_mtok=7)
    filled = priced(config, tmp_path)
    assert filled.prices("instruction") == (7, 0.6)
    assert filled.prices("output") == (2.5, 10)
    unknown = priced(endpoint(generator__output_model="mine"), tmp_path)
    assert unknown.prices("output") == (None, None)
    half = priced(endpoint(generator__mode="batch"), tmp_path)
    assert half.prices("instruction") == (0.075, 0.3)


def test_the_note_says_where_a_price_is_from_and_when_nobody_knows(tmp_path: Path) -> None:
    said = price_note(endpoint(), tmp_path)
    assert "Price of gpt-4o-mini: $0.15 in, $0.6 out per 1M tokens, the shipped price list of 2024-07-18" in said
    assert "days old: check it" in said
    assert "No price is known for mine" in price_note(endpoint(generator__model="mine"), tmp_path)
    assert price_note(RunConfig.load("quick"), tmp_path) == "This generator costs nothing."
