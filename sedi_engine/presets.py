"""Presets and specs: named settings in TOML, as the project ships them, as people save and share them.

    description = "…"           # optional
    preset = "quick"            # optional: what the settings are laid over
    iterations = 2
    [filter]
    threshold = 0.8

An empty string stands for "no value", since TOML has none. A saved preset is the file `presets/NAME.toml` of the data
folder; the same file is what `run SPEC.toml` takes. A relative generator.stream_path of a file is relative to the
folder that the file lies in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sedi_engine.errors import ConfigError, InputError, NotFoundError

NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,39}")
LARGEST_BYTES = 1 << 20
LONGEST_DESCRIPTION = 2000
SHOWN_ERROR = 300
SHOWN_NAME = 80
STREAM = "generator.stream_path"
FIRST = ("custom", "quick", "demo", "paper")


@dataclass(frozen=True)
class Preset:
    """Dotted settings under a name, and what they are for."""

    name: str
    settings: Mapping[str, Any]
    description: str = ""
    base: str = ""  # the preset of the project that it builds on


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
        with suppress(InputError):
            if NAME.fullmatch(path.stem):
                found[path.stem] = read(path)
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
        with path.open("rb") as file:
            found = parse_bytes(file.read(LARGEST_BYTES + 1), path.stem, str(path))
    except FileNotFoundError:
        step = "Check the path; a preset is named with --preset."
        raise NotFoundError(f"There is no file {path}.", step) from None
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"{path} cannot be read: {why}.", "Name a TOML file of settings.") from None
    stream = found.settings.get(STREAM)
    if not isinstance(stream, str):
        return found
    return replace(found, settings={**found.settings, STREAM: str(path.parent.absolute() / stream)})


def parse_bytes(content: bytes, name: str, source: str) -> Preset:
    """A preset from the bytes of a file that may be anything; raises ConfigError in words."""
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{source} is larger than 1 MB, so it is no spec.", "Give a TOML file of settings.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is no text in UTF-8.", "Save it in UTF-8.") from None
    return parse(text, name, source)


def parse(text: str, name: str, source: str) -> Preset:
    """A preset from TOML; settings of a base preset lie under its own. Raises ConfigError in words."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = str(error)[:SHOWN_ERROR].rstrip(".")
        raise ConfigError(f"{source} is no TOML: {why}.", "Correct it, or save one from the dashboard.") from None
    base, description = content.pop("preset", ""), content.pop("description", "")
    if not (isinstance(base, str) and isinstance(description, str)):
        raise ConfigError(f"{source}: preset and description should be text.", "Correct it.")
    under: Mapping[str, Any] = {}
    if base:
        if base not in built_in():
            raise ConfigError(
                f"{source} builds on a preset {base!r} that is not there.", f"Use {', '.join(built_in())}."
            )
        under = built_in()[base].settings
    return Preset(name, {**under, **dict(_dotted(content, source))}, description[:LONGEST_DESCRIPTION], base)


def check_name(name: str) -> str:
    """The name, if it may name a saved preset; raises ConfigError."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"A preset cannot be named {name!r}.", "Use 1 to 40 of a–z, 0–9, - and _, beginning with none of -."
        )
    if name in built_in():
        raise ConfigError(f"{name} is a preset of the project and stays as it is.", "Choose another name.")
    return name


def _dotted(content: Mapping[str, Any], source: str) -> Iterator[tuple[str, Any]]:
    """Settings by dotted name; they lie in sections and no deeper."""
    for name, value in content.items():
        inside = value if isinstance(value, dict) else {"": value}
        for last, one in inside.items():
            dotted = f"{name}.{last}" if last else name
            if not isinstance(one, str | int | float):
                shown = dotted[:SHOWN_NAME]
                raise ConfigError(
                    f"{source}: {shown} should be a text or a number, in a section at most.", "Correct it."
                )
            yield dotted, None if one == "" else one
