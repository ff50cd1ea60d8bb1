"""Agreement: hand-computed values, what must not matter, and where there is no number."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedi_engine.curation import agreement as of
from sedi_engine.curation.agreement import ALPHA, FEWEST_ITEMS, KAPPA, ONE_LABEL, PERCENT, agreement, pairs

KINDS = ("accept", "reject", "edit")


def rows(columns: dict[str, str]) -> list[tuple[str, str, str]]:
    """Columns of letters, one an item: a accept, r reject, e edit, . nothing."""
    kinds = {"a": "accept", "r": "reject", "e": "edit"}
    items = max(map(len, columns.values()))
    return [
        (f"candidate:{at}", who, kinds[said[at]])
        for at in range(items)
        for who, said in columns.items()
        if said[at] != "."
    ]


def by_measure(found) -> dict[str, of.Estimate]:
    return {one.measure: one for one in found.estimates}


def test_kappa_of_a_textbook_table() -> None:
    """20 both yes, 5 yes and no, 10 no and yes, 15 both no: observed 0.7, expected 0.5, κ 0.4."""
    found = agreement(rows({"ada": "a" * 25 + "r" * 25, "bo": "a" * 20 + "r" * 5 + "a" * 10 + "r" * 15}))
    told = by_measure(found)
    assert (found.items, found.annotators) == (50, ("ada", "bo"))
    assert told[PERCENT].value == pytest.approx(0.7)
    assert told[KAPPA].value == pytest.approx(0.4)
    assert told[KAPPA].low < 0.4 < told[KAPPA].high


def test_alpha_of_krippendorffs_example_with_holes() -> None:
    """Four coders, twelve units, five values, holes: nominal α 0.743 (Krippendorff, Computing Alpha-Reliability)."""
    coders = {"A": "123321412...", "B": "1233224125.3", "C": ".3332342251.", "D": "12332441251."}
    made = [(f"{at}", who, said[at]) for at in range(12) for who, said in coders.items() if said[at] != "."]
    assert by_measure(agreement(made))[ALPHA].value == pytest.approx(0.743, abs=5e-4)


SAID = st.lists(st.lists(st.sampled_from([*KINDS, None]), min_size=3, max_size=3), min_size=FEWEST_ITEMS, max_size=25)


@settings(max_examples=20, deadline=None)
@given(SAID, st.integers(2, 3), st.randoms(use_true_random=False))
def test_names_and_the_order_of_labels_do_not_matter(said, people: int, chance: random.Random) -> None:
    made = [
        (f"{at}", f"p{who}", kind) for at, item in enumerate(said) for who, kind in enumerate(item[:people]) if kind
    ]
    names = [f"p{who}" for who in range(people)]
    new = dict(zip(names, chance.sample(["zoe", "ann", "kim"], people), strict=True))
    renamed = [(subject, new[who], kind) for subject, who, kind in made]
    one, other = (agreement(each, resamples=10) for each in (made, renamed))
    assert one.estimates == other.estimates
    assert [new[who] for who in one.annotators] == list(other.annotators)
    swap = dict(zip(KINDS, chance.sample(KINDS, 3), strict=True))
    swapped = agreement([(subject, who, swap[kind]) for subject, who, kind in made], resamples=10)
    for before, after in zip(one.estimates, swapped.estimates, strict=True):
        assert (before.value is None) == (after.value is None)
        if before.value is not None:
            assert after.value == pytest.approx(before.value)


@settings(max_examples=20, deadline=None)
@given(SAID)
def test_values_are_in_range_and_inside_nothing_that_they_cannot_be(said) -> None:
    made = [(f"{at}", f"p{who}", kind) for at, item in enumerate(said) for who, kind in enumerate(item) if kind]
    for one in (agreement(made, resamples=10), *pairs(made, resamples=10)):
        assert one.items <= len(said)
        for estimate in one.estimates:
            assert (estimate.value is None) <= (estimate.note is not None)
            if estimate.value is not None:
                assert (0 if estimate.measure == PERCENT else -1) - 1e-9 <= estimate.value <= 1 + 1e-9
            if estimate.low is not None:
                assert estimate.low <= estimate.high


@settings(max_examples=30, deadline=None)
@given(SAID, st.integers(2, 3))
def test_the_closed_forms_of_the_intervals_are_what_the_libraries_say(said, people: int) -> None:
    ways = [tuple(item[:people]) for item in said if sum(kind is not None for kind in item[:people]) > 1]
    kinds = sorted({kind for way in ways for kind in way if kind})
    if len(kinds) < 2:
        return
    measures = (of._PERCENT, of._KAPPA if people == 2 else of._ALPHA)
    for measure in measures:
        (value,) = measure.of_draws(ways, kinds, np.ones((1, len(ways)), dtype=np.int64))
        assert value == pytest.approx(measure.value(ways, kinds))


def test_only_what_two_people_decided_counts_and_the_last_word_stands() -> None:
    made = [*rows({"ada": "ar" * 6, "bo": "ar" * 6}), ("alone", "cy", "edit"), ("candidate:0", "bo", "reject")]
    found = agreement(made)
    assert found.annotators == ("ada", "bo")
    assert found.items == 12
    assert by_measure(found)[PERCENT].value == pytest.approx(11 / 12)


def test_there_is_no_number_where_there_is_nothing_to_say() -> None:
    few = by_measure(agreement(rows({"ada": "ar" * 4, "bo": "ar" * 4})))
    assert few[KAPPA].value is None and "needs 10 items" in few[KAPPA].note and "there are 8" in few[KAPPA].note
    for people in (("ada", "bo"), ("ada", "bo", "cy")):
        told = agreement(rows(dict.fromkeys(people, "a" * 20))).estimates
        assert (told[0].value, told[1].value, told[1].note) == (1.0, None, ONE_LABEL)
    assert agreement(rows({"ada": "a" * 20})).estimates == ()
    assert agreement([]).annotators == ()
    rare = by_measure(agreement(rows({"ada": "a" * 19 + "r", "bo": "a" * 20})))[KAPPA]
    assert rare.value == 0 and rare.low is None and rare.note.startswith("no interval")


def test_every_two_people_are_compared_on_what_both_decided() -> None:
    found = pairs(rows({"ada": "ar" * 10, "bo": "ar" * 10, "cy": "ra" * 5 + "." * 10}))
    told = {one.annotators: (one.items, by_measure(one)[KAPPA].value) for one in found}
    assert told == {("ada", "bo"): (20, 1.0), ("ada", "cy"): (10, -1.0), ("bo", "cy"): (10, -1.0)}
