"""The command line: `python -m sedi_engine COMMAND`.

With --json, stdout carries JSON only, one value a line; everything else goes to stderr. A command works the same while
the dashboard is open: then the process that owns the store carries it out.
"""

from __future__ import annotations

from sedi_engine.cli import data, imports, money, presets, prompts, runs, setup, tools
from sedi_engine.cli.app import app

__all__ = ["app", "data", "imports", "money", "presets", "prompts", "runs", "setup", "tools"]

if __name__ == "__main__":
    app()
