"""Numbers and states in words: every number with its unit and what it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

STATUS = {
    "queued": ("queued", "gray"),
    "running": ("running", "blue"),
    "paused": ("paused", "orange"),
    "completed": ("completed", "green"),
    "capped": ("stopped by a cap", "orange"),
    "exhausted": ("stream exhausted", "orange"),
    "stalled": ("stalled", "orange"),
    "waiting_for_review": ("waiting for review", "violet"),
    "cancelled": ("cancelled", "gray"),
    "interrupted": ("interrupted", "red"),
    "failed": ("failed", "red"),
}
PHASE = {
    "loading": "loading the model",
    "generate": "generating and filtering",
    "embed": "embedding the window",
    "compose": "composing batches",
    "train": "training",
    "feedback": "reading feedback",
}
RESUME = "Resume it: it goes on from its journal and its last checkpoint."
NEXT_STEP = {
    "paused": ("The run is paused.", "Resume goes on from here; nothing is lost."),
    "capped": ("A cap of the budget stopped the run", "Raise it with `resume --set budget.…`; what it made is kept."),
    "exhausted": ("The recorded stream has no more candidates.", "What was kept is composed and trained on."),
    "stalled": (
        "20 instruction calls in a row kept nothing.",
        "Look at the reasons below; a lower filter.threshold drops more, other seeds ask for other things.",
    ),
    "cancelled": ("The run was cancelled.", "What it made is kept; it can still be resumed."),
}

SECTIONS = {
    "generator": "Generator",
    "seeds": "Seeds and demos",
    "demos": "Seeds and demos",
    "prompts": "Prompts",
    "filter": "Filter",
    "compose": "Composer",
    "train": "Training",
    "feedback": "Feedback",
    "budget": "Budget",
    "": "Run",
}
LABELS = {
    "generator.kind": "Generator",
    "generator.base_url": "Base URL",
    "generator.api_key_env": "API key",
    "generator.api": "API",
    "generator.top_p": "Top p",
    "generator.price_in_usd_per_mtok": "Price in, USD per Mtok",
    "generator.price_out_usd_per_mtok": "Price out, USD per Mtok",
    "generator.output_price_in_usd_per_mtok": "Outputs: price in",
    "generator.output_price_out_usd_per_mtok": "Outputs: price out",
    "seeds.active": "Seeds at the start",
    "demos.count": "Seeds in a prompt k",
    "demos.from_pool": "Machine-made in a prompt",
    "compose.batch_size": "Batch size B",
    "compose.batches_per_window": "Batches a window E",
    "filter.threshold": "ROUGE-L threshold τ",
    "train.model": "Student",
    "train.heldout": "Held-out tasks",
    "feedback.mode": "Feedback",
    "feedback.promote": "Promotions at most m",
    "budget.max_calls": "Cap: calls",
    "budget.max_tokens": "Cap: tokens",
    "budget.max_usd": "Cap: USD",
    "budget.max_minutes": "Cap: minutes",
}
FOUND = {"ok": "yes", "no": "no", "unknown": "not known"}
UNITS = {"s": "s", "minutes": "minutes"}


def label(name: str) -> str:
    """A setting's name on its widget: its own words, with the unit at the end of it after a comma."""
    if name in LABELS:
        return LABELS[name]
    *parts, last = name.rpartition(".")[2].split("_")
    unit = f", {UNITS[last]}" if parts and last in UNITS else ""
    return f"{' '.join(parts if unit else [*parts, last]).capitalize()}{unit}"


def value(setting: Any) -> str:
    """A setting's value as text; empty where there is none."""
    if setting is None or setting == "":
        return "empty"
    return f"{setting:,}" if isinstance(setting, int) and not isinstance(setting, bool) else str(setting)


def plain_value(found: Any) -> str:
    """A number, a text, or several of them, in a cell."""
    if isinstance(found, list | tuple):
        return ", ".join(map(str, found)) or "–"
    if isinstance(found, float):
        return f"{found:,.4g}"
    return "–" if found is None or found == "" else value(found)


def cell(found: Any) -> Any:
    """A value for a table: lists as one text, everything else as it is."""
    return ", ".join(map(str, found)) if isinstance(found, list | tuple) else found


def foreign(setting: Any) -> str:
    """A value that is none of the choices there are on this server."""
    return f"{value(setting)} (not there)"


def plain(name: str) -> str:
    """A name of ours without its underscores."""
    return name.replace("_", " ")


def share(part: float, whole: float) -> str:
    """A ratio in per cent with one decimal, or a dash where there is nothing to divide by."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def usd(amount: float | None) -> str:
    """Money with as many digits as it needs; unknown when a price is."""
    if amount is None:
        return "price unknown"
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.2g}"


def count(number: float) -> str:
    """A whole number with its thousands apart."""
    return f"{round(number):,}"


def short(number: float) -> str:
    """A large number in thousands or millions, for a tile or an axis."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def span(low: float, high: float, show: Any) -> str:
    """A range from low to high, or one value where they read the same."""
    first, last = show(low), show(high)
    return first if first == last else f"{first} to {last}"


