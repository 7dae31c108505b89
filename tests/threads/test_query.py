"""What people type into a search box."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.threads.query import parse
from gateway.threads.search import AT_ONCE, Piece, ask, pieces, search
from storage import messages, search_index, threads
from storage import search as index
from storage.entering import enter
from storage.messages import Attachment
from storage.migrate import bring_up_to_date
from storage.questions import MARK, Field, Question, Term
from storage.search import HIT_BEGINS, HIT_ENDS, MANY_HITS, Seen
from storage.search_index import LATEST
from storage.threads import Address
from storage.transaction import Transaction
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import Scene, a_message, build

SAID = (
    "Kia ora Whaea Ngāti, the change of address for O'Brien (S1001) is done. "
    "学生の入学手続き สวัสดีครับ 🎓 Ünïcode straße naïve"
)


@pytest.fixture(scope="module")
def tx() -> Iterator[Transaction]:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as connection:
        bring_up_to_date(connection)
        yield connection


@pytest.fixture(scope="module")
def scene(tx: Transaction) -> Scene:
    scene = build(tx)
    offer = Attachment(
        id=None, name="Offer_2027.pdf", content_type="application/pdf", size=1, is_inline=False, content_id=None
    )
    message = a_message(
        scene,
        subject="Enrolment of Aroha",
        sender=Address(name="Tāne Mahuta", address="tane.mahuta@student.example"),
        new_text=SAID,
        attachments=(offer,),
    )
    messages.insert(tx, message)
    enter(tx)
    return scene


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("  \t", ()),
        ("fee visa", (Term(text="fee"), Term(text="visa"))),
        ('"change of address"', (Term(text="change of address"),)),
        ('"never closed', (Term(text="never closed"),)),
        ("“typographic” quotes", (Term(text="typographic"), Term(text="quotes"))),
        ("enrol*", (Term(text="enrol", beginning=True),)),
        ("en*", (Term(text="en"),)),
        ("-refund", (Term(text="refund", excluded=True),)),
        ('-"two words"', (Term(text="two words", excluded=True),)),
        ("subject:offer", (Term(text="offer", field=Field.SUBJECT),)),
        ('FROM:"Jane Doe"', (Term(text="Jane Doe", field=Field.FROM),)),
        ("AND ( ) * - : ^ 🎓", (Term(text="AND"),)),
        ("a\x00b", (Term(text="a"), Term(text="b"))),
        (f"{MARK}aacc", (Term(text="aacc"),)),
        ("入学", (Term(text="入学", beginning=True),)),
    ],
)
def test_a_text_is_read_kindly(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text) == terms


@pytest.mark.parametrize(
    "text",
    [
        "kia",
        "KIA ORA",
        "ngati",
        "Ngāti",
        "ngāti whaea",
        '"change of address"',
        "change address",
        "chang*",
        "o'brien",
        "(s1001)",
        "学生",
        "学生の入学手続き",
        "สวัสดี",
        "unicode naive",
        "aroha enrolment",
        "subject:aroha",
        "tane.mahuta@student.example",
        "mahuta",
        "from:tane",
        "to:aroha@student.example",
        "attachments:offer",
        "offer_2027.pdf",
        "kia 🎓",
        "kia -refund",
        'jane "doe',
    ],
)
def test_this_is_found(tx: Transaction, scene: Scene, text: str) -> None:
    [found] = search(tx, scene.account_id, ask(text), limit=5).threads
    assert [match.message_id for match in found.matches] == ["msg_1"]
    assert any(piece.hit for place in found.matches[0].places for piece in place.pieces)


@pytest.mark.parametrize(
    "text",
    [
        "visa",
        "kia visa",
        '"address of change"',
        "hange",
        "kia -ora",
        'kia -"change of"',
        "subject:kia",
        "from:aroha",
        "🎓",
        "入学",  # within a run of characters
        f"{MARK}out",
        "AND",
        "-visa visa",
    ],
)
def test_this_is_not(tx: Transaction, scene: Scene, text: str) -> None:
    assert not search(tx, scene.account_id, ask(text), limit=5).threads


@given(text=st.text(max_size=60) | st.text(alphabet='"*-:()^{}+ abāNEAR\x00\ue000\ue001🎓入', max_size=40))
def test_any_text_is_taken(tx: Transaction, scene: Scene, text: str) -> None:
    question = ask(text)
    assert len(question.terms) <= 16
    search(tx, scene.account_id, question, limit=2)


@given(
    terms=st.lists(
        st.builds(
            Term,
            text=st.text(max_size=8),
            field=st.none() | st.sampled_from(Field),
            beginning=st.booleans(),
            excluded=st.booleans(),
        ),
        max_size=4,
    )
)
def test_any_term_is_taken_by_the_index(tx: Transaction, scene: Scene, terms: list[Term]) -> None:
    question = Question(terms=tuple(terms))
    found = index.candidates(tx, scene.account_id, question, None, before=None, limit=5)
    for few in (True, False):
        seen = found.threads | {"thr_unknown": Seen(numbers=[], first=0, last=LATEST)}
        index.matches(tx, scene.account_id, question, None, seen, before=None, ended_at=None, few=few)
        index.matches(tx, scene.account_id, question, None, seen, before=1, ended_at=1, few=few)


def test_hits_are_marked_in_the_words_of_the_mail(tx: Transaction, scene: Scene) -> None:
    [found] = search(tx, scene.account_id, ask("ngati tane"), limit=5).threads
    places = {place.field: place.pieces for place in found.matches[0].places}
    assert [piece.text for piece in places[Field.TEXT] if piece.hit] == ["Ngāti"]
    assert [piece.text for piece in places[Field.FROM] if piece.hit] == ["Tāne", "tane"]
    assert "".join(piece.text for piece in places[Field.TEXT]).startswith("Kia ora Whaea Ngāti, the change")


marked = st.text(alphabet=f"ab<&{HIT_BEGINS}{HIT_ENDS}", max_size=20)


@given(text=marked)
def test_pieces_put_together_are_the_text(text: str) -> None:
    found = pieces(text)
    assert "".join(one.text for one in found) == text.replace(HIT_BEGINS, "").replace(HIT_ENDS, "")
    assert all(one.text for one in found)


def test_pieces_tell_hits_from_the_rest() -> None:
    text = f"a {HIT_BEGINS}b{HIT_ENDS} c"
    assert pieces(text) == [Piece(text="a ", hit=False), Piece(text="b", hit=True), Piece(text=" c", hit=False)]


def test_what_was_deleted_leaves_nothing_behind_once_purged() -> None:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as own:
        bring_up_to_date(own)
        scene = build(own)
        for number in range(3):
            messages.insert(
                own,
                a_message(
                    scene, f"msg_{number}", new_text=f"xyzzy{number}", message_at=A_MONDAY + timedelta(days=number)
                ),
            )
        enter(own)
        own.execute("DELETE FROM messages WHERE id = 'msg_1'")
        assert not search(own, scene.account_id, ask("xyzzy1"), limit=5).threads
        search_index.purge(own, pages=1)
        while search_index.merge(own, pages=1):
            pass
        own.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, search, row)")
        assert [row["term"] for row in own.execute("SELECT term FROM words WHERE term LIKE 'xyzzy%'")] == [
            "xyzzy0",
            "xyzzy2",
        ]
        assert own.execute("SELECT count(*) FROM searched").fetchone()[0] == 2


def test_a_thread_with_very_many_hits_does_not_hide_the_one_of_another() -> None:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as own:
        bring_up_to_date(own)
        scene = build(own)
        other = threads.create(own, scene.account_id, scene.mailbox_id, subject="Your visa", now=A_MONDAY)
        own.execute("BEGIN")
        messages.insert(own, a_message(scene, "msg_other", thread_id=other, new_text="xyzzy"))
        for number in range(MANY_HITS):
            at = A_MONDAY + timedelta(minutes=1 + number)
            messages.insert(own, a_message(scene, f"msg_{number:03}", new_text="xyzzy", message_at=at))
        enter(own)
        first = search(own, scene.account_id, ask("xyzzy"), limit=1)
        [thread] = first.threads
        assert [one.message_id for one in thread.matches] == [f"msg_{MANY_HITS - 1 - number}" for number in range(3)]
        second = search(own, scene.account_id, ask("xyzzy"), first.next, limit=1)
        assert [one.id for one in second.threads] == [other]
        both = {one: Seen(numbers=[], first=0, last=LATEST) for one in (scene.thread_id, other)}
        found = index.matches(own, scene.account_id, ask("xyzzy"), None, both, before=1, ended_at=1, few=True)
        assert {one: len(hits) for one, hits in found.items()} == {scene.thread_id: 3, other: 1}


def test_a_hit_far_from_the_newest_one_of_its_thread_is_told_of_too() -> None:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as own:
        bring_up_to_date(own)
        scene = build(own)
        own.execute("BEGIN")
        messages.insert(own, a_message(scene, "msg_first", new_text="xyzzy", message_at=A_MONDAY))
        for number in range(AT_ONCE + 1):
            at = A_MONDAY + timedelta(days=10, minutes=number)
            other = threads.create(own, scene.account_id, scene.mailbox_id, subject="Your visa", now=at)
            messages.insert(own, a_message(scene, f"msg_{number}", thread_id=other, new_text="xyzzy", message_at=at))
        messages.insert(own, a_message(scene, "msg_last", new_text="xyzzy", message_at=A_MONDAY + timedelta(days=20)))
        enter(own)
        [newest, *_] = search(own, scene.account_id, ask("xyzzy"), limit=3).threads
        assert [one.message_id for one in newest.matches] == ["msg_last", "msg_first"]
