"""The pace: bounds, one halving a generation, the way back, and no call before the server wants one."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.generator.pace import FIRST_LIMIT, ROUNDS_BEFORE_TRYING, Pace, Place


def used(pace: Pace) -> Pace:
    """The pace with every place taken, as under load."""
    pace._in_flight = pace.limit
    return pace


def rise(pace: Pace, successes: int) -> None:
    for _ in range(successes):
        used(pace).succeeded()


def turn_down(pace: Pace, retry_after_s: float | None = None) -> None:
    pace.overloaded(Place(pace._generation, pace.limit), retry_after_s)


def test_it_begins_low_and_reaches_the_most() -> None:
    pace = Pace(64)
    assert pace.limit == FIRST_LIMIT
    rise(pace, 60)
    assert pace.limit == 64
    rise(pace, 1000)
    assert pace.limit == 64


def test_a_fixed_pace_never_moves() -> None:
    pace = Pace(4, fixed=True)
    rise(pace, 100)
    turn_down(pace)
    assert pace.limit == 4


def test_unused_places_earn_nothing() -> None:
    pace = Pace(64)
    for _ in range(100):
        pace.succeeded()
    assert pace.limit == FIRST_LIMIT


def test_calls_sent_before_a_halving_do_not_halve_again() -> None:
    pace = Pace(64)
    rise(pace, 60)
    early = [Place(0, level) for level in range(40, 65)]
    for place in reversed(early):
        pace.overloaded(place, None)
    assert pace.limit == 32


def test_it_comes_back_quickly_to_just_under_what_failed_and_tries_one_more_rarely() -> None:
    pace = Pace(64)
    rise(pace, 20)  # 24 in flight go well
    pace.overloaded(Place(0, 24), None)
    assert pace.limit == 12
    rise(pace, 11)
    assert pace.limit == 23
    rise(pace, ROUNDS_BEFORE_TRYING * 23 - 11)
    assert pace.limit == 24


def test_nothing_goes_out_before_the_server_wants_it() -> None:
    async def held() -> tuple[bool, bool]:
        now = 0.0
        pace = Pace(4, clock=lambda: now)
        pace.overloaded(Place(0, 4), 7.0)
        waited = pace._wait_s()
        now = 7.1
        return waited is not None and waited > 6.9, pace._wait_s() is None

    assert asyncio.run(held()) == (True, True)


@given(st.integers(1, 200), st.lists(st.tuples(st.booleans(), st.integers(1, 200), st.none() | st.floats(0, 9))))
def test_the_limit_stays_between_one_and_the_most(most: int, replies: list) -> None:
    pace = Pace(most)
    for good, level, wait_s in replies:
        if good:
            used(pace).succeeded()
        else:
            pace.overloaded(Place(pace._generation, level), wait_s)
        assert 1 <= pace.limit <= most


def test_places_are_given_up_to_the_limit_and_given_back() -> None:
    async def run() -> tuple[int, int]:
        pace, most, inside = Pace(3), 0, 0

        async def call() -> None:
            nonlocal most, inside
            async with pace.slot():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(call() for _ in range(50)))
        return most, inside

    assert asyncio.run(run()) == (3, 0)
