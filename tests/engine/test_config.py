"""The configuration: presets, dotted settings, and refusals in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine import presets
from sedi_engine.config import RunConfig, field_names, parse_settings
from sedi_engine.errors import ConfigError

RELIED_ON = """generator.kind generator.base_url generator.model generator.api_key_env generator.prompt_form
generator.max_concurrency generator.timeout_s generator.price_in_usd_per_mtok generator.price_out_usd_per_mtok
generator.stream_path generator.tasks_per_call seeds.active demos.count demos.from_pool filter.threshold
filter.tokenizer compose.composer compose.batch_size compose.batches_per_window train.model train.learning_rate
train.device feedback.mode
feedback.batch_signal feedback.signal feedback.promote feedback.review_timeout_minutes iterations target_kept
budget.max_usd budget.max_tokens budget.max_calls budget.max_minutes random_seed""".split()


@pytest.mark.parametrize("preset", presets.built_in())
def test_every_preset_is_valid_and_survives_its_own_dotted_form(preset: str) -> None:
    config = RunConfig.load(preset)
    assert RunConfig.from_dotted(config.dotted()) == config
    assert RunConfig.model_validate(config.model_dump()) == config


def test_the_names_that_other_tools_rely_on_are_settings() -> None:
    assert set(RELIED_ON) <= set(field_names())


def test_every_setting_is_described() -> None:
    sections = [
        RunConfig,
        *(f.annotation for f in RunConfig.model_fields.values() if hasattr(f.annotation, "model_fields")),
    ]
    nested = {name for name, f in RunConfig.model_fields.items() if hasattr(f.annotation, "model_fields")}
    for section in sections:
        for name, info in section.model_fields.items():
            assert name in nested or info.description, name


@given(st.floats().filter(lambda value: not 0 < value <= 1))
def test_a_threshold_outside_its_range_is_refused_with_its_value(threshold: float) -> None:
    with pytest.raises(ConfigError, match="filter.threshold is"):
        RunConfig.load("quick", {"filter.threshold": threshold})


@pytest.mark.parametrize(("typo", "meant"), [("filter.treshold", "filter.threshold"), ("iteration", "iterations")])
def test_an_unknown_setting_is_refused_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"no setting '{typo}'") as refused:
        parse_settings([f"{typo}=1"])
    assert meant in refused.value.next_step


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"feedback.signal": "ifd"}, "train.ifd is false"),
        ({"target_kept": 3}, "compose.batch_size is 4, larger than target_kept"),
        ({"generator.kind": "stream"}, "stream_path is empty"),
        ({"generator.kind": "stream", "generator.stream_path": "x"}, "a stream has no lineage"),
        ({"generator.kind": "endpoint"}, "base_url is empty"),
        ({"generator.mode": "batch"}, "only an endpoint has"),
        ({"generator.output_model": "m"}, "only a staged endpoint has a second stage"),
        ({"demos.count": 30}, "demos.count is 30, but seeds.active is only 24"),
        ({"feedback.mode": "maybe"}, "feedback.mode is 'maybe'"),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_words(settings: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RunConfig.load("quick", settings)


def test_values_are_read_as_json_where_they_are_json() -> None:
    given_settings = parse_settings(
        ["seeds.active=all", "target_kept=null", "filter.threshold=0.7", "train.model=a/b=c"]
    )
    assert given_settings == {
        "seeds.active": "all",
        "target_kept": None,
        "filter.threshold": 0.7,
        "train.model": "a/b=c",
    }
