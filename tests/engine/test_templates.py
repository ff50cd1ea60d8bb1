"""Saved templates: a version is never changed, no name becomes a path, and faults are told in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError
from sedi_engine.generator.prompts import render
from sedi_engine.generator.templates import STAGES, Templates, stage_of


def test_versions_count_up_and_stay(tmp_path: Path) -> None:
    templates = Templates(tmp_path)
    names = [templates.save("mine", f"Take {number}: {{{{list}}}}", "instructions") for number in range(3)]
    assert names == [f"instruction_list_mine.v{number}" for number in (1, 2, 3)]
    assert [templates.text(name) for name in names] == [f"Take {number}: {{{{list}}}}" for number in range(3)]
    assert templates.names("instructions")[-3:] == names
    assert not set(names) & set(templates.names("output"))
    assert Templates(tmp_path).text(names[1]) == "Take 1: {{list}}"


def test_a_changed_shipped_template_goes_on_with_the_next_version(tmp_path: Path) -> None:
    templates = Templates(tmp_path)
    shipped = templates.text("whole_task.v1")
    assert templates.save("whole_task", "{{list}}!", "whole_task") == "whole_task.v2"
    assert templates.text("whole_task.v1") == shipped


def test_settings_that_name_a_template_of_another_stage_are_refused(tmp_path: Path) -> None:
    named = RunConfig.load("quick", {"prompts.output": "whole_task.v1"})
    with pytest.raises(InputError, match="no template of that stage"):
        Templates(tmp_path).check_named(named)
    gone = RunConfig.load("quick", {"prompts.output": "output_gone.v3"})
    with pytest.raises(InputError, match="no template output_gone.v3"):
        Templates(tmp_path).check_named(gone)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.v1", "mine.v", "MINE.v1", "", ".v1", "mine.v1/../x"])
def test_no_name_reaches_another_file(tmp_path: Path, name: str) -> None:
    templates = Templates(tmp_path)
    with pytest.raises(InputError, match="no template"):
        templates.text(name)
    with pytest.raises(InputError, match="cannot be named"):
        templates.save(name or "Ä", "{{list}}", "instructions")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("no marker", "lacks {{list}}"),
        ("{{list}} {{config}}", "{{config}} is no marker"),
        ("{{list}}\0", "control character U+0000"),
        ("{{list}}\ud800", "control character U+D800"),
        ("{{list}}" + "x" * 100_000, "larger than 100 kB"),
    ],
)
def test_faults_are_told(text: str, fault: str) -> None:
    assert fault in (Templates().check(text, "instructions") or "")


def test_what_is_shipped_can_be_used() -> None:
    shipped = Templates().names()
    assert len(shipped) >= 10
    assert {stage_of(name) for name in shipped} == set(STAGES)
    assert {name: Templates().check(Templates().text(name), stage_of(name)) for name in shipped} == dict.fromkeys(
        shipped
    )


@given(st.dictionaries(st.sampled_from(["list", "total"]), st.text(), min_size=2))
def test_values_are_never_read_as_markers(values: dict[str, str]) -> None:
    assert render("{{list}}|{{total}}", values) == f"{values['list']}|{values['total']}"
