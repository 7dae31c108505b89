"""The lots of a run are the same for the same seed, and cover what they are to cover."""

from collections import Counter
from typing import Any

from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.faults import Fault
from tests.fire.rounds import FAULTS, LONGEST_LIFE_S, SHORTEST_LIFE_S, rounds

A_RUN = list(rounds(seed=1, letters=2000, kills=500))


def test_the_same_seed_gives_the_same_run() -> None:
    assert list(rounds(seed=1, letters=2000, kills=500)) == A_RUN
    assert list(rounds(seed=2, letters=2000, kills=500)) != A_RUN


def test_every_letter_is_posted_in_the_life_of_some_gateway() -> None:
    assert sum(len(one.letters) for one in A_RUN) == 2000
    assert all(0 <= moment <= one.life_s for one in A_RUN for moment in one.letters)
    assert sum(len(one.letters) for one in rounds(seed=1, letters=10, kills=3)) == 10


def test_kills_are_spread_over_the_whole_life_and_over_the_start() -> None:
    lives = [one.life_s for one in A_RUN if not one.in_start]
    assert all(SHORTEST_LIFE_S <= life <= LONGEST_LIFE_S for life in lives)
    for below, share in ((0.02, 0.08), (0.1, 0.2), (0.5, 0.45), (1.0, 0.7)):
        assert sum(life < below for life in lives) > share * len(lives)
    assert 25 < len(A_RUN) - len(lives) < 80


def test_every_fault_strikes_in_some_round_and_the_sandbox_knows_them_all() -> None:
    drawn = [fault for one in A_RUN for fault in one.faults]
    assert {kind(fault) for fault in drawn} == {kind(fault) for fault in FAULTS}
    assert all(Fault.from_json(fault).match for fault in drawn)
    assert all(hasattr(Behaviour(), name) for one in A_RUN for name in one.behaviour)
    assert Counter(bool(one.faults) for one in A_RUN)[False] > 80


def kind(fault: Any) -> tuple[object, ...]:
    """What a fault is, without its lot."""
    return tuple(fault.get(name) for name in ("match", "effect", "status", "reset"))
