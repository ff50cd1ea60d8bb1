"""Vectors, places, what the map draws of a run, and the lineage of one task."""

from __future__ import annotations

import numpy as np

from store import decisions, lineage, map_view, maps, seeds
from store.database import Store
from tests.pages.builder import SEEDS, explored
from tests.story import Story


def test_vectors_come_back_as_they_went_in_and_the_first_stays(store: Store) -> None:
    vectors = np.eye(3, 5, dtype=np.float32)
    store.write(maps.add_vectors, ["seed:a", "candidate:b", "seed:c"], vectors, "m")
    store.write(maps.add_vectors, ["seed:a"], vectors[1:2], "m")
    subjects, found = store.read(maps.vectors, ["seed:c", "seed:a", "seed:gone"])
    assert {name: found[at].tolist() for at, name in enumerate(subjects)} == {
        "seed:a": vectors[0].tolist(),
        "seed:c": vectors[2].tolist(),
    }
    assert store.read(maps.anchors, 2)[0] == sorted(("seed:a", "seed:c"), key=store.read(maps.anchors, 3)[0].index)
    assert store.read(maps.vectors, [])[1].shape == (0, 0)


def test_the_map_draws_every_task_of_a_run_with_what_became_of_it(store: Store) -> None:
    explored(store)
    other = Story("r2")
    other.begin(store, SEEDS[:2])
    frame = store.read(map_view.frame, "r1")
    assert len(frame) == len(SEEDS) + 3 * (48 + 2), "with two seeds promoted a window"
    assert frame["subject"].is_unique
    counts = frame["status"].value_counts()
    assert (counts["kept"], counts["dropped"], counts["seed"], counts["former seed"]) == (90, 54, 24, 6)
    batched = frame[frame["step"].notna()]
    assert sorted(batched["step"].unique()) == list(range(1, 13))
    assert set(batched["loss"]) == {1.0}
    assert set(store.read(map_view.frame, "r2")["kind"]) == {"seed"}

    mark = store.read(map_view.mark, "r1")
    assert store.read(map_view.mark, "r1") == mark
    dropped = frame[frame["status"] == "dropped"]["ident"].tolist()
    kept = frame[frame["status"] == "kept"]["ident"].tolist()
    assert store.write(decisions.decide_candidates, [dropped[0], kept[0], "gone"], "rescue", "ann") == 1
    assert store.write(decisions.decide_candidates, kept[:2], "reject", "ann") == 2
    assert store.read(map_view.mark, "r1") != mark
    status = store.read(map_view.frame, "r1").set_index("ident")["status"]
    assert (status[dropped[0]], status[kept[0]], status[kept[1]], status[kept[2]]) == (
        "rescued",
        "rejected",
        "rejected",
        "kept",
    )
    store.write(decisions.decide_candidates, kept[:1], "undo", "ann")
    assert store.read(map_view.frame, "r1").set_index("ident")["status"][kept[0]] == "kept"


def test_a_candidate_used_as_a_seed_is_in_the_library_and_says_where_it_came_from(store: Store) -> None:
    story = explored(store, windows=1)
    ident = f"{story.run_id}-0-0"
    store.write(decisions.decide_candidates, [ident], "use_as_seed", "ann")
    made = {seed.seed_id: seed for seed in store.read(seeds.library)}[f"m-{ident}"]
    assert made.parent_ids == (ident,)


def test_a_lineage_leads_from_the_seeds_to_the_step(store: Store) -> None:
    explored(store)
    found = store.read(lineage.record, "r1", "candidate:r1-0-0")
    assert [seed["ident"] for seed in found["seeds"]] == list(SEEDS[:3])
    assert found["call"]["call_index"] == 0
    assert (found["verdict"], found["step"], found["loss"], found["grad_norm"]) == ("kept", 1, 1.0, 1.0)
    dropped = store.read(lineage.record, "r1", "candidate:r1-0-2")
    assert (dropped["reason"], dropped["nearest"]["ident"], dropped["step"]) == ("similar", SEEDS[0], None)
    seed = store.read(lineage.record, "r1", f"seed:{SEEDS[0]}")
    assert (seed["made"], seed["kept"], len(seed["children_subjects"])) == (144, 90, 90)
    unused = store.read(lineage.record, "r1", f"seed:{SEEDS[9]}")
    assert (unused["made"], unused["kept"]) == (0, 0)
    for nothing in ("candidate:gone", "seed:gone", "nonsense", ""):
        assert store.read(lineage.record, "r1", nothing) is None
    assert store.read(lineage.record, "r2", "candidate:r1-0-0") is None
