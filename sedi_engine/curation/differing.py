"""Two texts token by token: what is only in one, what is only in the other."""

from __future__ import annotations

from difflib import SequenceMatcher


def differing(before: str, after: str) -> list[tuple[str, str]]:
    """Both texts as parts in order: ("same" | "gone" | "added", words)."""
    old, new = before.split(), after.split()
    parts = []
    for how, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if how == "equal":
            parts.append(("same", " ".join(old[a:b])))
            continue
        if a < b:
            parts.append(("gone", " ".join(old[a:b])))
        if c < d:
            parts.append(("added", " ".join(new[c:d])))
    return parts
