"""Files of every kind are read in bounded memory, and what is wrong in them is told by line."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sedi_engine.errors import InputError
from sedi_engine.imports import readers
from sedi_engine.imports.readers import LARGEST_RECORD, Fault, container, records
from store.cells import defuse

ROWS = [{"instruction": f"Say {n} é 日", "input": "a\nb" if n % 2 else "", "output": f'"{n}"'} for n in range(7)]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read(path: Path) -> list[readers.Read]:
    return list(records(path, path.with_name("scratch")))


def write_csv(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> None:
    with path.open("w", encoding=encoding, newline="", errors="replace") as file:
        table = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows({name: defuse(text) for name, text in row.items()} for row in ROWS)


def make(path: Path, kind: str) -> None:
    text = lines(ROWS)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../climbs/out.jsonl", lines(ROWS[:3]))
            archive.writestr("folder/", "")
            archive.writestr("b.json", json.dumps(ROWS[3:]))
    elif kind == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    elif kind.startswith("csv"):
        write_csv(path, *kind.split(" ")[1:])
    else:
        content = {
            "jsonl": text.encode(),
            "jsonl with mark": b"\xef\xbb\xbf" + text.encode(),
            "jsonl utf-16": text.encode("utf-16"),
            "jsonl windows": text.replace("\n", "\r\n").encode(),
            "json": json.dumps(ROWS).encode(),
            "json indented": json.dumps(ROWS, indent=3, ensure_ascii=False).encode(),
        }[kind]
        path.write_bytes(content)


KINDS = (
    "jsonl|jsonl with mark|jsonl utf-16|jsonl windows|json|json indented|gzip|zip|parquet|csv|csv utf-8-sig|"
    "csv utf-16|csv utf-8 ;|csv utf-8 \t"
).split("|")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_records(tmp_path: Path, kind: str) -> None:
    make(tmp_path / "upload", kind)
    assert [one.record for one in read(tmp_path / "upload")] == ROWS
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in ("upload", "scratch")) == []
    assert not (tmp_path.parent.parent / "climbs").exists()


def test_a_file_of_several_encodings_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"instruction,output\n" + "Größe,1\n".encode() + "Größe,2\n".encode("cp1252") + b"plain,3\n")
    assert [one.record["instruction"] for one in read(path)] == ["Größe", "Größe", "plain"]


def test_faults_come_with_their_line_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text('{"a": 1}\n{"a": \n[1]\n\n{"a": 2}\nx', encoding="utf-8")
    found = [(one.line, one.record.reason if isinstance(one.record, Fault) else one.record) for one in read(path)]
    assert found == [
        (1, {"a": 1}),
        (2, "it is no JSON"),
        (3, "it is no JSON object"),
        (5, {"a": 2}),
        (6, "it is no JSON"),
    ]


def test_rows_with_too_few_cells_are_told(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("a,b\n1,2\n3\n4,5\n", encoding="utf-8")
    found = read(path)
    assert [one.line for one in found] == [2, 3, 4]
    assert isinstance(found[1].record, Fault)
    assert "1 cells, and the heading 2" in found[1].record.reason


def test_a_huge_line_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as file:
        file.write(b'{"a": 1}\n{"a": "')
        for _ in range(200):
            file.write(b"x" * LARGEST_RECORD)
        file.write(b'"}\n{"a": 2}\n')
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.line for one in found] == [1, 2, 3]
    assert isinstance(found[1].record, Fault)
    assert found[2].record == {"a": 2}
    assert peak < 20 * LARGEST_RECORD


def test_a_parquet_file_of_one_long_text_a_million_times_is_read_in_bounded_memory(tmp_path: Path) -> None:
    indices = pa.array([0] * 50_000, pa.int32())
    long = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (2 * LARGEST_RECORD)]))
    pq.write_table(pa.table({"instruction": long}), tmp_path / "upload")
    tracemalloc.start()
    found = [isinstance(one.record, Fault) for one in records(tmp_path / "upload", tmp_path / "scratch")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [True] * 50_000
    assert peak < 40 * LARGEST_RECORD


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.jsonl", "w") as member:
        for _ in range(64):
            member.write(bytes(1 << 20))


def test_an_archive_that_grows_beyond_its_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST_UNPACKED", 16 << 20)
    bomb(tmp_path / "zip")
    (tmp_path / "gzip").write_bytes(gzip.compress(bytes(64 << 20)))
    for name in ("zip", "gzip"):
        with pytest.raises(InputError, match="unpacks to"):
            read(tmp_path / name)
    assert (tmp_path / "scratch").stat().st_size <= 18 << 20


def test_an_archive_that_lies_about_its_size_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST_UNPACKED", 16 << 20)
    monkeypatch.setattr(readers, "_check_members", lambda members: None)
    bomb(tmp_path / "zip")
    with pytest.raises(InputError, match="unpacks to more"):
        read(tmp_path / "zip")


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        for number in range(readers.MOST_MEMBERS + 1):
            archive.writestr(f"{number}.json", "[]")
    with pytest.raises(InputError, match="holds 1,001 files"):
        read(tmp_path / "zip")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"PK\x03\x04 broken", "cannot be read"),
        (b"\x1f\x8b broken", "cannot be unpacked"),
        (b"PAR1 broken PAR1", "Parquet file cannot be read"),
        (b"7z\xbc\xaf", "7z archive"),
        (bytes(257) + b"ustar" + bytes(250), "tar archive"),
        (b"a,a\n1,2\n", "no heading"),
    ],
)
def test_what_cannot_be_read_at_all_is_told_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path / "upload")
    assert caught.value.next_step


def test_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    make(inner, "zip")
    (tmp_path / "upload").write_bytes(gzip.compress(inner.read_bytes()))
    assert container(tmp_path / "upload") == "gzip"
    with pytest.raises(InputError, match="archive inside an archive"):
        read(tmp_path / "upload")


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_a_json_array_that_breaks_off_gives_what_is_whole(tmp_path: Path, cut: int) -> None:
    text = json.dumps(ROWS)
    (tmp_path / "upload").write_text(text[:-cut])
    found = read(tmp_path / "upload")
    whole = [one.record for one in found if not isinstance(one.record, Fault)]
    assert whole == ROWS[: len(whole)]
    assert len(whole) >= len(ROWS) - 2
