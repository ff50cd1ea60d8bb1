from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from sedi_engine.generator.templates import Templates
from sedi_engine.service import Service
from store import export_rows, imports, runs
from store.selection import Selection
from tests.pages.builder import HOSTILE, begin, in_review, window
from tests.pages.conftest import Open
from tests.story import Story

SECTIONS = ("History", "Compare", "Spend", "Import", "Export", "Templates", "Calls")


def rows(app, key: str) -> list[dict]:
    frame = next(node for node in app.get_by_key(key) if node.type == "dataframe").value
    return json.loads(frame.to_json(orient="records", date_format="iso"))


def said(app) -> str:
    return "\n".join(one.value for one in (*app.text, *app.caption))


@pytest.fixture
def section(show: Open):
    def open_section(name: str, run: str | None = None):
        app = show("runs", run)
        app.session_state["runs_section"] = name
        app.run()
        assert not app.exception
        return app

    return open_section


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_says_what_to_do_while_there_is_nothing(section, service: Service, name: str) -> None:
    app = section(name)
    assert said(app) or app.selectbox


@pytest.mark.parametrize("name", SECTIONS)
def test_no_section_shows_words_of_a_model_as_markup(section, service: Service, name: str) -> None:
    in_review(service, tuple(text.format(url="http://evil.test") for text in HOSTILE))
    app = section(name)
    assert not any("evil.test" in one.value for one in (*app.markdown, *app.caption, *app.subheader))


def test_history_has_a_row_a_run_with_the_counts_of_its_summary(section, service: Service) -> None:
    story = in_review(service)
    begin(service.store, Story("r2"), "completed")
    listed = {row["run"]: row for row in rows(section("History"), "runs_table")}
    summary = service.store.read(runs.summary, story.run_id)
    assert set(listed) == {"r1", "r2"}
    assert [listed["r1"][name] for name in ("asked", "kept", "steps")] == [
        summary[name] for name in ("asked", "kept", "steps")
    ]
    assert (listed["r2"]["asked"], listed["r2"]["kept"]) == (0, 0)


def test_two_runs_are_compared_in_settings_figures_and_examples(section, service: Service) -> None:
    in_review(service)
    other = Story("r2", **{"filter.threshold": 0.6})
    begin(service.store, other)
    other.tell(service.store, *window(other, 1, calls=3))
    app = section("Compare", "r1")
    settings = {row[""]: row for row in rows(app, "runs_compare_settings")}
    assert settings["filter.threshold"]["r2"] == "0.6"
    figures = {row[""]: row for row in rows(app, "runs_compare_figures")}
    kept = [service.store.read(runs.summary, name)["kept"] for name in ("r1", "r2")]
    assert [figures["kept"][name] for name in ("r1", "r2")] == [f"{number:,}" for number in kept]


def test_the_export_is_what_the_filter_shows(section, service: Service) -> None:
    in_review(service)
    app = section("Export")
    app.segmented_control(key="runs_export_what").set_value("candidates").run()
    app.selectbox(key="runs_verdict").select("dropped").run()
    wanted = Selection(run_id="r1", what="candidates", verdict="dropped")
    count = service.store.read(export_rows.count, wanted)
    assert len(rows(app, "runs_export_rows")) == count > 0
    app.selectbox(key="runs_export_format").select("jsonl").run()
    app.button(key="runs_export_write").click().run()
    made = app.session_state["runs_exported"].result(timeout=60)
    lines = [json.loads(line) for line in made.path.read_text().splitlines()]
    assert {line["candidate_id"] for line in lines} == {row["candidate id"] for row in rows(app, "runs_export_rows")}
    app.run()
    assert any(node.type == "download_button" for node in app.get_by_key("runs_export_download"))


def test_an_import_is_previewed_started_and_reported(section, service: Service) -> None:
    tasks = [{"instruction": "Say hello twice", "output": "hello hello"}, {"instruction": "", "output": "x"}]
    source = io.BytesIO("".join(json.dumps(task) + "\n" for task in tasks).encode())
    app = section("Import")
    app.file_uploader(key="runs_import_file").set_value(("t.jsonl", source.getvalue(), "application/jsonl")).run()
    assert rows(app, "runs_import_preview")[0]["instruction"] == "Say hello twice"
    app.button(key="runs_import_start").click().run()
    (row,) = service.store.read(imports.listed)
    assert service.imports.wait(row["import_id"], 60)
    app.run()
    (shown,) = rows(app, "runs_imports")
    assert (shown["taken"], shown["refused"], shown["state"]) == (1, 1, "completed")
    assert rows(app, "runs_import_report")[0]["line"] == 2


def test_a_template_is_previewed_refused_while_wrong_and_saved_as_a_version(
    section, service: Service, data: Path
) -> None:
    app = section("Templates")
    app.selectbox(key="runs_template_settings").select("quick").run()
    name = app.selectbox(key="runs_template_instructions").value
    area = app.text_area(key=f"runs_template_text_{name}")
    assert any(area.value.partition("{{")[0] in code.value for code in app.code)
    area.set_value("Write tasks.").run()
    assert "it lacks {{list}}" in said(app)
    app.text_area(key=f"runs_template_text_{name}").set_value("Tasks, one a line.\n{{list}}").run()
    app.text_input(key=f"runs_template_name_{name}").set_value("plain").run()
    app.button(key="runs_template_save").click().run()
    saved = Templates(data)
    assert saved.text("instruction_list_plain.v1") == "Tasks, one a line.\n{{list}}"


def test_a_call_shows_its_prompt_or_says_that_it_is_gone(section, service: Service) -> None:
    in_review(service)
    app = section("Calls")
    assert len(rows(app, "runs_calls_table")) == 6
    assert "The prompt of call 5 is not in" in said(app)
