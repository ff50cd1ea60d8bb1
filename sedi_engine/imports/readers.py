"""Records of a file, one after the other, in bounded memory: JSON, JSON lines, CSV, Parquet, also in gzip or zip.

What a file is follows from its first bytes and not from its name. A record that cannot be read is a `Fault` with its
line, and the next one is read. Whatever is larger than a bound is refused with a sentence: a line, a field, a row
group, an archive's contents, the number of its members. Names inside an archive are shown and never used as paths.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from sedi_engine.errors import InputError
from store.cells import restore

LARGEST_RECORD = 1 << 20
LARGEST_UNPACKED = 1 << 30
LARGEST_ROW_GROUP = 512 << 20
MOST_MEMBERS = 1000
HEAD_BYTES = 1 << 16
ROWS_AT_ONCE = 256
MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip"}
OTHER_ARCHIVES = {b"7z\xbc\xaf": "7z", b"Rar!": "rar", b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class Fault(NamedTuple):
    """Why a record was not read, and the beginning of what stood there."""

    reason: str
    excerpt: str = ""


class Read(NamedTuple):
    """A line (row, or record) of the file, from 1, and what was read there."""

    line: int
    record: dict[str, Any] | Fault


def records(path: Path, scratch: Path) -> Iterator[Read]:
    """Every record of a file, or its fault. `scratch` is a file that an archive's members may be unpacked to.

    Raises InputError in words where the file as a whole cannot be read.
    """
    kind = container(path)
    if kind == "zip":
        yield from _zip_members(path, scratch)
    elif kind == "gzip":
        with gzip.open(path) as packed:
            _unpack(packed, scratch, "the file")
        yield from _plain(scratch, container(scratch))
    else:
        yield from _plain(path, kind)


def container(path: Path) -> str:
    """parquet, zip, gzip, json, jsonl or csv, from a file's first bytes; raises InputError for what is none of them."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if other := next((name for magic, name in OTHER_ARCHIVES.items() if head.startswith(magic)), None):
        raise InputError(f"The file is a {other} archive, which is not read.", "Unpack it, or pack it as zip or gzip.")
    if head[257:262] == b"ustar":
        raise InputError("The file is a tar archive, which is not read.", "Unpack it, or pack it as zip.")
    text = _decoded(head, _encoding(head)).lstrip("\ufeff \t\r\n")
    if not text:
        raise InputError("The file is empty.", "Choose another.")
    if text[0] == "[":
        return "json"
    return "jsonl" if text[0] == "{" else "csv"


def _plain(path: Path, kind: str) -> Iterator[Read]:
    readers: dict[str, Callable[[Path], Iterator[Read]]] = {
        "parquet": _parquet,
        "json": _json_array,
        "jsonl": _json_lines,
        "csv": _csv,
    }
    if kind not in readers:
        raise InputError(f"There is a {kind} archive inside an archive, which is not read.", "Unpack it first.")
    return readers[kind](path)


def _json_lines(path: Path) -> Iterator[Read]:
    for number, line in _lines(path):
        if isinstance(line, Fault):
            yield Read(number, line)
        elif line.strip():
            yield Read(number, _object(line))


def _json_array(path: Path) -> Iterator[Read]:
    """The objects of one JSON array, a buffer at a time; or the lines of a file that only looks like one."""
    with path.open("rb") as file:
        encoding = _encoding(file.read(HEAD_BYTES))
    decoder, number = json.JSONDecoder(), 0
    with path.open(encoding=encoding, errors="replace") as file:
        buffer = file.read(HEAD_BYTES).lstrip("\ufeff \t\r\n")[1:]
        while True:
            buffer = buffer.lstrip(", \t\r\n")
            if buffer[:1] == "]":
                return
            try:
                value, end = decoder.raw_decode(buffer)
                if end == len(buffer) and not isinstance(value, dict | list | str):
                    raise ValueError
            except (ValueError, RecursionError):
                more = file.read(HEAD_BYTES)
                if more and len(buffer) <= LARGEST_RECORD:
                    buffer += more
                    continue
                if not buffer.strip():
                    return
                # where the next record begins cannot be told any more
                reason = "the JSON breaks off or is wrong here, so nothing behind it is read"
                yield Read(number + 1, Fault(reason, buffer[:200]))
                return
            number, buffer = number + 1, buffer[end:]
            fault = Fault("it is no JSON object", str(value)[:200])
            yield Read(number, value if isinstance(value, dict) else fault)
            if not buffer:
                buffer = file.read(HEAD_BYTES)
                if not buffer:
                    return


