"""Presets as files: what is read, what is refused in words, and whose name may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedi_engine import presets, spec
from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, InputError, NotFoundError


def written(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", presets.built_in())
def test_every_shipped_preset_says_what_it_is_for(name: str) -> None:
    assert len(presets.find(name).description) > 20


def test_paper_has_the_numbers_that_are_known_of_it() -> None:
    config = RunConfig.load("paper")
    assert (config.compose.batches_per_window, config.compose.batch_size) == (10, 128)
    assert config.filter.threshold == 0.85
    assert "Llama-3-8B" in config.train.model
    assert config.generator.kind == "endpoint"


def test_a_spec_lies_over_the_preset_that_it_names(tmp_path: Path) -> None:
    config = spec.load(written(tmp_path, 'preset = "quick"\n[filter]\nthreshold = 0.5\n'))
    quick = RunConfig.load("quick")
    assert config == quick.with_settings({"filter.threshold": 0.5, "preset": "mine"})


def test_a_spec_with_the_name_of_the_preset_that_it_builds_on_still_builds_on_it(tmp_path: Path) -> None:
    config = spec.load(written(tmp_path, 'preset = "quick"\niterations = 3\n', "quick.toml"))
    assert config == RunConfig.load("quick", {"iterations": 3})


def test_a_relative_stream_is_beside_the_file_that_names_it(tmp_path: Path) -> None:
    text = '[generator]\nkind = "stream"\nstream_path = "{}"\n[feedback]\nmode = "off"\n'
    beside = spec.load(written(tmp_path, text.format("tasks/a.jsonl")))
    assert beside.generator.stream_path == str(tmp_path / "tasks" / "a.jsonl")
    elsewhere = spec.load(written(tmp_path, text.format("/b.jsonl")))
    assert elsewhere.generator.stream_path == "/b.jsonl"


def test_saved_ones_are_found_by_name_and_others_are_passed_over(folder: Path) -> None:
    (folder / "presets").mkdir()
    for name, text in {
        "mine": "iterations = 4",
        "broken": "iterations = = 4",
        "quick": "iterations = 9",
        "![x](http:)": "iterations = 2".replace("2", "3"),
    }.items():
        written(folder / "presets", text, f"{name.replace('/', '')}.toml")
    assert list(presets.saved(folder)) == ["mine", "quick"]
    assert RunConfig.load("mine", folder=folder).iterations == 4
    assert RunConfig.load("quick", folder=folder) == RunConfig.load("quick"), "a shipped one cannot be put aside"
    with pytest.raises(ConfigError, match="no preset 'other'") as refused:
        presets.find("other", folder)
    assert "mine" in refused.value.next_step


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"iterations = = 2", "is no TOML"),
        (b"iterations = 2\n" * 2, "is no TOML"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"a = 1\n" + b"#" * presets.LARGEST_BYTES, "larger than 1 MB"),
        (b"treshold = 1", "no setting 'treshold'"),
        (b"[filter]\ntreshold = 1", "no setting 'filter.treshold'"),
        (b"[filter]\nthreshold = 1.5", "filter.threshold is 1.5"),
        (b"[filter]\nthreshold = nan", "filter.threshold is nan"),
        (b"filter = 1", "no setting 'filter'"),
        (b"iterations = [1]", "iterations should be a text or a number"),
        (b"iterations = 2020-01-01", "iterations should be a text or a number"),
        (b"[generator.model]\na = 1", "generator.model should be a text or a number"),
        (b".".join([b"a"] * 3000) + b" = 1", "should be a text or a number"),
        (b"iterations = " + b"[" * 5000, "is no TOML"),
        (b"preset = 3", "preset and description should be text"),
        (b'preset = "../x"', "builds on a preset '../x'"),
        (b'[generator]\nmodel = "a\\u0000b"', "generator.model is"),
        (b'[generator]\nbase_url = "http://a\\nb"', "generator.base_url is"),
        (b'[generator]\nkind = "endpoint"', "base_url is empty"),
        (b"[budget]\nmax_tokens = 100000000000000000000", "budget.max_tokens is"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        spec.load(written(tmp_path, content))
    assert said in refused.value.message
    assert refused.value.next_step or "base_url" in said
    assert len(refused.value.message) < 1000


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file .*x\.toml"):
        presets.read(tmp_path / "x.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        presets.read(tmp_path)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", "A", "a.b", "-a", "a" * 41, "é", "a\0", "quick", "paper"])
def test_a_name_that_cannot_be_a_file_of_ours_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InputError):
        spec.save(folder, name, RunConfig())
    with pytest.raises(InputError):
        spec.remove(folder, name)
    assert list(folder.iterdir()) == []
