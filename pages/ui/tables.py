"""Rows as a table: cells are drawn as text, whatever they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    key: str,
    height: int | str = "content",
    **config: Any,
) -> None:
    """A table with `columns` (field → heading) in a container that carries the key; `config` is by field.

    Streamlit gives a table that nobody selects from no CSS class of its own, hence the container.
    """
    with st.container(key=key):
        st.dataframe(
            [{heading: row[field] for field, heading in columns.items()} for row in rows],
            hide_index=True,
            height=height,
            placeholder="",
            column_config={columns[field]: setting for field, setting in config.items()},
        )


def text(width: int | None = None, **more: Any) -> Any:
    """A column of text."""
    return st.column_config.TextColumn(width=width, **more)


def number(width: int | None = None, **more: Any) -> Any:
    """A column of numbers."""
    return st.column_config.NumberColumn(width=width, **more)
