"""Specs: any configuration can be written as TOML, saved under a name, and read back as the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine import presets, spec
from sedi_engine.config import UNPRINTABLE, RunConfig, field_of
from sedi_engine.errors import InputError, NotFoundError

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40).filter(
    lambda text: not UNPRINTABLE.search(text)
)
CHANGED = st.fixed_dictionaries(
    {},
    optional={
        "generator.model": WORDS.filter(bool),
        "generator.base_url": st.from_regex(
            r"https?://[a-z]{1,9}(:[1-9][0-9]{1,3})?(/[a-z0-9]{0,9}){0,3}", fullmatch=True
        ),
        "generator.price_in_usd_per_mtok": st.none() | st.floats(0, 1e6),
        "seeds.active": st.just("all") | st.integers(32, 10**6),
        "filter.threshold": st.floats(0, 1, exclude_min=True),
        "train.lora_layers": st.none() | st.integers(1, 1000),
        "target_kept": st.none() | st.integers(128, 10**12),
        "prompts.output": st.none() | st.just("output_short.v3"),
        "feedback.review_timeout_minutes": st.none() | st.floats(0.001, 1e300),
    },
)


@given(st.sampled_from(list(presets.built_in())), CHANGED, st.text(max_size=30))
def test_what_is_written_reads_back_as_the_same(preset: str, settings: dict, description: str) -> None:
    config = RunConfig.load("custom", {**presets.find(preset).settings, **settings})
    text = spec.to_toml(config, description)
    read = presets.parse_bytes(text.encode("utf-8", "replace"), "custom", "it")
    assert spec.of(read) == config


def test_every_setting_in_it_is_explained_and_the_others_are_left_out() -> None:
    text = spec.to_toml(RunConfig.load("quick", {"filter.threshold": 0.5}))
    assert set(tomllib.loads(text)) == {"seeds", "compose", "feedback", "filter"}
    assert f"# {field_of('filter.threshold').description}" in text
    assert "generator" not in text


def test_a_saved_one_replaces_the_one_before_and_can_be_removed(folder: Path) -> None:
    for iterations in (2, 3):
        spec.save(folder, "mine", RunConfig.load("quick", {"iterations": iterations}), "what it is for")
    assert [path.name for path in (folder / "presets").iterdir()] == ["mine.toml"]
    assert RunConfig.load("mine", folder=folder).iterations == 3
    assert presets.find("mine", folder).description == "what it is for"
    spec.remove(folder, "mine")
    with pytest.raises(NotFoundError, match="no saved preset 'mine'"):
        spec.remove(folder, "mine")


def test_a_folder_that_takes_nothing_is_told_and_nothing_is_left(folder: Path) -> None:
    (folder / "presets").write_text("a file stands in the way")
    with pytest.raises(InputError, match="The preset mine was not saved"):
        spec.save(folder, "mine", RunConfig())
    assert [path.name for path in folder.iterdir()] == ["presets"]


def test_differences_are_the_settings_that_are_not_the_presets() -> None:
    config = RunConfig.load("quick", {"filter.threshold": 0.5, "target_kept": 20})
    assert spec.differences(config, "quick") == {"filter.threshold": (0.85, 0.5), "target_kept": (None, 20)}
    assert spec.differences(RunConfig.load("quick"), "quick") == {}
