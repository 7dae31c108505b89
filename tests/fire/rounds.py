"""The lots of a run: when the gateway dies, when letters come, and what goes wrong at Microsoft 365. Pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SHORTEST_LIFE_S: Final = 0.005
LONGEST_LIFE_S: Final = 1.5
LONGEST_START_S: Final = 1.2  # about what a start takes, so that these kills fall on all its parts
KILLED_IN_START: Final = 0.1  # the share of kills that do not wait until the gateway is ready
CALM: Final = 0.25  # the share of rounds in which Microsoft 365 does as it should
# The long ones are longer than a gateway waits that sends again in hope: they would show it.
SENT_COPY_DELAYS_S: Final = (0.0, 0.5, 10.0, 20.0, 20.0)

SEND: Final = "^POST /v1.0/users/[^/]+/messages/[^/]+/send$"
DRAFT: Final = "^POST /v1.0/users/[^/]+/messages$"
READ: Final = "^GET /v1.0/users/[^/]+/messages"
SOON: Final = {"Retry-After": "1"}
BUSY: Final = {"status": 503, "code": "ServiceUnavailable", "headers": SOON}
THROTTLED: Final = {"status": 429, "code": "ApplicationThrottled", "headers": SOON}
LOST: Final = {"effect": "after", "status": 504, "code": "UnknownError"}
CUT: Final = {"effect": "after", "reset": True}
FAULTS: Final[Sequence[Mapping[str, Any]]] = (
    *2 * ({"match": SEND, **LOST}, {"match": SEND, **CUT}),  # what tempts most to send again
    {"match": SEND, **BUSY},
    {"match": SEND, **THROTTLED},
    {"match": SEND, "effect": "after", "headers": SOON},  # 202 with Retry-After: it is sent all the same
    {"match": DRAFT, **LOST},
    {"match": DRAFT, **CUT},
    {"match": DRAFT, **BUSY},
    {"match": DRAFT, **THROTTLED},
    {"match": READ, **BUSY},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One life of the gateway: it ends `life_s` after it was ready, or after it was started (`in_start`).

    `letters` are posted at these moments of that life, in seconds. `faults` and `behaviour` are in the words of the
    sandbox's admin routes.
    """

    number: int
    in_start: bool
    life_s: float
    letters: Sequence[float]
    faults: Sequence[Mapping[str, Any]]
    behaviour: Mapping[str, Any]


def rounds(*, seed: int, letters: int, kills: int) -> Iterator[Round]:
    """All lives that end with a kill. The letters are spread evenly over them."""
    for number in range(kills):
        share = letters * (number + 1) // kills - letters * number // kills
        yield draw(random.Random(f"{seed}/{number}"), number, share)


def draw(chance: random.Random, number: int, letters: int) -> Round:
    """One round, from its own source of chance: so a round is the same whatever became of those before."""
    in_start = chance.random() < KILLED_IN_START
    life_s = chance.uniform(0, LONGEST_START_S) if in_start else _life_s(chance)
    return Round(
        number=number,
        in_start=in_start,
        life_s=life_s,
        letters=sorted(chance.uniform(0, life_s) for _ in range(letters)),
        faults=[] if chance.random() < CALM else [_fault(chance) for _ in range(chance.randint(1, 3))],
        behaviour={
            "sent_copy_delay": chance.choice(SENT_COPY_DELAYS_S),
            "immutable_ids_survive_send": chance.random() < 0.5,
            "internet_message_id_survives_send": chance.random() < 0.5,
            "draft_visible_while_sending": chance.random() < 0.7,
        },
    )


def _life_s(chance: random.Random) -> float:
    """Half of all lives are of any length alike, half of any order of magnitude: the first moments matter as much."""
    if chance.random() < 0.5:
        return chance.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S)
    return float(SHORTEST_LIFE_S * (LONGEST_LIFE_S / SHORTEST_LIFE_S) ** chance.random())


def _fault(chance: random.Random) -> Mapping[str, Any]:
    return {**chance.choice(FAULTS), "skip": chance.randint(0, 1), "times": chance.randint(1, 4)}
