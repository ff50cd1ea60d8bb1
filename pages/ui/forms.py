"""The configuration model as widgets: labels aside, everything comes from the model's own fields.

int, float            a number input; empty stands for None, or for the one word that a union also takes ("all")
str                   a text input; empty stands for None where the field takes it
Literal of words      a select box
bool                  a toggle
what `choices` names  a select box of what there is on this server; None is offered where the field takes it
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from pages.ui import words
from pages.ui.draft import Draft, key_of
from pages.ui.tables import table, text
from sedi_engine.config import field_names, field_of

Choices = Mapping[str, Mapping[Any, str]]
MOST_USED = "Most used"
MOST_USED_NAMES = [
    "generator.kind",
    "generator.base_url",
    "generator.model",
    "generator.api_key_env",
    "generator.stream_path",
    "iterations",
    "compose.batch_size",
    "compose.batches_per_window",
    "filter.threshold",
    "target_kept",
    "random_seed",
    "feedback.mode",
    "budget.max_calls",
    "budget.max_tokens",
    "budget.max_usd",
    "budget.max_minutes",
]
IN_A_ROW = 4
MARK = " :primary[●]"


@dataclass(frozen=True)
class Kind:
    """What a field takes: a type, words, None, and limits on a number."""

    type: type
    words: tuple[str, ...] = ()
    optional: bool = False
    low: float | None = None
    high: float | None = None


def sections() -> dict[str, list[str]]:
    """Names of settings under the titles of their sections, the most used ones before them once more."""
    found: dict[str, list[str]] = {MOST_USED: MOST_USED_NAMES}
    found |= {title: [] for title in words.SECTIONS.values()}
    for name in field_names():
        section = name.rpartition(".")[0]
        found.setdefault(words.SECTIONS.get(section, section.capitalize()), []).append(name)
    return found


def take_over(draft: Draft, choices: Choices) -> None:
    """Put what was typed since the last run of the page into the draft: what is drawn may change with it."""
    for name in field_names():
        if name != "preset" and key_of(name) in st.session_state:
            draft.values[name] = _typed(kind_of(field_of(name)), st.session_state[key_of(name)], name in choices)


def draw(draft: Draft, choices: Choices) -> None:
    """One section at a time, in rows of four."""
    take_over(draft, choices)
    every = sections()
    title = st.segmented_control(
        "Section", list(every), key="generate_section", default=MOST_USED, required=True, label_visibility="collapsed"
    )
    settled = draft.settled()
    shown = [name for name in every[title] if draft.shown(name, settled)]
    if not shown:
        st.caption("Nothing of this section makes a difference with these settings.")
    for start in range(0, len(shown), IN_A_ROW):
        for column, name in zip(st.columns(IN_A_ROW), shown[start : start + IN_A_ROW], strict=False):
            with column:
                _widget(draft, name, choices.get(name))


def differences(draft: Draft) -> None:
    """What differs from the preset, as a table."""
    settled = draft.settled()
    rows = [
        {"setting": name, "preset": words.value(draft.standard[name]), "yours": words.value(settled[name])}
        for name in field_names()
        if name != "preset" and settled[name] != draft.standard[name]
    ]
    if not rows:
        st.caption("Every setting is the preset's.")
        return
    headings = {"setting": "setting", "preset": "the preset's", "yours": "yours"}
    table(rows, headings, "generate_differences", setting=text(260), preset=text(260), yours=text(260))


def kind_of(field: FieldInfo) -> Kind:
    """What a field takes, out of its annotation and its limits."""
    parts = [_plain(part) for part in _members(field.annotation)]
    literal = [word for part, _ in parts if get_origin(part) is Literal for word in get_args(part)]
    types = [part for part, _ in parts if isinstance(part, type) and part is not type(None)]
    plain = types[0] if types else str
    rules = [*field.metadata, *(rule for _, found in parts for rule in found)]
    low, high = _limits(rules, plain)
    return Kind(plain, tuple(literal), any(part is type(None) for part, _ in parts), low, high)


def _widget(draft: Draft, name: str, choices: Mapping[Any, str] | None) -> None:
    field, key, value = field_of(name), key_of(name), draft.values[name]
    kind = kind_of(field)
    if key not in st.session_state:
        st.session_state[key] = _held(kind, value, choices is not None)
    common = {"key": key, "help": _help(field, kind, name)}
    label = words.label(name) + (MARK if value != draft.standard[name] else "")
    if choices is not None:
        _select(label, choices if value in choices else {**choices, value: words.foreign(value)}, common)
    elif kind.words and kind.type is str:
        st.selectbox(label, (*[None] * kind.optional, *kind.words), format_func=words.value, **common)
    elif kind.type is bool:
        st.toggle(label, **common)
    elif kind.type is str:
        st.text_input(label, placeholder="empty" if kind.optional else None, **common)
    else:
        _number(label, kind, field.default, common)


def _select(label: str, choices: Mapping[Any, str], common: Mapping[str, Any]) -> None:
    st.selectbox(label, list(choices), format_func=lambda one: choices.get(one, words.value(one)), **common)


def _number(label: str, kind: Kind, default: Any, common: Mapping[str, Any]) -> None:
    empty = kind.words[0] if kind.words else "none"
    st.number_input(
        label,
        min_value=None if kind.low is None else kind.type(kind.low),
        max_value=None if kind.high is None else kind.type(kind.high),
        value=None if _nullable(kind) else "min",
        step=_step(kind, default),
        format="%g" if kind.type is float else None,
        placeholder=empty if _nullable(kind) else None,
        **common,
    )


def _held(kind: Kind, value: Any, chosen: bool) -> Any:
    """A setting as its widget holds it."""
    if chosen:
        return value
    if kind.type is str and not kind.words:
        return value or ""
    return None if kind.type is not str and value in kind.words else value


def _typed(kind: Kind, held: Any, chosen: bool) -> Any:
    """What a widget holds as a setting."""
    if chosen:
        return held
    if kind.type is str and not kind.words:
        return (held or "").strip() or (None if kind.optional else "")
    return kind.words[0] if held is None and kind.words else held


def _nullable(kind: Kind) -> bool:
    return kind.optional or bool(kind.words)


def _members(annotation: Any) -> Sequence[Any]:
    """The kinds of a union, or the one that there is."""
    bare = _plain(annotation)[0]
    return (annotation,) if get_origin(bare) is Literal or isinstance(bare, type) else get_args(annotation)


def _plain(annotation: Any) -> tuple[Any, list[Any]]:
    """An annotation without its notes, and the limits in those."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    bare, *notes = get_args(annotation)
    return bare, [rule for note in notes for rule in (note.metadata if isinstance(note, FieldInfo) else [note])]


def _limits(rules: Iterable[Any], plain: type) -> tuple[float | None, float | None]:
    low = high = None
    for rule in rules:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt if plain is float else rule.gt + 1
        elif isinstance(rule, annotated_types.Le):
            high = rule.le
    return low, high


def _step(kind: Kind, default: Any) -> float | int:
    """1, or for a float half the size of its default: 0.05 of 0.85."""
    if kind.type is int:
        return 1
    return 10 ** math.floor(math.log10(abs(default))) / 2 if default else 1.0


def _help(field: FieldInfo, kind: Kind, name: str) -> str:
    ends = (("from", kind.low), ("to", kind.high))
    allowed = " ".join(f"{word} {end:,}" for word, end in ends if end is not None)
    return f"{field.description} `{name}`" + (f", {allowed}." if allowed else ".")
