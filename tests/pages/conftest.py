"""Pages over a real store: AppTest runs the scripts, `service` is the one that they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sedi_engine import paths
from sedi_engine import service as services
from sedi_engine.service import Service

ROOT = Path(__file__).parents[2]
Open = Callable[..., AppTest]


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder that the pages use."""
    monkeypatch.setenv(paths.STORE_VARIABLE, str(folder))
    yield folder
    services.close_current()


@pytest.fixture
def service(data: Path) -> Service:
    return services.current()


@pytest.fixture
def show(data: Path) -> Open:
    """A page as a browser would open it: its file's name, and what the address names, such as the run."""

    def open_page(page: str = "overview", run: str | None = None, **address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in {**({"run": run} if run else {}), **address}.items():
            app.query_params[name] = value
        app.run()
        if page != "overview":
            app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        return app

    return open_page
