from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.curation.family import ancestors, descendants


@st.composite
def lineages(draw: st.DrawFn) -> list[dict]:
    """Each seed that was made has for parents some that were there before it."""
    made = draw(st.integers(0, 12))
    there, rows = ["a", "b", "c"], []
    for number in range(made):
        parents = draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
        rows.append({"seed_id": f"m-{number}", "candidate_id": f"{number}", "parents": parents})
        there.append(f"m-{number}")
    return rows


def reach(start: str, edges: list[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    front = {start}
    while front := {to for at, to in edges if at in front} - found:
        found |= front
    return found


@given(lineages())
def test_everybody_who_can_be_reached_is_told_once(rows: list[dict]) -> None:
    down = [(parent, row["seed_id"]) for row in rows for parent in row["parents"]]
    up = [(child, parent) for parent, child in down]
    for start in ("a", *(row["seed_id"] for row in rows)):
        for walk, edges in ((descendants, down), (ancestors, up)):
            members = walk(start, rows)
            first = [one.seed_id for one in members if not one.again]
            assert len(first) == len(set(first))
            assert set(first) == reach(start, edges)
            assert all(one.depth >= 1 for one in members)


@given(lineages())
def test_descent_is_the_same_from_both_ends(rows: list[dict]) -> None:
    for row in rows:
        for one in ancestors(row["seed_id"], rows):
            assert row["seed_id"] in {other.seed_id for other in descendants(one.seed_id, rows)}


def test_a_long_line_of_descent_is_no_matter() -> None:
    rows = [{"seed_id": f"m{n + 1}", "candidate_id": f"{n}", "parents": [f"m{n}"]} for n in range(5000)]
    assert descendants("m0", rows)[-1].depth == 5000