def equations(summary: Mapping[str, Any]) -> tuple[str, str]:
    """The two sums that the counts hold to."""
    causes = ", ".join(f"{number} {cause}" for cause, number in summary["failed_by_cause"].items() if number)
    dropped = sum(summary["dropped"].values())
    return (
        f"{count(summary['asked'])} asked = {count(summary['parsed'])} parsed + {count(summary['failed'])} failed"
        + (f" ({causes})" if causes else ""),
        f"{count(summary['parsed'])} parsed = {count(summary['kept'])} kept + {count(dropped)} dropped",
    )


def spent(summary: Mapping[str, Any]) -> str:
    """Tokens, calls and money of a run."""
    cost, kept = summary["cost_usd"], summary["kept"]
    each = f", {usd(cost / kept)} per kept" if cost and kept else ""
    return (
        f"{count(summary['prompt_tokens'])} prompt + {count(summary['completion_tokens'])} completion tokens in "
        f"{count(summary['calls'])} calls ({count(summary['calls_failed'])} failed), {usd(cost)}{each}"
    )


def end_of(summary: Mapping[str, Any]) -> tuple[str, str] | None:
    """What ended or stopped a run, and the next step, where a person should be told."""
    if summary["error"]:
        return summary["error"], summary["next_step"] or ""
    if summary["status"] == "interrupted":
        return "The program stopped while this run was going on.", summary["next_step"] or RESUME
    if summary["status"] == "capped":
        return f"{NEXT_STEP['capped'][0]} ({summary['cap']}).", NEXT_STEP["capped"][1]
    return NEXT_STEP.get(summary["status"])


def evidence(kind: str, facts: Mapping[str, Any]) -> str:
    """Why the machine proposes a promotion or an eviction."""
    return _promotion(facts) if kind == "promote" else _eviction(facts)


def _promotion(facts: Mapping[str, Any]) -> str:
    said = []
    if "batch_value" in facts:
        norms = facts.get("window_grad_norm") or []
        signal = str(facts.get("batch_signal", "grad_norm")).replace("_", " ")
        said.append(f"batch of step {facts['step']} has the window's highest {signal}, {facts['batch_value']:.2f}")
        if norms and facts.get("batch_signal") == "grad_norm":
            said.append(f"window mean {sum(norms) / len(norms):.2f}")
    if facts.get("loss") is not None:
        rank = f", number {facts['loss_rank']} of the window" if "loss_rank" in facts else ""
        limit = f" (noise above {facts['loss_limit']:.2f})" if facts.get("loss_limit") is not None else ""
        said.append(f"its own loss {facts['loss']:.2f}{rank}{limit}")
    nearest = facts.get("nearest_seed_rouge_l")
    if "nearest_seed_rouge_l" in facts:
        said.append(f"ROUGE-L to the nearest seed {nearest:.2f}" if nearest else "no seed within ROUGE-L 0.5")
    return "; ".join(said)


def _eviction(facts: Mapping[str, Any]) -> str:
    said = []
    if facts.get("credit") is not None:
        said.append(f"credit {facts['credit']:+.2f} (below 0 may leave)")
    if "calls" in facts:
        said.append(f"from {facts['calls']} calls with {facts.get('children', 0)} trained children")
    if facts.get("origin"):
        said.append(f"origin {facts['origin']}")
    return "; ".join(said)


CAPS: dict[str, tuple[str, Callable[[float], str]]] = {
    "max_usd": ("", usd),
    "max_tokens": (" tokens", count),
    "max_calls": (" calls", count),
    "max_minutes": (" minutes", count),
}


def caps(summary: Mapping[str, Any], budget: Mapping[str, Any], elapsed_s: float, done: float) -> str:
    """How much of each cap is used, and which stops the run at this pace; `done` is the run's share, 0 to 1."""
    uses = {
        "max_usd": summary["cost_usd"],
        "max_tokens": summary["prompt_tokens"] + summary["completion_tokens"],
        "max_calls": summary["calls"],
        "max_minutes": elapsed_s / 60,
    }
    limits = {name: limit for name, limit in budget.items() if limit is not None and uses.get(name) is not None}
    if not limits:
        return "No cap is set."
    shares = {name: uses[name] / limit if limit else 1.0 for name, limit in limits.items()}
    used = [f"{CAPS[name][1](uses[name])} of {CAPS[name][1](limit)}{CAPS[name][0]}" for name, limit in limits.items()]
    said = f"Caps: {', '.join(used)} used."
    nearest = max(shares, key=lambda name: shares[name])
    if summary["status"] == "running" and 0 < done < shares[nearest]:
        said += f" At this pace budget.{nearest} stops the run when {share(done, shares[nearest])} of it is done."
    return said
