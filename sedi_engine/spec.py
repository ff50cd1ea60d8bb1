"""A configuration as a TOML spec and back: saved as a preset, shared as a file, taken by `run SPEC.toml`."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# keeps comments apart from values and quotes any text rightly
import tomlkit

from sedi_engine import presets
from sedi_engine.config import RunConfig, field_of
from sedi_engine.errors import InputError, NotFoundError


def load(path: Path, settings: Mapping[str, Any] | None = None) -> RunConfig:
    """The configuration that a spec describes, with dotted settings laid over it; raises InputError in words."""
    return of(presets.read(path), settings)


def of(found: presets.Preset, settings: Mapping[str, Any] | None = None) -> RunConfig:
    """The same for what has been read already; it keeps its name where that may name a preset."""
    name = found.name if presets.NAME.fullmatch(found.name) else "custom"
    return RunConfig.from_dotted({**found.settings, **(settings or {}), "preset": name})


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
    """Write a preset of the data folder; one of the same name is replaced. Raises InputError where it cannot."""
    path = folder / "presets" / f"{presets.check_name(name)}.toml"
    fresh = path.with_name(f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("x", encoding="utf-8") as file:
            file.write(to_toml(config, description))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise InputError(
            f"The preset {name} was not saved: {error.strerror or error}.",
            "Free some disk space or make the folder writable.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
    return path


def remove(folder: Path, name: str) -> None:
    """Delete a saved preset; runs keep the settings that they were started with."""
    path = folder / "presets" / f"{presets.check_name(name)}.toml"
    try:
        path.unlink()
    except FileNotFoundError:
        raise NotFoundError(f"There is no saved preset {name!r}.", "Look at the list again.") from None
    except OSError as error:
        step = "Make its folder writable."
        raise InputError(f"The preset {name} was not deleted: {error.strerror or error}.", step) from None
