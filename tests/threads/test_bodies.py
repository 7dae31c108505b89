"""What is made of bodies is kept for a while: as it would be made anew, and never more than there is room for."""

import sqlite3
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from typing import ClassVar, Self

import pytest

from gateway.threads.bodies import SHARE, Bodies, Body, pack
from gateway.threads.reading import InPage
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


@dataclass(frozen=True, slots=True)
class Counted(Body):
    """Says of which messages one was made."""

    made_of: ClassVar[list[str]] = []

    @classmethod
    def of(cls, message: Message) -> Self:
        cls.made_of.append(message.id)
        return cls(*astuple(Body.of(message)))


@pytest.fixture
def made_of() -> list[str]:
    Counted.made_of.clear()
    return Counted.made_of


def test_what_is_kept_is_what_was_made(message: Message, made_of: list[str]) -> None:
    bodies = Bodies()
    first, second = bodies.of(Counted, message, 0), bodies.of(Counted, message, 0)
    assert made_of == ["msg_1"]
    assert first == second == Counted.of(message)


def test_each_kind_is_kept_by_itself(message: Message) -> None:
    bodies = Bodies()
    for _ in range(2):
        assert bodies.of(Body, message, 0) == Body.of(message)
        assert bodies.of(InPage, message, 0) == InPage.of(message)
    assert len(bodies) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"id": "msg_other"},
        {"body": HTML.replace("Kia ora", "Hi")},
        {"body_type": BodyType.TEXT},
        {"new_text": "Hello"},
        {"new_text": "Hello", "new_html": "<i>Hello</i>"},
        {"preview": "Hello"},
    ],
)
def test_it_counts_for_the_very_words_it_was_made_of(
    message: Message, made_of: list[str], change: dict[str, str]
) -> None:
    bodies, other = Bodies(), replace(message, **change)  # type: ignore[arg-type]
    bodies.of(Counted, message, 0)
    found = bodies.of(Counted, other, 0)
    assert made_of == ["msg_1", other.id]
    assert found == Counted.of(other)


def some(count: int, message: Message) -> tuple[Bodies, list[Message]]:
    """So many messages, and room for `SHARE` of them."""
    room = len(pack(Body.of(message))) * SHARE
    return Bodies(room), [replace(message, id=f"msg_{number}") for number in range(count)]


def test_those_read_longest_ago_make_room(message: Message, made_of: list[str]) -> None:
    bodies, many = some(SHARE + 1, message)
    for one in [*many[:SHARE], many[0]]:
        bodies.of(Counted, one, 0)
    assert len(made_of) == SHARE
    for one in (many[SHARE], many[0], many[1]):
        bodies.of(Counted, one, 0)
    assert made_of[SHARE:] == [f"msg_{SHARE}", "msg_1"]


def test_an_erasure_empties_it_and_the_room_is_there_again(message: Message) -> None:
    bodies, many = some(SHARE, message)
    for last_erasure in (3, 4):
        for one in many:
            bodies.of(Body, one, last_erasure)
        bodies.forget(last_erasure)
        assert len(bodies) == SHARE
    bodies.forget(5)
    assert len(bodies) == 0


def test_what_was_read_before_an_erasure_is_not_kept_after_it(message: Message) -> None:
    bodies = Bodies()
    for last_erasure, kept in ((4, 1), (5, 1), (4, 1)):
        bodies.of(Body, replace(message, id=f"msg_before_{last_erasure}"), last_erasure)
        assert len(bodies) == kept


def test_what_is_made_while_an_erasure_is_noticed_is_not_kept(message: Message) -> None:
    class ErasedMeanwhile(Counted):
        @classmethod
        def of(cls, message: Message) -> Self:
            bodies.forget(5)
            return super().of(message)

    bodies = Bodies()
    assert bodies.of(ErasedMeanwhile, message, 4).text == Body.of(message).text
    assert len(bodies) == 0


def test_what_takes_much_of_the_room_is_not_kept(message: Message, made_of: list[str]) -> None:
    bodies = Bodies((len(pack(Body.of(message))) - 1) * SHARE)
    assert bodies.of(Counted, message, 0) == bodies.of(Counted, message, 0)
    assert made_of == ["msg_1"] * 2
