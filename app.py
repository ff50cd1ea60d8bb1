"""The dashboard: the ASGI server when it is imported to be served, the router when Streamlit runs it as a script."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

ICON = str(Path(__file__).with_name("pages") / "ui" / "icon.svg")


def main() -> None:
    """Draw the page that the address names."""
    from pages.ui import collecting, present, shell

    st.set_page_config(page_title=shell.title(), page_icon=ICON, layout="wide")
    st.logo(ICON, size="large")
    pages = [
        st.Page("pages/overview.py", title="Overview", icon=":material/all_inclusive:", default=True),
        st.Page("pages/generate.py", title="Generate", icon=":material/play_circle:", url_path="generate"),
        st.Page("pages/diversity.py", title="Diversity map", icon=":material/scatter_plot:", url_path="map"),
        st.Page("pages/batches.py", title="Batches", icon=":material/grid_view:", url_path="batch"),
        st.Page("pages/training.py", title="Training", icon=":material/show_chart:", url_path="train"),
        st.Page("pages/seeds.py", title="Seeds", icon=":material/psychiatry:", url_path="seeds"),
        st.Page("pages/runs.py", title="Runs & data", icon=":material/database:", url_path="runs"),
    ]
    page = st.navigation(pages, position="hidden" if present.wanted() else "top")
    try:
        page.run()
    finally:
        collecting.leave_out_modules()


if get_script_run_ctx(suppress_warning=True) is None:
    from streamlit.runtime.pages_manager import PagesManager

    from sedi_engine.web import lifespan, middleware, routes

    # Else the first request after a start, when it names a file of pages/, would run that file without main().
    PagesManager.uses_pages_directory = False
    app = st.App(__file__, middleware=middleware, lifespan=lifespan, routes=routes)
else:
    main()
