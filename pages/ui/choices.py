"""What there is on this server to choose from: keys by name, imported streams and held-out sets, prompt templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedi_engine import keys
from sedi_engine.desk import Desk
from sedi_engine.errors import ConfigError
from sedi_engine.generator.templates import STAGES, Templates


def choices(service: Desk) -> dict[str, Mapping[Any, str]]:
    """Options with their labels, by the dotted name of the setting; a key's option is its name, never the key."""
    folder = service.store.folder
    templates = Templates(folder)
    return {
        "generator.api_key_env": {None: "no key", **_keys()},
        "generator.stream_path": {None: "none", **service.imports.streams()},
        "train.heldout": {
            "built_in": "built in, 64 tasks",
            **{row["import_id"]: _import(row) for row in service.imports.completed("heldout")},
        },
        **{
            f"prompts.{stage}": {None: "built in", **{name: name for name in templates.names(stage)}}
            for stage in STAGES
        },
    }


def _keys() -> dict[str, str]:
    try:
        listed = keys.allow_list()
    except ConfigError:  # the start says what is wrong with the list
        return {}
    return {name: f"{name} for {one.origin}{'' if one.key else ', not set'}" for name, one in listed.items()}


def _import(row: Mapping[str, Any]) -> str:
    return f"{row['name']}, {row['taken']:,} tasks"