def _csv(path: Path) -> Iterator[Read]:
    """A table with a heading; its delimiter is found in the first lines. Defused cells are restored."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    sample = _decoded(head, _encoding(head)).lstrip("\ufeff")
    try:
        dialect: Any = csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(LARGEST_RECORD)
    faults: list[Read] = []
    table = csv.reader(_texts(_lines(path), faults), delimiter=dialect.delimiter)
    heading = next(table, [])
    if len(heading) != len(set(heading)) or not any(name.strip() for name in heading):
        raise InputError("The table's first row is no heading: names are missing or there twice.", "Give it one.")
    while True:
        yield from faults
        faults.clear()
        try:
            cells = next(table, None)
        except csv.Error as error:
            yield Read(table.line_num, Fault(f"the row cannot be read: {error}"))
            continue
        if cells is None:
            yield from faults
            return
        if len(cells) != len(heading):
            if any(cells):
                reason = f"the row has {len(cells)} cells, and the heading {len(heading)}"
                yield Read(table.line_num, Fault(reason, dialect.delimiter.join(cells)[:200]))
            continue
        yield Read(table.line_num, {name: restore(cell) for name, cell in zip(heading, cells, strict=True)})


def _parquet(path: Path) -> Iterator[Read]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
            groups = range(file.metadata.num_row_groups)
            if large := [at for at in groups if file.metadata.row_group(at).total_byte_size > LARGEST_ROW_GROUP]:
                raise InputError(
                    f"Row group {large[0]} of the Parquet file unpacks to more than {LARGEST_ROW_GROUP >> 20} MB.",
                    "Write it with smaller row groups.",
                )
        # dictionaries stay dictionaries: one long text for a million rows is held once
        with pq.ParquetFile(path, memory_map=False, read_dictionary=texts) as file:
            line = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                for row in range(batch.num_rows):
                    line += 1
                    yield Read(line, _parquet_row(batch, row))
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"The Parquet file cannot be read: {first}", "Write it anew, and import it again.") from None


def _parquet_row(batch: Any, row: int) -> dict[str, Any] | Fault:
    import pyarrow as pa
    import pyarrow.compute as pc

    record = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        cell = column[row]
        if isinstance(column, pa.DictionaryArray):
            cell = cell.dictionary[cell.index.as_py()] if cell.is_valid else None
            if cell is not None and (pc.binary_length(cell).as_py() or 0) > LARGEST_RECORD:
                return Fault(f"{name} is larger than {LARGEST_RECORD >> 20} MB")
        record[name] = cell.as_py() if cell is not None else None
    return record


def _zip_members(path: Path, scratch: Path) -> Iterator[Read]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            members = [one for one in members if not one.filename.startswith("__MACOSX")]
            _check_members(members)
            offset = 0
            for member in members:
                with archive.open(member) as packed:
                    _unpack(packed, scratch, "a file in the archive")
                last = 0
                for read in _plain(scratch, container(scratch)):
                    last = read.line
                    yield Read(offset + read.line, read.record)
                offset += last
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise InputError(f"The zip archive cannot be read: {error}", "Pack it anew.") from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise InputError("The archive is empty.", "Choose another.")
    if len(members) > MOST_MEMBERS:
        raise InputError(
            f"The archive holds {len(members):,} files; {MOST_MEMBERS:,} are read at most.",
            "Join them, for example to one JSONL.",
        )
    if any(member.flag_bits & 1 for member in members):
        raise InputError("The archive is encrypted.", "Pack it without a password.")
    if (size := sum(member.file_size for member in members)) > LARGEST_UNPACKED:
        most = LARGEST_UNPACKED >> 20
        raise InputError(f"The archive unpacks to {size >> 20:,} MB, more than {most:,} MB.", "Split it.")


def _unpack(packed: IO[bytes], scratch: Path, what: str) -> None:
    """Unpack to one file of ours, whatever the archive says of its size."""
    total = 0
    try:
        with scratch.open("wb") as file:
            while chunk := packed.read(1 << 20):
                total += len(chunk)
                if total > LARGEST_UNPACKED:
                    most = LARGEST_UNPACKED >> 20
                    raise InputError(f"{what.capitalize()} unpacks to more than {most:,} MB.", "Split it.")
                file.write(chunk)
    except (gzip.BadGzipFile, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{what.capitalize()} cannot be unpacked: {error}.", "Pack it anew.") from None


def _lines(path: Path) -> Iterator[tuple[int, str | Fault]]:
    """Lines with their numbers; one that is too long is passed over a piece at a time."""
    with path.open("rb") as raw:
        encoding = _encoding(raw.read(HEAD_BYTES))
        raw.seek(0)
        file: Any = raw
        if encoding.startswith("utf-16"):
            file = codecs.EncodedFile(raw, "utf-8", encoding, "replace")
        number = 0
        while line := file.readline(LARGEST_RECORD + 1):
            number += 1
            if len(line) > LARGEST_RECORD and not line.endswith(b"\n"):
                head = line[:200].decode("utf-8", "replace")
                while (rest := file.readline(LARGEST_RECORD)) and not rest.endswith(b"\n"):
                    pass
                yield number, Fault(f"the line is longer than {LARGEST_RECORD >> 20} MB", head)
                continue
            text = _decoded(line, "utf-8")
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def _texts(lines: Iterator[tuple[int, str | Fault]], faults: list[Read]) -> Iterator[str]:
    """The lines that are texts; the faults of the others are put aside."""
    for number, line in lines:
        if isinstance(line, Fault):
            faults.append(Read(number, line))
        else:
            yield line.replace("\0", "\ufffd")


def _object(line: str) -> dict[str, Any] | Fault:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return Fault("it is no JSON", line[:200])
    return value if isinstance(value, dict) else Fault("it is no JSON object", line[:200])


def _encoding(head: bytes) -> str:
    """UTF-16 where its marks or its zero bytes show it, else UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = head[: len(head) // 2 * 2]
    if pairs and pairs[1::2].count(0) > len(pairs) // 3:
        return "utf-16-le"
    if pairs and pairs[::2].count(0) > len(pairs) // 3:
        return "utf-16-be"
    return "utf-8-sig"


def _decoded(data: bytes, encoding: str) -> str:
    """Text in its encoding; bytes that are no UTF-8 are Windows-1252, so that a file of several encodings is read."""
    if encoding.startswith("utf-16"):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(data) - 3 and len(data) == HEAD_BYTES:
            return data[: error.start].decode("utf-8", "replace")
        return data.decode("cp1252", "replace")
