"""A run goes into a file and into another store, whole; a file that is cut, changed or newer goes nowhere."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sedi_engine.exports.recording import OURS, play, record
from sedi_engine.jobs import Manager
from store import decisions, lineage, map_view, maps, recordings, replays, runs, training
from store.database import Store
from store.errors import RecordingError, StudioError
from tests.pages.builder import explored

SOME_BYTES = 1 << 20


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "other")
    yield opened
    opened.close()


@pytest.fixture
def recorded(store: Store, tmp_path: Path) -> Path:
    explored(store)
    store.write(decisions.decide_candidates, ["r1-0-0", "r1-0-1"], "reject", "ann")
    store.write(decisions.decide_candidates, ["r1-0-0"], "undo", "ann")
    out = tmp_path / "run.sedi"
    assert record(store, "r1", out) > 300
    return out


def test_a_recorded_run_is_the_same_in_another_store(store: Store, other: Store, recorded: Path) -> None:
    other.write(decisions.decide, "candidate:elsewhere", "accept", "bob")
    assert play(other, recorded, "run.sedi", "ann") == "r1"
    for query in (runs.summary, training.steps, training.batches, replays.rows_for_replay):
        assert other.read(query, "r1") == store.read(query, "r1"), query.__name__
    one, two = (opened.read(lineage.record, "r1", "candidate:r1-0-2") for opened in (store, other))
    for changed in ("call",):
        assert one.pop(changed).keys() == two.pop(changed).keys()
    assert one == two
    standing = [(row["proposal_id"], row["decision"], row["by"]) for row in store.read(decisions.of_run, "r1")]
    assert [(row["proposal_id"], row["decision"], row["by"]) for row in other.read(decisions.of_run, "r1")] == standing
    subjects, vectors = store.read(maps.vectors, ["candidate:r1-3-0"])
    assert np.array_equal(other.read(maps.vectors, subjects)[1], vectors)
    assert other.read(maps.without_vector, "r1") == []
    assert other.read(recordings.is_recording, "r1")
    assert not store.read(recordings.is_recording, "r1")
    assert other.write(decisions.decide, "candidate:more", "accept", "bob") > 0


def test_a_recording_cannot_be_gone_on_with_and_comes_once(other: Store, recorded: Path) -> None:
    play(other, recorded, "run.sedi", "ann")
    with pytest.raises(RecordingError, match="in this store already"):
        play(other, recorded, "run.sedi", "ann")
    manager = Manager(other)
    try:
        with pytest.raises(StudioError, match="is a recording"):
            manager.resume("r1", more_iterations=1)
    finally:
        manager.close()


def repacked(path: Path, fresh: dict[str, bytes] | None = None, **changes: object) -> io.BytesIO:
    """The recording with a changed header, or with parts in place of its own, whose hashes are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        header = json.loads(old.read("recording.json"))
        for name, content in (fresh or {}).items():
            header["parts"][name] = hashlib.sha256(content).hexdigest()
        new.writestr("recording.json", json.dumps(header | changes))
        for name in old.namelist()[1:]:
            new.writestr(name, (fresh or {}).get(name) or old.read(name))
    return out


def bomb(kind: str) -> bytes:
    """A small file that unpacks to much: to rows, to text, or to one long text that many rows share."""
    long = pa.array(["x" * SOME_BYTES])
    made = {
        "rows": lambda: pa.nulls(recordings.MOST_ROWS + 1, pa.string()),
        "text": lambda: long.take(pa.array(np.zeros(9, dtype=np.int8))),
        "shared": lambda: pa.DictionaryArray.from_arrays(np.zeros(100_000, dtype=np.int32), long),
    }[kind]()
    out = io.BytesIO()
    pq.write_table(pa.table({"raw": made}), out, compression="zstd", use_dictionary=kind == "shared")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["rows", "text", "shared"])
def test_a_part_that_unpacks_to_too_much_is_refused_before_it_is_read(
    other: Store, recorded: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_BYTES", 8 * SOME_BYTES)
    content = bomb(kind)
    assert len(content) < SOME_BYTES
    with pytest.raises(RecordingError, match="unpacks to .* at most 2,000,000 rows and 8 MB are read"):
        play(other, repacked(recorded, {"event.parquet": content}), "bomb.sedi", "ann")
    assert other.read(runs.run_ids) == []


def test_what_is_cut_changed_newer_or_none_says_so_and_changes_nothing(other: Store, recorded: Path) -> None:
    content = recorded.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    bad = {
        "no recording, or it is cut": io.BytesIO(content[: len(content) // 2]),
        "no recording": io.BytesIO(b"nothing"),
        "reads up to 1": repacked(recorded, format=99),
        "which run it is": repacked(recorded, run_id="../r1"),
        "damaged|no recording": io.BytesIO(bytes(flipped)),
        "is damaged": repacked(recorded, parts={f"{name}.parquet": "0" * 64 for name in recordings.TABLES}),
    }
    for said, source in bad.items():
        with pytest.raises(RecordingError, match=said):
            play(other, source, "bad.sedi", "ann")
        assert other.read(runs.run_ids) == []
    with pytest.raises(StudioError, match="no file"):
        play(other, recorded.with_name("gone.sedi"), "gone.sedi", "ann")


def test_a_run_that_goes_on_is_not_recorded(store: Store, tmp_path: Path) -> None:
    explored(store)
    store.write(runs.set_status, "r1", "running")
    with pytest.raises(RecordingError, match="going on"):
        record(store, "r1", tmp_path / "run.sedi")
    assert list(tmp_path.glob("*.sedi*")) == []


def test_ours_is_small_and_tells_a_whole_run(other: Store) -> None:
    assert OURS.stat().st_size <= 2_000_000
    run_id = play(other, OURS, OURS.name, "ann")
    summary = other.read(runs.summary, run_id)
    assert summary["status"] == "completed"
    assert summary["iteration"] == 3
    assert summary["steps"] == 15
    assert other.read(maps.without_vector, run_id) == []
    assert len(other.read(map_view.frame, run_id)) == 0, "its map is made where it is shown"
