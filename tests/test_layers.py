"""Dependency goes one way: pages → sedi_engine → store; and the server imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "store": {"store"},
    "sedi_engine": {"store", "sedi_engine"},
    "pages": {"store", "sedi_engine", "pages"},
}
HEAVY = {"torch", "transformers", "peft", "umap", "sentence_transformers", "sklearn", "numba", "accelerate"}
# what a page could command with past the desk: it gets a Desk from pages/ui/shell.py, which holds no store to write
COMMANDING = {"sedi_engine.service", "sedi_engine.jobs", "sedi_engine.owner", "sedi_engine.prompting"}
OPEN_THE_SERVICE = ("pages/ui/shell.py", "pages/ui/measure.py")
WRITING = {"write", "submit", "save", "remove"}
SOURCES = sorted(path for layer in MAY_IMPORT for path in (ROOT / layer).rglob("*.py"))
PAGES = [path for path in SOURCES if path.relative_to(ROOT).parts[0] == "pages"]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_layer_imports_only_what_is_below_it(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imported(path)} & set(MAY_IMPORT)
    assert ours <= MAY_IMPORT[layer]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_streamlit_stays_in_the_pages(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    assert layer == "pages" or "streamlit" not in {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_give_commands_through_the_desk_alone(path: Path) -> None:
    place, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))
    froms = {
        f"{node.module}.{one.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for one in node.names
    }
    assert place in OPEN_THE_SERVICE or not COMMANDING & {*imported(path), *froms}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            whole, name = ast.unparse(node), node.attr
            assert name not in WRITING or whole == "sys.stdout.write", f"{place}:{node.lineno} writes with {whole}"
            hidden = name.startswith("_") and not name.startswith("__") and whole != f"self.{name}"
            assert not hidden, f"{place}:{node.lineno} reaches into {whole}"


@pytest.mark.parametrize("module", ["sedi_engine.service", "sedi_engine.__main__", "sedi_engine.worker"])
def test_the_server_and_the_commands_start_without_anything_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
