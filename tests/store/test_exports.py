"""Exports: the right rows in the right order, every character of them, and a file that is whole or not there."""

import contextlib
import csv
import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import decisions
from store.cells import defuse, restore
from store.database import Store
from store.errors import ExportError, StoreError
from store.export_rows import count, first_rows
from store.exports import ROWS_AT_ONCE, WRITERS, export
from store.selection import Selection
from tests.story import Story

HOSTILE = 'a "quote" \\ and\r\n newline,\u2028 \x00 \x1b[31m 😀 日本 \ufffd <script>{0} %s\'; DROP TABLE run'
TEXTS = ("instruction", "input", "output")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture
def story(store: Store) -> Story:
    """Two calls: 0 gives kept, similar, kept; 1 is recorded first and gives a kept one without its output."""
    told = Story(**{"feedback.mode": "review"})
    told.begin(store)
    told.tell(
        store,
        told.call(1, model="other", demo_seed_ids=("s3",)),
        told.call(0, error="timeout", raw_reply=None),
        told.call(0, attempt=1),
        told.judged(1, told.candidate(1, 0), told.candidate(1, 1, "no_output", output="")),
        told.judged(
            0,
            told.candidate(0, 0, instruction=HOSTILE, input=HOSTILE, output=HOSTILE),
            told.candidate(0, 1, "similar", max_rouge_l=0.9, nearest_id="s1", nearest_source="seed"),
            told.candidate(0, 2),
        ),
        told.composed(1, ("r1-0-0",), ("r1-1-0", "r1-0-2"), first_step=7),
    )
    return told


def rows(store: Store, out: Path, what: str, lineage: bool = False, run_id: str = "r1") -> list[dict]:
    """The export as JSON lines, which must say the same as Parquet and, in its texts, as Alpaca's form."""
    written = [
        store.read(export, Selection(run_id=run_id, what=what), form, out / form, lineage)
        for form in ("jsonl", "parquet", "alpaca")
    ]
    lines = [json.loads(line) for line in (out / "jsonl").read_bytes().splitlines()]
    assert written == [len(lines)] * 3
    assert pq.read_table(out / "parquet").to_pylist() == lines
    assert json.loads((out / "alpaca").read_bytes()) == [{text: line[text] for text in TEXTS} for line in lines]
    return lines


def ids(lines: list[dict]) -> list[str]:
    return [line["candidate_id"] for line in lines]


def test_candidates_are_all_of_them_in_the_order_of_judgement(store: Store, story: Story, tmp_path: Path):
    lines = rows(store, tmp_path, "candidates")
    assert ids(lines) == ["r1-0-0", "r1-0-1", "r1-0-2", "r1-1-0", "r1-1-1"]
    assert [line["reason"] for line in lines] == [None, "similar", None, None, "no_output"]
    similar = lines[1]
    assert (similar["stage"], similar["max_rouge_l"], similar["nearest_id"]) == ("similarity", 0.9, "s1")
    assert (similar["nearest_source"], similar["demo_seed_ids"]) == ("seed", ["s1", "s2"])
    assert lines[3]["demo_seed_ids"] == ["s3"]


def test_every_character_survives(store: Store, story: Story, tmp_path: Path):
    assert {rows(store, tmp_path, "kept")[0][text] for text in TEXTS} == {HOSTILE}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, texts, texts), max_size=4))
def test_any_text_survives(store: Store, tmp_path: Path, tasks: list[tuple[str, str, str]]):
    store.write(
        lambda cursor: [cursor.execute(f"DELETE FROM {table}") for table in ("event", "candidate", "judgement")]
    )
    told = Story()
    made = [told.candidate(0, at, **dict(zip(TEXTS, task, strict=True))) for at, task in enumerate(tasks)]
    told.tell(store, told.judged(0, *made))
    assert [tuple(line[text] for text in TEXTS) for line in rows(store, tmp_path, "kept", run_id=told.run_id)] == tasks


def test_kept_follows_the_decisions_of_people(store: Store, story: Story, tmp_path: Path):
    assert ids(rows(store, tmp_path, "kept")) == ["r1-0-0", "r1-0-2", "r1-1-0"]
    for ident, kind in (("r1-0-0", "reject"), ("r1-0-1", "rescue"), ("r1-1-1", "rescue"), ("r1-1-0", "accept")):
        store.write(decisions.decide, f"candidate:{ident}", kind, "person")
    assert ids(rows(store, tmp_path, "kept")) == ["r1-0-1", "r1-0-2", "r1-1-0"], "rescued waits for its output"
    store.write(decisions.decide, "candidate:r1-0-0", "undo", "person")
    assert ids(rows(store, tmp_path, "kept")) == ["r1-0-0", "r1-0-1", "r1-0-2", "r1-1-0"]
    assert len(rows(store, tmp_path, "candidates")) == 5, "a verdict never changes"


def test_an_edit_takes_the_place_of_its_original_until_it_is_undone(store: Store, story: Story, tmp_path: Path):
    edit = {"candidate_id": "edited", "origin": "edit", "parent_id": "r1-0-0"}
    story.tell(store, story.judged(9, story.candidate(-1, 0).model_copy(update=edit)))
    store.submit(
        lambda cursor: decisions.decide(cursor, "candidate:r1-0-0", "edit", "person", result="edited")
    ).result()
    assert ids(rows(store, tmp_path, "kept")) == ["r1-0-2", "r1-1-0", "edited"]
    assert ids(rows(store, tmp_path, "candidates"))[-1] == "edited"
    store.write(decisions.decide, "candidate:r1-0-0", "undo", "person")
    assert ids(rows(store, tmp_path, "kept")) == ["r1-0-0", "r1-0-2", "r1-1-0"]


def test_lineage_names_call_prompt_and_batch(store: Store, story: Story, tmp_path: Path):
    first, _, last = rows(store, tmp_path, "kept", lineage=True)
    assert (first["run_id"], first["call_index"], first["position"], first["iteration"]) == ("r1", 0, 0, 1)
    assert (first["model"], first["prompt_version"], first["step"]) == ("m", "v1", 7)
    assert (last["model"], last["demo_seed_ids"], last["step"]) == ("other", ["s3"], 8)
    for what in ("kept", "candidates", "seeds"):
        plain, full = rows(store, tmp_path, what), rows(store, tmp_path, what, lineage=True)
        assert all(line.items() < more.items() for line, more in zip(plain, full, strict=True))


def test_seeds_tell_when_and_why_each_joined_or_left(store: Store, story: Story, tmp_path: Path):
    promotion, eviction = story.proposal("promote", "r1-0-2"), story.proposal("evict", "s1")
    story.tell(store, story.finished(1, ("r1-0-0", "r1-1-0", "r1-0-2"), promotion, eviction))
    for proposal in (promotion, eviction):
        store.write(decisions.decide_proposal, proposal.proposal_id, "accept", "person")
    store.write(decisions.apply, "r1", 2, True)
    lines = {line["seed_id"]: line for line in rows(store, tmp_path, "seeds", lineage=True)}
    assert list(lines) == ["s1", "s2", "s3", "m-r1-0-2"]
    left, stayed, promoted = lines["s1"], lines["s2"], lines["m-r1-0-2"]
    assert (stayed["status"], stayed["joined_reason"], stayed["left_at"]) == ("active", "start", None)
    assert (left["joined_reason"], left["left_reason"], left["removed_iteration"]) == ("start", "evicted", 2)
    assert left["joined_at"] <= left["left_at"]
    assert json.loads(left["eviction_evidence"]) == {"loss": 1.5}
    assert (promoted["joined_reason"], promoted["added_iteration"], promoted["left_reason"]) == ("promoted", 2, None)
    assert (promoted["origin"], promoted["parent_ids"], promoted["decided_by"]) == ("machine", ["r1-0-2"], "person")


def test_more_rows_than_are_read_at_once(store: Store, tmp_path: Path):
    told = Story()
    told.begin(store)
    count = 2 * ROWS_AT_ONCE + 1
    told.tell(store, told.judged(0, *(told.candidate(0, at) for at in range(count))))
    assert ids(rows(store, tmp_path, "kept")) == [f"r1-0-{at}" for at in range(count)]


def test_a_run_without_candidates_gives_an_empty_file_of_its_form(store: Store, tmp_path: Path):
    Story().begin(store)
    assert rows(store, tmp_path, "kept", lineage=True) == []


@pytest.mark.parametrize(
    ("what", "form", "name", "words"),
    [
        ("kept", "xml", "x", "'xml'.*alpaca, jsonl, parquet"),
        ("kept", "jsonl", "missing/x", "missing does not exist"),
        ("kept", "jsonl", ".", "not a regular file"),
        ("kept", "parquet", "n" * 300, "cannot be written|too long"),
    ],
)
def test_wrong_wishes_are_refused_in_words(store: Store, tmp_path: Path, what: str, form: str, name: str, words: str):
    Story().begin(store)
    with pytest.raises(ExportError, match=words) as caught:
        store.read(export, Selection(run_id="r1", what=what), form, tmp_path / name)
    assert caught.value.exit_code == 2
    assert caught.value.next_step


@pytest.mark.parametrize("form", WRITERS)
def test_a_disk_that_fails_leaves_the_older_file_and_nothing_else(
    store: Store, story: Story, tmp_path: Path, form: str
):
    out = tmp_path / "out" / "file"
    out.parent.mkdir()
    out.write_text("older")
    with files_of_at_most(100), pytest.raises(StoreError, match="not written"):
        store.read(export, Selection(run_id="r1", what="candidates"), form, out)
    assert [path.name for path in out.parent.iterdir()] == ["file"]
    assert out.read_text() == "older"


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A real limit of the system on what this process may write to one file, in bytes."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


RISKY = st.sampled_from(["=1+1", "+1", "-1", "@x", "\t=1", " =1", "'=1", "''", "＝1", "1", "", "a\r\n=b", '"', "'"])


@given(RISKY | texts.map(lambda text: text.replace("\0", "")))
def test_a_defused_cell_is_no_formula_and_can_be_restored(text: str) -> None:
    cell = defuse(text)
    assert restore(cell) == text
    assert not cell.lstrip(" \u00a0\u3000\ufeff\u200b").startswith(
        ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
    )


def test_csv_holds_every_row_and_character_and_no_formula(store: Store, story: Story, tmp_path: Path) -> None:
    formula = story.candidate(2, 0, instruction="=HYPERLINK(1)", input=" -1+2", output='a,"b"\r\n日本')
    story.tell(store, story.call(2), story.judged(2, formula, missing=3))
    for what in ("kept", "candidates", "seeds"):
        written = store.read(export, Selection(run_id="r1", what=what), "csv", tmp_path / what, True)
        with (tmp_path / what).open(encoding="utf-8-sig", newline="") as file:
            cells = list(csv.DictReader(file))
        expected = store.read(first_rows, Selection(run_id="r1", what=what), 1000, True)
        assert written == len(cells) == len(expected)
        for row, said in zip(expected, cells, strict=True):
            assert {name: restore(said[name]) for name in TEXTS} == {
                name: row[name].replace("\0", "\ufffd") for name in TEXTS
            }
    with (tmp_path / "kept").open(encoding="utf-8-sig", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["instruction"], last["input"], last["call_index"]) == ("'=HYPERLINK(1)", "' -1+2", "2")


def test_each_form_is_the_one_that_its_name_stands_for(store: Store, story: Story, tmp_path: Path) -> None:
    with_input = story.candidate(2, 0, instruction="Sum.", input="1 2", output="3")
    story.tell(store, story.call(2), story.judged(2, with_input, missing=3))
    wanted = Selection(run_id="r1", ids=("r1-2-0",))
    read = {}
    for form in ("self_instruct", "sharegpt", "openai", "prompt_completion"):
        for lineage in (False, True):
            store.read(export, wanted, form, tmp_path / form, lineage)
            (read[form, lineage],) = map(json.loads, (tmp_path / form).read_text().splitlines())
    assert read["self_instruct", False] == {
        "id": "r1-2-0",
        "name": "r1-2-0",
        "instruction": "Sum.",
        "instances": [{"input": "1 2", "output": "3"}],
        "is_classification": False,
    }
    turns = [("human", "Sum.\n\n1 2"), ("gpt", "3")]
    assert read["sharegpt", False] == {"conversations": [{"from": who, "value": said} for who, said in turns]}
    turns = [("user", "Sum.\n\n1 2"), ("assistant", "3")]
    assert read["openai", False] == {"messages": [{"role": who, "content": said} for who, said in turns]}
    assert read["prompt_completion", False] == {"prompt": "Sum.\n\n1 2", "completion": "3"}
    for (form, lineage), record in read.items():
        assert ("lineage" in record) is lineage, form
        assert not lineage or record["lineage"]["demo_seed_ids"] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, 5),
        ({"verdict": "dropped"}, 2),
        ({"reasons": ("similar",)}, 1),
        ({"reasons": ("similar", "no_output")}, 2),
        ({"iterations": (2,)}, 0),
        ({"search": "TASK 1"}, 2),
        ({"search": "%"}, 1),
        ({"search": "'; DROP TABLE"}, 1),
        ({"min_rouge_l": 0.8}, 1),
        ({"max_rouge_l": 0.8}, 4),
        ({"ids": ("r1-0-0", "gone")}, 1),
        ({"flags": ("unsafe",)}, 0),
        ({"without_flags": True}, 5),
        ({"verdict": "kept", "search": "done 1"}, 1),
    ],
)
def test_an_export_is_what_the_same_filter_shows(store: Store, story: Story, tmp_path: Path, more: dict, found: int):
    wanted = Selection(run_id="r1", what="candidates", **more)
    shown = store.read(first_rows, wanted, 100)
    assert store.read(export, wanted, "jsonl", tmp_path / "out") == len(shown) == store.read(count, wanted) == found
    assert [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()] == shown
