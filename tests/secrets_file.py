"""A home folder whose secrets say who may do what."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedi_engine import keys

ANNOTATOR, RESEARCHER = "annotate-these-77", "research-this-88"
BY_SECRET = f"""
[access]
login = "secret"
[access.secrets]
annotator = "{ANNOTATOR}"
researcher = "{RESEARCHER}"
"""


def write(home: Path, text: str) -> Path:
    """Put secrets into a home folder; the file."""
    path = home / ".streamlit" / "secrets.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def use(monkeypatch: pytest.MonkeyPatch, home: Path, text: str) -> Path:
    """Have this process, and servers that it starts, read these secrets alone; the file."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(keys, "ROOT", home / "nowhere")
    return write(home, text)
