"""What is made of bodies is kept for a while: as it would be made anew, and never more than there is room for."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from gateway.threads.bodies import SHARE, Bodies, Body, body_of, pack
from storage.messages import BodyType, Message
from storage.migrate import bring_up_to_date
from storage.transaction import Transaction
from tests.storage.scene import a_message, build

HTML = "<p>Kia ora <b>koutou</b><script>alert(1)</script></p><p>On 2 March 2026 Ann &lt;a@b.c&gt; wrote:</p><p>No</p>"


@pytest.fixture(scope="module")
def message() -> Message:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as tx:
        bring_up_to_date(tx)
        return replace(a_message(build(tx)), body_type=BodyType.HTML, body=HTML, new_text=None)


class Made:
    """Counts what was made."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, message: Message) -> Body:
        self.ids.append(message.id)
        return body_of(message)


def test_what_is_kept_is_what_was_made(message: Message) -> None:
    made = Made()
    bodies = Bodies(make=made)
    assert [bodies.of(message, 0), bodies.of(message, 0)] == [body_of(message)] * 2
    assert made.ids == ["msg_1"]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "msg_other"},
        {"body": HTML.replace("Kia ora", "Hi")},
        {"body_type": BodyType.TEXT},
        {"new_text": "Hello"},
        {"new_text": "Hello", "new_html": "<i>Hello</i>"},
    ],
)
def test_it_counts_for_the_very_words_it_was_made_of(message: Message, change: dict[str, str]) -> None:
    made = Made()
    bodies, other = Bodies(make=made), replace(message, **change)  # type: ignore[arg-type]
    bodies.of(message, 0)
    assert bodies.of(other, 0) == body_of(other)
    assert made.ids == ["msg_1", other.id]


def test_those_read_longest_ago_make_room(message: Message) -> None:
    made, size = Made(), len(pack(body_of(message)))
    bodies, many = Bodies(size * SHARE, made), [replace(message, id=f"msg_{number}") for number in range(SHARE + 1)]
    for one in many[:SHARE]:
        bodies.of(one, 0)
    bodies.of(many[0], 0)
    assert len(made.ids) == SHARE
    bodies.of(many[SHARE], 0)
    bodies.of(many[0], 0)
    bodies.of(many[1], 0)
    assert made.ids[SHARE:] == [f"msg_{SHARE}", "msg_1"]


def test_an_erasure_empties_it_and_the_room_is_there_again(message: Message) -> None:
    made, size = Made(), len(pack(body_of(message)))
    bodies, many = Bodies(size * SHARE, made), [replace(message, id=f"msg_{number}") for number in range(SHARE)]
    for last_erasure in (3, 4):
        for one in many:
            bodies.of(one, last_erasure)
        bodies.forget(last_erasure)
        assert len(bodies) == SHARE
    bodies.forget(5)
    assert len(bodies) == 0
    assert len(made.ids) == 2 * SHARE


def test_what_was_read_before_an_erasure_is_not_kept_after_it(message: Message) -> None:
    bodies = Bodies()
    for last_erasure, kept in ((4, 1), (5, 1), (4, 1)):
        bodies.of(replace(message, id=f"msg_before_{last_erasure}"), last_erasure)
        assert len(bodies) == kept


def test_what_is_made_while_an_erasure_is_noticed_is_not_kept(message: Message) -> None:
    def erased_meanwhile(message: Message) -> Body:
        bodies.forget(5)
        return body_of(message)

    bodies = Bodies(make=erased_meanwhile)
    assert bodies.of(message, 4) == body_of(message)
    assert len(bodies) == 0


def test_what_takes_much_of_the_room_is_not_kept(message: Message) -> None:
    made = Made()
    bodies = Bodies((len(pack(body_of(message))) - 1) * SHARE, made)
    assert bodies.of(message, 0) == bodies.of(message, 0)
    assert made.ids == ["msg_1"] * 2
