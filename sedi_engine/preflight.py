"""What must be there before a run starts: said at once, not after the first minute."""

from __future__ import annotations

import shutil
from pathlib import Path

from sedi_engine import models
from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, WeightsError
from sedi_engine.generator.stream import read_stream
from sedi_engine.generator.templates import Templates
from store.records import CallStage


def check_ready(config: RunConfig, key: str | None, folder: Path) -> None:
    """Raise InputError or WeightsError in words when a run with these settings and this key could not begin."""
    if config.generator.kind == "endpoint" and config.generator.api_key_env and not key:
        raise ConfigError(
            f"The key {config.generator.api_key_env} of this run is not held by this process.",
            "Start or resume the run from the command line where that variable is set; it brings the key with it.",
        )
    Templates(folder).check_named(config)
    paid: tuple[CallStage, ...] = ("instruction", "output")
    if config.budget.max_usd is not None and any(None in config.prices(stage) for stage in paid):
        raise ConfigError(
            "budget.max_usd cannot be kept while a price is unknown.",
            "Set generator.price_in_usd_per_mtok and generator.price_out_usd_per_mtok, or leave budget.max_usd empty.",
        )
    if needs_weights(config) and not models.weights_state()["present"]:
        raise WeightsError(
            "The embedded model's weights are not on this machine yet.",
            "Run `python -m sedi_engine up` once: it fetches and converts them.",
        )


def keep_stream(config: RunConfig, target: Path) -> None:
    """Check a stream whole and keep a copy, so that a run goes on from what it started with; raises InputError."""
    if config.generator.kind != "stream" or not config.generator.stream_path:
        return
    source = Path(config.generator.stream_path)
    read_stream(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    shutil.copyfile(source, fresh)
    fresh.replace(target)


def needs_weights(config: RunConfig) -> bool:
    """Whether a run with these settings uses the embedded model, as generator or as student."""
    return config.generator.kind == "embedded" or config.train.model == "embedded"
