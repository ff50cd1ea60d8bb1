"""Cells of a CSV file: what begins like a spreadsheet's formula is defused, and can be restored exactly.

A spreadsheet runs a cell that begins with one of = + - @ (full-width forms too), or with a tab or carriage return, as
a formula or looks behind them for one. Such a text gets an apostrophe in front, which a spreadsheet shows as nothing;
so does one that begins with an apostrophe, so that taking one away is always right.
"""

from __future__ import annotations

import json
from typing import Any

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
SPACE = " \u00a0\u3000\ufeff\u200b"


def defuse(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{text}" if text.lstrip(SPACE).startswith(RISKY) else text


def cell(value: Any) -> Any:
    """A value as a cell: lists as JSON, texts defused, everything else as it is."""
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    # the csv module can neither write nor read NUL
    return defuse(value.replace("\0", "\ufffd")) if isinstance(value, str) else value


def restore(cell: str) -> str:
    """The text that `defuse` made the cell from; a cell that it did not make stays as it is."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(SPACE).startswith(RISKY) else cell
