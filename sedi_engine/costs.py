"""What calls cost, and caps that hold: each reserves the most a call can use before it is sent.

    cost_usd = (prompt_tokens · price_in + completion_tokens · price_out) / 10⁶          (method: section "Cost")

A reservation bounds prompt tokens by UTF-8 bytes (no tokenizer makes more tokens than bytes, but for the few that a
chat template adds) and completion tokens by max_tokens, so no cap can be overshot.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sedi_engine import prices
from sedi_engine.config import BudgetConfig, Prices, RunConfig

TEMPLATE_TOKENS = 64


@dataclass(frozen=True)
class Reservation:
    """The most that one attempt can use."""

    tokens: int
    usd: float


def priced(config: RunConfig, folder: Path) -> RunConfig:
    """The settings with what the price files know filled in; a price that is set stays, an unknown one stays empty.

    Raises ConfigError for a price file of the data folder that cannot be believed.
    """
    generator = config.generator
    if generator.kind != "endpoint":
        return config
    wanted = {generator.model: ("price_in_usd_per_mtok", "price_out_usd_per_mtok")}
    if generator.output_model:
        wanted[generator.output_model] = ("output_price_in_usd_per_mtok", "output_price_out_usd_per_mtok")
    settings: dict[str, float] = {}
    for model, names in wanted.items():
        if known := prices.find(generator.base_url, model, folder):
            for name, usd in zip(names, (known.usd_in, known.usd_out), strict=True):
                if getattr(generator, name) is None:
                    settings[f"generator.{name}"] = usd
    return config.with_settings(settings) if settings else config


def price_note(config: RunConfig, folder: Path) -> str:
    """A sentence on the prices that a run of these settings is calculated with."""
    generator = config.generator
    if generator.kind != "endpoint":
        return "This generator costs nothing."
    models = dict.fromkeys((generator.model, generator.output_model or generator.model))
    if generator.price_in_usd_per_mtok is not None and generator.price_out_usd_per_mtok is not None:
        models.pop(generator.model)
    found = {model: prices.find(generator.base_url, model, folder) for model in models}
    unknown = [model for model, price in found.items() if price is None]
    said = [prices.note([price for price in found.values() if price])] if any(found.values()) else []
    if unknown:
        said.append(f"no price is known for {', '.join(unknown)}: set generator.price_in_usd_per_mtok and …_out_…")
    text = "; ".join(said) or "prices as they are set"
    batch = f"; the batch API costs {generator.batch_price_share:.0%} of that" if generator.mode == "batch" else ""
    return f"{text[0].upper()}{text[1:]}{batch}."


def projected(spent: float | None, done: float) -> float | None:
    """What a run will have spent at its end, from what it has spent so far and the share of it that is done."""
    return spent / done if spent is not None and 0 < done <= 1 else None


def cost_usd(prompt_tokens: int, completion_tokens: int, rates: Prices) -> float | None:
    """Money for these tokens; None when tokens were used at an unknown price. Not rounded."""
    price_in, price_out = rates
    if price_in is None or price_out is None:
        return None
    return (prompt_tokens * price_in + completion_tokens * price_out) / 1_000_000


class Budget:
    """The caps of a run with what it has spent and what is in flight."""

    def __init__(
        self,
        caps: BudgetConfig,
        *,
        calls: int = 0,
        tokens: int = 0,
        usd: float = 0.0,
        elapsed_s: float = 0.0,
    ) -> None:
        self._caps = caps
        self._calls, self._tokens, self._usd = calls, tokens, usd
        self._reserved_tokens, self._reserved_usd = 0, 0.0
        self._started = time.monotonic() - elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Working time of the run, in seconds."""
        return time.monotonic() - self._started

    def reserve(self, prompt_bytes: int, max_tokens: int, rates: Prices, *, new_call: bool) -> Reservation | str:
        """A reservation for one attempt, or the name of the cap that does not allow it.

        A request that may complete nothing (max_tokens 0, a recorded one) uses nothing.
        """
        prompt_tokens = prompt_bytes + TEMPLATE_TOKENS if max_tokens else 0
        wanted = Reservation(prompt_tokens + max_tokens, cost_usd(prompt_tokens, max_tokens, rates) or 0.0)
        if cap := self._in_the_way(wanted, new_call):
            return cap
        self._calls += new_call
        self._reserved_tokens += wanted.tokens
        self._reserved_usd += wanted.usd
        return wanted

    def settle(self, reservation: Reservation, tokens: int | None, usd: float | None) -> None:
        """Replace a reservation by what was used; None (nobody knows) counts as all of it."""
        self._reserved_tokens -= reservation.tokens
        self._reserved_usd -= reservation.usd
        self._tokens += reservation.tokens if tokens is None else tokens
        self._usd += reservation.usd if usd is None else usd

    def _in_the_way(self, wanted: Reservation, new_call: bool) -> str | None:
        limits = (
            ("max_calls", self._caps.max_calls, self._calls + new_call),
            ("max_tokens", self._caps.max_tokens, self._tokens + self._reserved_tokens + wanted.tokens),
            ("max_usd", self._caps.max_usd, self._usd + self._reserved_usd + wanted.usd),
            ("max_minutes", self._caps.max_minutes, self.elapsed_s / 60),
        )
        return next((name for name, limit, use in limits if limit is not None and use > limit), None)
