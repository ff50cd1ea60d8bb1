"""The loop as one picture with live numbers: own markup around numbers and fixed words, nothing else gets in. Pure.

Boxes and arrows are plain HTML with inline style, since Streamlit strips SVG and style sheets; they take the page's
own colour and font, so that light and dark both fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

ACCENT = "#1f83c6"
STAGES = (("Generate and filter", 3), ("Compose", 1), ("Train", 1), ("Feedback", 1))
STAGE_OF_PHASE = {"loading": 0, "generate": 0, "embed": 1, "compose": 1, "train": 2, "feedback": 3}
STAGE_OF_BOX = (0, 0, 0, 1, 2, 3)
GRID = "display:grid;grid-template-columns:repeat(6,minmax(0,1fr));column-gap:2rem"
FAINT, LINE = "opacity:0.72", "1.5px solid color-mix(in srgb,currentColor 45%,transparent)"


@dataclass(frozen=True)
class Station:
    """One box: its name, its number (or none before the first run) and a line below."""

    name: str
    number: str
    note: str


EMPTY = (
    Station("asked", "", "seeds show a language model what to ask for"),
    Station("parsed", "", "tasks read from its replies"),
    Station("kept", "", "valid, and not too like what is there"),
    Station("batches", "", "each as varied as can be"),
    Station("trained", "", "a LoRA step each; its gradient norm is logged"),
    Station("seeds changed", "", "strong tasks join, weak seeds leave"),
)


def stations(summary: Mapping[str, int]) -> tuple[Station, ...]:
    """The six boxes of a run's summary."""

    def percent(part: str, whole: str) -> str:
        return f"{100 * summary[part] / summary[whole]:.0f} % of {whole}" if summary[whole] else f"of {whole}"

    changed = summary["promoted"] + summary["evicted"]
    return (
        Station("asked", f"{summary['asked']:,}", f"in {summary['calls']:,} calls"),
        Station("parsed", f"{summary['parsed']:,}", percent("parsed", "asked")),
        Station("kept", f"{summary['kept']:,}", percent("kept", "parsed")),
        Station("batches", f"{summary['batches']:,}", "composed"),
        Station("trained", f"{summary['steps']:,}", f"of {summary['batches']:,} batches"),
        Station("seeds changed", f"{changed:,}", f"{summary['promoted']:,} joined, {summary['evicted']:,} left"),
    )


def picture(boxes: Sequence[Station], phase: str | None = None) -> str:
    """The loop as HTML; the stage at work is lit."""
    lit = STAGE_OF_PHASE.get(phase or "")
    heads = "".join(_stage(name, width, lit=index == lit) for index, (name, width) in enumerate(STAGES))
    drawn = "".join(_box(index, box, lit=STAGE_OF_BOX[index] == lit) for index, box in enumerate(boxes))
    return (
        f'<div role="group" aria-label="The loop" style="margin:0.3rem 0 0.2rem">'
        f'<div style="{GRID}">{heads}{drawn}</div>{_way_back()}</div>'
    )


def _stage(name: str, width: int, *, lit: bool) -> str:
    look = f"color:{ACCENT};border-bottom:2px solid {ACCENT}" if lit else f"{FAINT};border-bottom:{LINE}"
    return (
        f'<div style="grid-column:span {width};font-size:0.8rem;font-weight:600;letter-spacing:0.03em;'
        f'padding-bottom:0.25rem;margin-bottom:0.8rem;{look}">{name}</div>'
    )


def _box(index: int, box: Station, *, lit: bool) -> str:
    frame = f"2px solid {ACCENT}" if lit else LINE
    body = (
        _number(box)
        if box.number
        else f'<div style="font-size:0.86rem;line-height:1.35;{FAINT}">{escape(box.note)}</div>'
    )
    return (
        f'<div style="position:relative;border:{frame};border-radius:0.6rem;padding:0.6rem 0.7rem 0.7rem;'
        f'background:color-mix(in srgb,currentColor 4%,transparent)">{_arrow() if index else ""}'
        f'<div style="font-weight:600;font-size:0.95rem">{escape(box.name)}</div>{body}</div>'
    )


def _number(box: Station) -> str:
    return (
        f'<div style="font-size:1.75rem;font-weight:650;line-height:1.35">{escape(box.number)}</div>'
        f'<div style="font-size:0.83rem;{FAINT}">{escape(box.note)}</div>'
    )


def _arrow() -> str:
    """Between a box and the one before: in the gap of the grid."""
    return (
        '<div aria-hidden="true" style="position:absolute;left:-2rem;width:2rem;top:50%;transform:translateY(-50%);'
        'text-align:center;font-size:1.1rem;opacity:0.6">→</div>'
    )


def _way_back() -> str:
    """From the last box below all others to the first."""
    return (
        f'<div style="position:relative;margin:0.35rem 8% 0;height:1.1rem;border:{LINE};border-top:none;'
        'border-radius:0 0 0.7rem 0.7rem"><div aria-hidden="true" style="position:absolute;left:-0.42rem;top:-0.55rem;'
        'font-size:0.75rem;opacity:0.75">▲</div></div>'
        f'<div style="text-align:center;font-size:0.83rem;padding-top:0.25rem;{FAINT}">'
        "the changed seeds write the next iteration’s prompts</div>"
    )
