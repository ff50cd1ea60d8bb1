"""SCHEMA.md says what a fresh store holds: no more, no less, with the types it really has."""

import re
from pathlib import Path

import pytest

import store as package
from store.database import Store

PAGE = Path(package.__file__).with_name("SCHEMA.md")
HEADING = re.compile(r"^## (\w+) \((table|view)\)$", re.MULTILINE)
ROW = re.compile(r"^\| (?!column \| type)(\w+) \| (\S[^|]*?) \| (\S.*?) \|$", re.MULTILINE)
COLUMNS = """
SELECT table_name, column_name, data_type FROM duckdb_columns()
WHERE NOT internal AND schema_name = 'main' ORDER BY table_name, column_index
"""
KINDS = """
SELECT table_name, 'table' FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT view_name, 'view' FROM duckdb_views() WHERE NOT internal
"""


def documented() -> tuple[dict[str, str], dict[str, list[tuple[str, str]]]]:
    """Kind, and (column, type) in order, of each thing that the page names."""
    _, *parts = HEADING.split(PAGE.read_text(encoding="utf-8"))
    names, kinds, bodies = parts[::3], parts[1::3], parts[2::3]
    rows = {name: [row[:2] for row in ROW.findall(body)] for name, body in zip(names, bodies, strict=True)}
    return dict(zip(names, kinds, strict=True)), rows


@pytest.fixture
def stored(store: Store) -> tuple[dict[str, str], dict[str, list[tuple[str, str]]]]:
    with store.cursor() as cursor:
        kinds = dict(cursor.execute(KINDS).fetchall())
        columns: dict[str, list[tuple[str, str]]] = {}
        for table, *column in cursor.execute(COLUMNS).fetchall():
            columns.setdefault(table, []).append(tuple(column))
    return kinds, columns


def test_the_page_names_every_table_and_view_and_nothing_else(stored):
    said, held = documented()[0], stored[0]
    missing = [f"{name} ({kind})" for name, kind in held.items() if said.get(name) != kind]
    gone = [f"{name} ({kind})" for name, kind in said.items() if held.get(name) != kind]
    assert not missing, f"SCHEMA.md lacks a section for: {', '.join(missing)}"
    assert not gone, f"SCHEMA.md has a section for what no store holds: {', '.join(gone)}"


def test_the_page_gives_every_column_its_type_and_a_meaning(stored):
    said, held = documented()[1], stored[1]
    faults: list[str] = []
    for table, columns in held.items():
        lines, real = said.get(table, []), [f"{table}.{name} {kind}" for name, kind in columns]
        written = [f"{table}.{name} {kind}" for name, kind in lines]
        faults += [f"add to SCHEMA.md: {one}" for one in real if one not in written]
        faults += [f"take out of SCHEMA.md: {one}" for one in written if one not in real]
        if not faults and written != real:
            faults.append(f"put in the order of the table: {table}")
    assert not faults, "\n".join(faults)


def test_every_line_of_a_column_has_a_type_and_a_meaning():
    tables = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    unread = [line for line in tables if not ROW.match(line) and line != "| column | type | meaning |"]
    assert not unread, f"not of the form | column | type | meaning |: {unread}"
