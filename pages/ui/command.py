"""Buttons for commands of the desk: who may not give a command sees its button dimmed, and reads why.

That is a courtesy. What holds is the desk itself, which refuses the command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from sedi_engine.access import with_article


def button(
    command: Callable[..., Any], label: str, *, disabled: bool = False, help: str | None = None, **more: Any
) -> bool:
    """A button for a command of the desk; everything else is as for st.button."""
    reason = why_not(command)
    return st.button(label, disabled=disabled or reason is not None, help=reason or help, **more)


def why_not(command: Callable[..., Any]) -> str | None:
    """Why the person at the desk may not give a command; None where it is allowed. It never says the person's name."""
    person, needs = command.__self__.person, command.needs  # type: ignore[attr-defined]
    if person.may(needs):
        return None
    doing = command.doing  # type: ignore[attr-defined]
    return f"{doing.capitalize()} takes {with_article(needs)}; you are {with_article(person.role)}."
