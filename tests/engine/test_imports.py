"""Whole imports: counts add up, nothing is taken twice, and a kill leaves nothing or all."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, InputError
from sedi_engine.generator.stream import read_stream
from sedi_engine.imports.job import Imports, preview, stream_files
from sedi_engine.seeds import library_seeds
from sedi_engine.service import Service
from store import imports, seeds
from store.database import Store
from tests.commands import last_json, sedi, wait_until

TASKS = [{"instruction": f"Say {n} twice", "output": f"{n} {n}"} for n in range(40)]


def lines(tasks: list[dict]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(task) + "\n" for task in tasks).encode())


@pytest.fixture
def jobs(store: Store) -> Iterator[Imports]:
    store.write(seeds.add, library_seeds(), True)
    opened = Imports(store)
    yield opened
    opened.close()


def done(jobs: Imports, source: io.BytesIO, target: str, **more) -> dict:
    import_id = jobs.start(source, "a name/../of theirs", target, "me", **more)
    assert jobs.wait(import_id, 60)
    row = jobs.get(import_id)
    assert row["read"] == row["taken"] + row["duplicates"] + row["refused"]
    return row


def test_seeds_join_the_library_once(jobs: Imports, store: Store) -> None:
    before = len(store.read(seeds.library))
    old = library_seeds()[3]
    there = {"instruction": old.instruction.upper(), "input": old.input, "output": f" {old.output}"}
    source = [*TASKS, there, TASKS[0], {"instruction": "No answer"}, {"instruction": "", "output": "x"}]
    row = done(jobs, lines(source), "seeds")
    assert (row["status"], row["taken"], row["duplicates"], row["refused"]) == ("completed", 40, 2, 2)
    library = store.read(seeds.library)
    assert [seed.instruction for seed in library[before:]] == [task["instruction"] for task in TASKS]
    assert {seed.origin for seed in library[before:]} == {"import"}
    report = store.read(imports.report, row["import_id"])
    assert [(fault["line"], fault["reason"]) for fault in report] == [
        (41, "the same task is there already"),
        (42, "the same task is there already"),
        (43, "its output is empty, which seeds need"),
        (44, "its instruction is empty"),
    ]
    again = done(jobs, lines(TASKS), "seeds")
    assert (again["taken"], again["duplicates"]) == (0, 40)


def test_a_stream_can_be_run_and_a_table_mapped(jobs: Imports, store: Store) -> None:
    table = io.BytesIO(b"q;a\nSay one;1\nSay two;2\n")
    row = done(jobs, table, "stream", mapping={"instruction": "q", "output": "a"})
    (path,) = stream_files(store.folder)
    assert path.stem == row["import_id"]
    assert [task["instruction"] for task in read_stream(path)] == ["Say one", "Say two"]


def test_held_out_tasks_are_what_a_run_is_measured_on(folder: Path) -> None:
    service = Service(folder)
    try:
        import_id = service.imports.start(lines(TASKS), "h", "heldout", "me")
        assert service.imports.wait(import_id, 60)
        stream = [
            {"instruction": "Say 7 twice now", "output": "x"},
            {"instruction": "Name every river that you know", "output": "y"},
        ]
        path = folder / "s.jsonl"
        path.write_bytes(lines(stream).getvalue())
        settings = {
            "generator.kind": "stream",
            "generator.stream_path": str(path),
            "feedback.mode": "off",
            "train.model": "none",
            "compose.batch_size": 1,
            "train.heldout": import_id,
        }
        run_id = service.manager.start(RunConfig.load("quick", settings))
        assert service.manager.wait(run_id, 60)
        summary = service.manager.summary(run_id)
        with pytest.raises(ConfigError, match="no import of held-out tasks"):
            service.manager.start(RunConfig.load("quick", {**settings, "train.heldout": "gone"}))
    finally:
        service.close()
    assert (summary["kept"], summary["dropped"]) == (1, {"heldout": 1})


@pytest.mark.parametrize(
    ("target", "form", "mapping", "said"),
    [
        ("all", None, {}, "imported as 'all'"),
        ("seeds", "xml", {}, "no form 'xml'"),
        ("seeds", None, {"answer": "a"}, "mapped to 'answer'"),
        ("seeds", None, {"output": "a"}, "No column is mapped to instruction"),
    ],
)
def test_wrong_wishes_are_refused(jobs: Imports, store: Store, target: str, form, mapping: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        jobs.start(lines(TASKS), "x", target, "me", form, mapping)
    assert store.read(imports.listed) == []


def test_a_file_that_cannot_be_read_fails_in_words_and_leaves_nothing(jobs: Imports, store: Store) -> None:
    before = store.read(seeds.library)
    row = done(jobs, io.BytesIO(b"PK\x03\x04broken"), "seeds")
    assert (row["status"], row["taken"]) == ("failed", 0)
    assert "zip archive cannot be read" in row["error"]
    assert store.read(seeds.library) == before


def many(count: int) -> io.BytesIO:
    return lines([{"instruction": f"Say {n} to everybody in the room", "output": "ok"} for n in range(count)])


def test_cancelled_and_interrupted_imports_leave_nothing_and_can_be_started_again(store: Store) -> None:
    store.write(seeds.add, library_seeds(), True)
    before = len(store.read(seeds.library))
    jobs = Imports(store)
    import_id = jobs.start(many(60_000), "x", "seeds", "me")
    assert wait_until(lambda: jobs.get(import_id)["read"] > 0)
    jobs.cancel(import_id)
    assert jobs.wait(import_id, 60)
    assert jobs.get(import_id)["status"] == "cancelled"
    jobs.resume(import_id)
    assert wait_until(lambda: jobs.get(import_id)["read"] > 0)
    jobs.close()
    assert store.read(imports.get, import_id)["status"] == "interrupted"
    assert len(store.read(seeds.library)) == before
    jobs = Imports(store)
    jobs.resume(import_id)
    assert jobs.wait(import_id, 120)
    jobs.close()
    assert store.read(imports.get, import_id)["status"] == "completed"
    assert len(store.read(seeds.library)) == before + 60_000


def test_a_preview_reads_the_head_alone(tmp_path: Path) -> None:
    shown = preview(b'q,a\nSay one,1\nSay "two",2\n', "x.csv", None, {"instruction": "q", "output": "a"}, tmp_path)
    assert (shown["container"], shown["columns"]) == ("csv", ["q", "a"])
    assert [row["instruction"] for row in shown["rows"]] == ["Say one", 'Say "two"']
    unknown = preview(b"x,y\n1,2\n", "x.csv", None, {}, tmp_path)
    assert unknown["rows"][0]["fault"] == "no column is an instruction; it has x, y"


def test_the_command_brings_in_a_file_and_reports_by_line(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(lines([*TASKS, {"output": "x"}]).getvalue())
    said = last_json(sedi("import", path, "--as", "seeds", "--store", folder, "--json"))
    assert (said["taken"], said["refused"], said["status"]) == (40, 1, "completed")
    report = last_json(sedi("imports", "--report", said["import_id"], "--store", folder, "--json"))
    assert [fault["line"] for fault in report] == [41]
    assert "no file" in sedi("import", tmp_path / "gone", "--as", "seeds", "--store", folder, expect=2).stderr
