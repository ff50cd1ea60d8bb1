from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1.element_tree import Element

from sedi_engine.service import Service
from tests.pages.builder import HOSTILE, in_review
from tests.pages.conftest import ROOT, Open

PAGES = ("overview", "generate", "seeds", "runs")
# The component is the block of a review: its nodes are text, which the journeys look at in a browser.
AS_TEXT = {"text", "dataframe", "code", "text_area", "selectbox", "bidi_component"}
HOLD = """
import pathlib, sys
from store.database import Store
store = Store(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
store.close()
"""
HEAVY = ("torch", "transformers", "peft", "umap", "sklearn", "sentence_transformers", "numba", "xllamacpp")


@pytest.mark.parametrize("page", PAGES)
def test_a_run_that_is_not_there_is_a_card(show: Open, service: Service, page: str) -> None:
    in_review(service)
    app = show(page, run="![x](http://evil.test)")
    assert any("There is no run '![x](http://evil.test)'" in text.value for text in app.text)
    assert not any("evil.test" in one.value for one in (*app.markdown, *app.caption))
    app.selectbox(key=f"{page}_run").select("r1").run()
    assert not any("There is no run" in text.value for text in app.text)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_another_process_holds_is_a_card_and_opens_once_it_is_free(
    data: Path, show: Open, page: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        app = show()
        assert any(f"process {holder.pid}" in text.value and "--store DIR" in text.value for text in app.text)
        holder.stdin.close()
        holder.wait()
    app.button(key="shell_retry").click().run()
    assert not any("one process at a time" in text.value for text in app.text)
    assert app.switch_page(f"pages/{page}.py").run() and not app.exception


@pytest.mark.parametrize("page", PAGES)
def test_words_of_a_model_are_shown_as_text_only(show: Open, service: Service, page: str) -> None:
    texts = tuple(text.format(url="http://evil.test") for text in HOSTILE)
    in_review(service, texts)
    app = show(page)
    found = [one for one in app.main if isinstance(one, Element) and says(one, texts)]
    assert {one.type for one in found} <= AS_TEXT
    assert page in ("overview", "runs") or found


def says(element: Element, texts: tuple[str, ...]) -> bool:
    raw = element.proto.SerializeToString()
    return any(text.encode()[:24] in raw for text in texts)


def test_the_server_imports_nothing_heavy_when_pages_are_drawn(folder: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; from sedi_engine import service\n"
        f"app = AppTest.from_file({str(ROOT / 'app.py')!r}, default_timeout=60).run()\n"
        "for page in ('generate', 'seeds', 'runs'):\n"
        "    app.switch_page(f'pages/{page}.py').run(); assert not app.exception\n"
        f"service.close_current(); print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {**os.environ, "SEDI_DATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr
