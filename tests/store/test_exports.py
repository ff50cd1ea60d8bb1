"""Exports: the right rows in the right order, every character of them, and a file that is whole or not there."""

import contextlib
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
from store.database import Store
from store.errors import ExportError, StoreError
from store.exports import ROWS_AT_ONCE, export
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
    written = [store.read(export, run_id, what, form, out / form, lineage) for form in ("jsonl", "parquet", "alpaca")]
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
    store.write(decisions.decide, "candidate:r1-0-0", "edit", "person")
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
        ("all", "jsonl", "x", "'all'.*kept, candidates, seeds"),
        ("kept", "csv", "x", "'csv'.*alpaca, jsonl, parquet"),
        ("kept", "jsonl", "missing/x", "missing does not exist"),
        ("kept", "jsonl", ".", "not a regular file"),
        ("kept", "parquet", "n" * 300, "cannot be written|too long"),
    ],
)
def test_wrong_wishes_are_refused_in_words(store: Store, tmp_path: Path, what: str, form: str, name: str, words: str):
    Story().begin(store)
    with pytest.raises(ExportError, match=words) as caught:
        store.read(export, "r1", what, form, tmp_path / name)
    assert caught.value.exit_code == 2
    assert caught.value.next_step


@pytest.mark.parametrize("form", ["alpaca", "jsonl", "parquet"])
def test_a_disk_that_fails_leaves_the_older_file_and_nothing_else(
    store: Store, story: Story, tmp_path: Path, form: str
):
    out = tmp_path / "out" / "file"
    out.parent.mkdir()
    out.write_text("older")
    with files_of_at_most(100), pytest.raises(StoreError, match="not written"):
        store.read(export, "r1", "candidates", form, out)
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
