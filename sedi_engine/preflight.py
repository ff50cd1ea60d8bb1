"""What must be there before a run starts: said at once, not after the first minute."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sedi_engine import models
from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, WeightsError
from sedi_engine.generator.stream import read_stream


def check_ready(config: RunConfig) -> None:
    """Raise InputError or WeightsError in words when a run with these settings could not begin."""
    generator = config.generator
    if generator.kind == "endpoint" and generator.api_key_env and not os.environ.get(generator.api_key_env):
        raise ConfigError(
            f"generator.api_key_env names {generator.api_key_env}, which is not set in this process.",
            "Set it where the program is started, then start again.",
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
