"""The configuration model as widgets: help, limits and choices come from the model's own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from sedi_engine import presets
from sedi_engine.config import RunConfig, field_of


def key_of(page: str, name: str) -> str:
    """Key of a setting's widget, such as generate_filter_threshold."""
    return f"{page}_{name.replace('.', '_')}"


def fill(page: str, preset: str, names: Sequence[str]) -> None:
    """Set the widgets to a preset's values."""
    values = RunConfig.load(preset).dotted()
    for name in names:
        st.session_state[key_of(page, name)] = values[name]


def draw(page: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A widget for each dotted name, in rows of four; what they hold, by name."""
    names = list(labels)
    values: dict[str, Any] = {}
    for start in range(0, len(names), 4):
        for column, name in zip(st.columns(4), names[start : start + 4], strict=False):
            with column:
                values[name] = _widget(labels[name], field_of(name), key_of(page, name), name)
    return values


def changed(preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the preset."""
    standard = RunConfig.load(preset).dotted()
    return {name: value for name, value in values.items() if value != standard[name]}


def preset_names() -> list[str]:
    """Presets in the order to offer them: the demo first."""
    return sorted(presets.built_in(), key=lambda name: (name != "demo", name != "quick", name))


def _widget(label: str, field: FieldInfo, key: str, name: str) -> Any:
    if choices := _choices(field):
        return st.selectbox(label, choices, key=key, help=_help(field, name))
    low, high = _limits(field)
    kind = float if _is_float(field) else int
    st.session_state.setdefault(key, field.default)
    return st.number_input(
        label,
        min_value=None if low is None else kind(low),
        max_value=None if high is None else kind(high),
        value=None if field.default is None else "min",
        step=_step(kind, high),
        format="%.2f" if kind is float else None,
        placeholder="no limit" if field.default is None else None,
        key=key,
        help=_help(field, name),
    )


def _choices(field: FieldInfo) -> tuple[str, ...]:
    plain = get_args(field.annotation)
    return plain if plain and all(isinstance(choice, str) for choice in plain) else ()


def _limits(field: FieldInfo) -> tuple[float | None, float | None]:
    low = high = None
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt if _is_float(field) else rule.gt + 1
        elif isinstance(rule, annotated_types.Le):
            high = rule.le
    return low, high


def _is_float(field: FieldInfo) -> bool:
    kinds = get_args(field.annotation) if get_origin(field.annotation) else (field.annotation,)
    return float in kinds


def _step(kind: type, high: float | None) -> float | int:
    if kind is int:
        return 1
    return 0.05 if high == 1 else 1.0


def _help(field: FieldInfo, name: str) -> str:
    low, high = _limits(field)
    allowed = " ".join(filter(None, (f"from {low:g}" if low is not None else "", f"to {high:g}" if high else "")))
    return f"{field.description} `{name}`" + (f", {allowed}." if allowed else ".")
