"""Prices of models, from dated files: what the project ships, and the data folder's own, which wins.

[[price]]
host = "api.openai.com"          # a price applies to its host alone
model = "gpt-4o-mini"            # and to names that go on after it with a dash, such as a date
from = 2024-07-18                # of several for one model the latest that is not after today stands
in = 0.15                        # USD per million prompt tokens
out = 0.60                       # USD per million completion tokens
source = "https://…"             # where it was read
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sedi_engine.errors import ConfigError

FILE_NAME = "prices.toml"
LARGEST_BYTES = 1 << 20
HIGHEST_USD = 1000.0
OLD_DAYS = 180
FIELDS = {"host", "model", "from", "in", "out", "source"}


@dataclass(frozen=True)
class Price:
    """What a model of a host costs from a day on, in USD per million tokens."""

    host: str
    model: str
    since: date
    usd_in: float
    usd_out: float
    source: str = ""
    own: bool = False

    def applies_to(self, host: str, model: str) -> bool:
        """Whether it is the price of this model there."""
        return host == self.host and (model == self.model or model.startswith(f"{self.model}-"))


def find(base_url: str | None, model: str, folder: Path | None, today: date | None = None) -> Price | None:
    """The price of a model behind an address; None where nobody knows. Raises ConfigError for a file that lies.

    The longest name wins, then the data folder's own file, then the latest day.
    """
    today, host = today or date.today(), (urlsplit(base_url or "").hostname or "").rstrip(".")
    known = (price for price in (*shipped(), *own(folder)) if price.applies_to(host, model) and price.since <= today)
    return max(known, key=lambda price: (len(price.model), price.own, price.since), default=None)


@cache
def shipped() -> tuple[Price, ...]:
    """The prices that the project ships."""
    text = resources.files("sedi_engine").joinpath("data", FILE_NAME).read_text(encoding="utf-8")
    return tuple(parse(text, FILE_NAME))


def own(folder: Path | None) -> tuple[Price, ...]:
    """The prices of a data folder; none where it has no file."""
    path = folder / FILE_NAME if folder else None
    if path is None or not path.exists():
        return ()
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB, so it is no price file.", "Put it right or away.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}.", "Put it right or away.") from None
    return tuple(parse(text, str(path), own=True))


def parse(text: str, source: str, own: bool = False) -> list[Price]:
    """The prices in a file's text; raises ConfigError naming the first entry that cannot be believed."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{source} is no TOML: {error}.", "Correct it.") from None
    entries = content.pop("price", [])
    if content or not isinstance(entries, list):
        held = ", ".join(content) or "no list"
        raise ConfigError(f"{source} holds {held}.", "It should hold [[price]] entries alone.")
    found: list[Price] = []
    for number, entry in enumerate(entries, start=1):
        if fault := _fault(entry):
            raise ConfigError(f"Price {number} of {source} cannot be believed: {fault}.", f"Correct entry {number}.")
        price = _price(entry, own)
        if any((one.host, one.model, one.since) == (price.host, price.model, price.since) for one in found):
            raise ConfigError(f"Price {number} of {source} is there twice.", f"Take out one of {price.model}.")
        found.append(price)
    return found


def note(prices: Sequence[Price], today: date | None = None) -> str:
    """A sentence on where these prices come from and how old they are."""
    today = today or date.today()
    said = []
    for price in prices:
        days = (today - price.since).days
        age = f", {days} days old: check it" if days > OLD_DAYS else ""
        where = "the data folder's prices.toml" if price.own else "the shipped price list"
        cost = f"${price.usd_in:g} in, ${price.usd_out:g} out per 1M tokens"
        said.append(f"price of {price.model}: {cost}, {where} of {price.since}{age}")
    return "; ".join(said)


def _price(entry: dict[str, Any], own: bool) -> Price:
    host = entry["host"].lower().rstrip(".")
    return Price(
        host, entry["model"], entry["from"], float(entry["in"]), float(entry["out"]), entry.get("source", ""), own
    )


def _fault(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "it is no table"
    if unknown := sorted(set(entry) - FIELDS):
        return f"it has {unknown[0]!r}, but knows only {', '.join(sorted(FIELDS))}"
    for name in ("host", "model"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            return f"{name} should be a text"
    if type(entry.get("from")) is not date:
        return f"from is {entry.get('from')!r}, but should be a day such as 2026-01-31"
    if entry["from"] > date.today():
        return f"from is {entry['from']}, which is still to come"
    for name in ("in", "out"):
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            return f"{name} is {value!r}, but should be USD per million tokens, 0 or more"
        if value > HIGHEST_USD:
            return f"{name} is {value:g}: is that really USD per million tokens? {HIGHEST_USD:g} is the most"
    return None if isinstance(entry.get("source", ""), str) else "source should be a text"
