"""What every test may ask for: a data folder of its own, and a real store in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty data folder."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A fresh store in `folder`, closed at the end."""
    opened = Store(folder)
    yield opened
    opened.close()
