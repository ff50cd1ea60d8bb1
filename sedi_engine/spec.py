"""A configuration as a TOML spec and back: saved as a preset, shared as a file, taken by `run SPEC.toml`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

# keeps comments apart from values and quotes any text rightly
import tomlkit

from sedi_engine import presets
from sedi_engine.config import RunConfig, field_of
from sedi_engine.errors import ConfigError


def load(path: Path) -> RunConfig:
    """The configuration that a spec describes; raises ConfigError in words."""
    found = presets.read(path)
    name = found.name if presets.NAME.fullmatch(found.name) else "custom"
    return RunConfig.from_dotted({**found.settings, "preset": name})


def differences(config: RunConfig, preset: str, folder: Path | None = None) -> dict[str, tuple[Any, Any]]:
    """Dotted settings that are not the preset's, each as (the preset's value, this one)."""
    standard = RunConfig.from_dotted({**presets.find(preset, folder).settings, "preset": preset}).dotted()
    return {
        name: (standard[name], value)
        for name, value in config.dotted().items()
        if name != "preset" and value != standard[name]
    }


def to_toml(config: RunConfig, description: str = "") -> str:
    """A spec that gives this configuration whatever presets become: what differs from the defaults, each explained."""
    standard = RunConfig().dotted()
    document = tomlkit.document()
    if description:
        document["description"] = description
    differing = [item for item in config.dotted().items() if item[0] != "preset" and item[1] != standard[item[0]]]
    for name, value in sorted(differing, key=lambda item: "." in item[0]):
        *sections, last = name.split(".")
        table: Any = document
        for section in sections:
            if section not in table:
                table[section] = tomlkit.table()
            table = table[section]
        table.add(tomlkit.comment(field_of(name).description or ""))
        table[last] = "" if value is None else value
    return tomlkit.dumps(document)


def save(folder: Path, name: str, config: RunConfig, description: str = "") -> Path:
    """Write a preset of the data folder; one of the same name is replaced. Raises ConfigError for a bad name."""
    path = folder / "presets" / f"{presets.check_name(name)}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{name}.{secrets.token_hex(4)}.tmp")
    with fresh.open("x", encoding="utf-8") as file:
        file.write(to_toml(config, description))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def remove(folder: Path, name: str) -> None:
    """Delete a saved preset; runs keep the settings that they were started with."""
    path = folder / "presets" / f"{presets.check_name(name)}.toml"
    if not path.exists():
        raise ConfigError(f"There is no saved preset {name!r}.", "Reload the page.")
    path.unlink()
