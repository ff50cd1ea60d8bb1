"""The settings that a person is putting together: they outlast the widgets that show them.

Streamlit forgets what a widget holds once it is not drawn, so what the widgets say is kept here. A setting that can
make no difference beside the others is not drawn (RULES says when each is), and is at its default in the
configuration; what was typed into it is there again when it matters again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from sedi_engine import presets
from sedi_engine.config import RunConfig, field_names

Values = Mapping[str, Any]
Rule = Callable[[Values], bool]
KEY = "generate_draft"
DEFAULTS: Mapping[str, Any] = RunConfig().dotted()


def endpoint(values: Values) -> bool:
    """Calls go to an endpoint."""
    return values["generator.kind"] == "endpoint"


def asking(values: Values) -> bool:
    """A model is asked, embedded or not."""
    return values["generator.kind"] != "stream"


def staged(values: Values) -> bool:
    """Outputs have calls of their own."""
    return asking(values) and values["generator.prompt_form"] == "staged"


def second_model(values: Values) -> bool:
    """Outputs come from another model."""
    return endpoint(values) and staged(values) and values["generator.output_model"] is not None


def training(values: Values) -> bool:
    """There is a student."""
    return values["train.model"] != "none"


# Each looks at settings that stand before it in the configuration; a setting without one is always drawn.
RULES: dict[str, Rule] = {
    "preset": lambda values: False,  # chosen above the form
    **dict.fromkeys(
        (
            "generator.base_url",
            "generator.model",
            "generator.api_key_env",
            "generator.api",
            "generator.mode",
            "generator.prompt_form",  # the embedded model is too small for whole tasks
            "generator.price_in_usd_per_mtok",
            "generator.price_out_usd_per_mtok",
        ),
        endpoint,
    ),
    "generator.reply_form": lambda values: endpoint(values) and values["generator.api"] == "chat",
    "generator.output_model": lambda values: endpoint(values) and staged(values),
    "generator.output_price_in_usd_per_mtok": second_model,
    "generator.output_price_out_usd_per_mtok": second_model,
    "generator.batch_price_share": lambda values: endpoint(values) and values["generator.mode"] == "batch",
    "generator.stream_path": lambda values: not asking(values),
    **dict.fromkeys(
        (
            "generator.max_concurrency",
            "generator.timeout_s",
            "generator.max_attempts",
            "generator.temperature",
            "generator.top_p",
            "generator.max_instruction_tokens",
            "generator.max_output_tokens",
            "demos.count",
            "demos.from_pool",
        ),
        asking,
    ),
    "generator.presence_penalty": staged,
    "generator.output_temperature": staged,
    "prompts.instructions": staged,
    "prompts.output": staged,
    "prompts.whole_task": lambda values: asking(values) and not staged(values),
    **{
        name: training
        for name in field_names()
        if name.startswith("train.") and name not in ("train.model", "train.heldout")
    },
    **{
        name: lambda values: values["feedback.mode"] != "off"
        for name in field_names()
        if name.startswith("feedback.") and name != "feedback.mode"
    },
    "feedback.review_timeout_minutes": lambda values: values["feedback.mode"] == "review",
}


@dataclass
class Draft:
    """The preset that was begun from, and every setting as it was last typed."""

    preset: str
    values: dict[str, Any]
    standard: Mapping[str, Any] = field(repr=False)  # the preset's own values

    def settled(self) -> dict[str, Any]:
        """The settings that count: what is not drawn is at its default."""
        found = dict(DEFAULTS)
        for name in found:
            if self.shown(name, found):
                found[name] = self.values[name]
        return {**found, "preset": self.preset}

    def shown(self, name: str, settled: Values) -> bool:
        """Whether a setting is drawn beside these."""
        return name not in RULES or RULES[name](settled)

    def config(self) -> RunConfig:
        """The configuration; raises ConfigError where the settings contradict each other."""
        return RunConfig.from_dotted(self.settled())


def current(known: Mapping[str, presets.Preset]) -> Draft:
    """The session's draft; a new one, or one whose preset was deleted, begins from the first of those known."""
    kept = st.session_state.get(KEY)
    if not isinstance(kept, Draft) or kept.preset not in known:
        begin(next(iter(known.values())))
    draft: Draft = st.session_state[KEY]
    st.session_state.setdefault("generate_preset", draft.preset)
    return draft


def begin(preset: presets.Preset, config: RunConfig | None = None) -> None:
    """Lay a preset into the form, or settings that are told apart from it. Raises ConfigError where it is none."""
    standard = RunConfig.from_dotted({**preset.settings, "preset": preset.name}).dotted()
    _lay(Draft(preset.name, (config.dotted() if config else dict(standard)), standard))


def key_of(name: str) -> str:
    """Key of a setting's widget, such as generate_filter_threshold."""
    return f"generate_{name.replace('.', '_')}"


def _lay(draft: Draft) -> None:
    st.session_state[KEY] = draft
    st.session_state["generate_preset"] = draft.preset
    for name in draft.values:
        if name != "preset":
            st.session_state.pop(key_of(name), None)
