"""Presets and specs: named settings in TOML, as the project ships them, as people save and share them.

    description = "…"           # optional
    preset = "quick"            # optional: what the settings are laid over
    iterations = 2
    [filter]
    threshold = 0.8

An empty string stands for "no value", since TOML has none. A saved preset is the file `presets/NAME.toml` of the data
folder; the same file is what `run SPEC.toml` takes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sedi_engine.errors import ConfigError, NotFoundError

NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,39}")
LARGEST_BYTES = 1 << 20
FIRST = ("custom", "quick", "demo", "paper")


@dataclass(frozen=True)
class Preset:
    """Dotted settings under a name, and what they are for."""

    name: str
    settings: Mapping[str, Any]
    description: str = ""


@cache
def built_in() -> dict[str, Preset]:
    """The presets that the project ships, by name."""
    folder = resources.files("sedi_engine").joinpath("data", "presets")
    texts = {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in folder.iterdir()}
    order = sorted(texts, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return {name: parse(texts[name], name, f"preset {name}") for name in order}


def saved(folder: Path) -> dict[str, Preset]:
    """The presets of a data folder, by name; a file that is none is passed over."""
    found: dict[str, Preset] = {}
    for path in sorted((folder / "presets").glob("*.toml")):
        try:
            found[path.stem] = read(path)
        except ConfigError:
            continue
    return found


def find(name: str, folder: Path | None = None) -> Preset:
    """A shipped preset, or a saved one of `folder`; raises ConfigError naming those there are."""
    known = {**(saved(folder) if folder else {}), **built_in()}
    if name not in known:
        raise ConfigError(f"There is no preset {name!r}.", f"Presets: {', '.join(known)}.")
    return known[name]


def read(path: Path) -> Preset:
    """A preset or spec from a file; raises NotFoundError, or ConfigError in words."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB, so it is no spec.", "Name a TOML file of settings.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", "Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}.", "Name a TOML file in UTF-8.") from None
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, source: str) -> Preset:
    """A preset from TOML; settings of a base preset lie under its own. Raises ConfigError in words."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{source} is no TOML: {error}.", "Correct it, or save one from the dashboard.") from None
    base, description = content.pop("preset", ""), content.pop("description", "")
    if not (isinstance(base, str) and isinstance(description, str)):
        raise ConfigError(f"{source}: preset and description should be text.", "Correct it.")
    under: Mapping[str, Any] = {}
    if base not in ("", name):
        if base not in built_in():
            raise ConfigError(
                f"{source} builds on a preset {base!r} that is not there.", f"Use {', '.join(built_in())}."
            )
        under = built_in()[base].settings
    return Preset(name, {**under, **dict(_flatten(content, ""))}, description)


def check_name(name: str) -> str:
    """The name, if it may name a saved preset; raises ConfigError."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"A preset cannot be named {name!r}.", "Use 1 to 40 of a–z, 0–9, - and _, beginning with none of -."
        )
    if name in built_in():
        raise ConfigError(f"{name} is a preset of the project and stays as it is.", "Choose another name.")
    return name


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", None if value == "" else value
