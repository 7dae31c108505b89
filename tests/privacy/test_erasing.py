"""Erasure: all of it goes, nothing of others', it can be proved, and it does not come back."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import storage
from gateway.main import gateway
from gateway.privacy import proof
from gateway.privacy.erasing import Eraser, Order, carry_out
from gateway.privacy.retention import Retention
from gateway.settings import Settings
from gateway.threads.bodies import Bodies
from storage import (
    Conflict,
    Store,
    Transaction,
    api_keys,
    erasures,
    feeds,
    messages,
    persons,
    privacy,
    retention,
    round_trips,
    threads,
)
from storage.api_keys import Scope
from storage.audit import SYSTEM, Actor
from storage.ids import before_ids, new_id
from storage.threads import Object, ObjectType
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.privacy.scene import ADDRESS, CANARIES, OTHER, PARENT, STUDENT, School, build, by
from tests.storage import scene as rows
from tests.storage.scene import a_message

ORDER = Order(objects=(STUDENT,), reason="asked by the student")
PERSON = Order(address=ADDRESS.upper(), reason="asked by the person")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def school(store: Store) -> School:
    return await store.write(build)


@pytest.fixture
async def actor(store: Store, school: School) -> Actor:
    return await store.write(by, school)


@pytest.fixture
def eraser(store: Store) -> Eraser:
    return Eraser(store, FakeClock())


# Words of the student's that the search index has, and that nothing else ends like.
INDEXED = (ADDRESS, "canarysubject", "canarynewtext", "canarysearchtext", "canaryfile")
ENDINGS = tuple(proof.endings_of(INDEXED))


def hits(store: Store, words: tuple[str, ...] = CANARIES) -> list[str]:
    return sorted(words[number] for number in proof.search(store.files, words).hits)


def test_every_table_says_whether_it_has_something_of_people(tmp_path: Path) -> None:
    """A new table belongs into `PARTS`, so that it is exported and erased, or into `OTHER_TABLES` with the reason."""

    async def tables() -> set[str]:
        async with storage.open_store(tmp_path / "gateway.db") as store:
            return await store.read(
                lambda tx: {row["name"] for row in tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            )

    known = {*privacy.PARTS, *privacy.OTHER_TABLES}
    found = {name for name in asyncio.run(tables()) if not name.startswith(("sqlite_", "search_"))}
    assert found | {"search_backlogs"} == known


async def test_the_search_finds_every_canary_before_the_erasure(store: Store, school: School) -> None:
    assert hits(store) == sorted(CANARIES)
    assert {"archtext", "yaddress"} <= set(ENDINGS)


async def test_nothing_is_left_in_the_file_its_log_or_the_index(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    receipt = await eraser.erase(school.account_id, ORDER, by=actor)
    assert hits(store) == [ADDRESS]  # she takes part in the thread of two
    await eraser.erase(school.account_id, PERSON, by=actor)
    assert hits(store) == []
    assert hits(store, ENDINGS) == []
    assert receipt.purged_at is not None
    assert receipt.proof is not None
    assert (receipt.proof["left"], receipt.proof["left_in_index"]) == (0, 0)
    assert receipt.proof["searched_for_in_index"] >= 3
    assert receipt.proof["searched_for"] >= 5


def all_bodies() -> list[Bodies]:
    """Those of this process, other tests' too."""
    return [one for one in gc.get_objects() if isinstance(one, Bodies)]


async def test_what_the_gateway_has_read_of_it_is_in_its_memory_no_longer_whoever_erased_it(tmp_path: Path) -> None:
    value = api_keys.new_value()

    def threads_of_some(tx: Transaction) -> rows.Scene:
        scene = rows.build(tx, "A school")
        api_keys.create(tx, scene.account_id, name="reader", scopes=frozenset({Scope.READ}), value=value, now=A_MONDAY)
        for name in ("a", "b", "c", "kept"):
            what = [Object(type=ObjectType.STUDENT, id=name)]
            thread = threads.create(tx, scene.account_id, scene.mailbox_id, subject=name, now=A_MONDAY)
            threads.link(tx, scene.account_id, thread, what)
            messages.insert(tx, a_message(scene, f"msg_{name}", thread_id=thread))
            ids[name] = thread
        return scene

    ids = dict[str, str]()
    database, before = tmp_path / "gateway.db", {id(one) for one in all_bodies()}
    async with gateway(Settings(database=database)) as running, storage.open_store(database, alone=False) as elsewhere:
        school = await running.store.write(threads_of_some)
        [bodies] = [one for one in all_bodies() if id(one) not in before]
        way = httpx.ASGITransport(running.app)
        reader = httpx.AsyncClient(transport=way, base_url="http://gateway.example")
        reader.headers["authorization"] = f"Bearer {value}"

        async def read(name: str) -> None:
            assert len((await reader.get(f"/v1/threads/{ids[name]}")).json()["messages"]) == 1

        async def erase(name: str, eraser: Eraser) -> None:
            order = Order(objects=(Object(type=ObjectType.STUDENT, id=name),), reason="asked by the student")
            await eraser.erase(school.account_id, order, by=SYSTEM)

        other = Eraser(elsewhere, running.clock)
        async with reader:
            await read("a")
            assert len(bodies) == 1
            await erase("a", running.privacy.eraser)
            assert len(bodies) == 0

            await read("b")
            await erase("b", other)
            await read("kept")
            assert len(bodies) == 1

            await read("c")
            assert len(bodies) == 2
            await erase("c", other)
            await running.privacy.retention.run_due()  # nobody reads any more
            assert len(bodies) == 0

            await read("kept")
            await running.store.write(lambda tx: tx.execute("UPDATE threads SET last_message_at = 0"))
            await running.store.write(retention.set_rules, school.account_id, {"threads": 1})
            assert await Retention(elsewhere, other, running.clock).forget(school.account_id)
            await running.privacy.retention.run_due()
            assert len(bodies) == 0


async def test_nothing_is_left_while_others_write_all_the_time(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    done = asyncio.Event()

    async def write_on(number: int) -> None:
        count = 0
        while not done.is_set():
            count += 1
            await store.write(_another_mail, school, f"msg_{number}_{count}")
            if count % 7 == 0:
                await store.read(feeds.of_thread, school.kept["thread_id"])

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(write_on(number))
        await eraser.erase(school.account_id, ORDER, by=actor)
        receipt = await eraser.erase(school.account_id, PERSON, by=actor)
        left = hits(store, (*CANARIES, *ENDINGS))
        done.set()
    assert left == []
    assert receipt.proof is not None
    assert receipt.proof["left"] == 0
    assert await store.read(_integrity) == "ok"


async def test_the_receipt_counts_what_went_and_says_nothing_of_it(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    receipt = await eraser.erase(school.account_id, ORDER, by=actor)
    rows = receipt.removed["rows"]
    assert (rows["threads"], rows["messages"], rows["outbox"], rows["files"], rows["acts"]) == (1, 3, 1, 1, 1)
    assert (rows["batches"], rows["idempotency_keys"], rows["hints"], rows["missing_mail"]) == (1, 1, 1, 1)
    assert receipt.removed["threads"] == [school.thread_id]
    assert receipt.removed["unlinked_threads"] == [school.shared_id]
    assert (receipt.done_by, receipt.reason) == ("Jane Doe", "asked by the student")
    told = str(receipt)
    assert not [one for one in CANARIES if one in told]
    assert await store.read(erasures.newest, school.account_id, limit=5) == [receipt]


async def test_a_dry_run_says_the_same_and_changes_nothing(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    planned = await eraser.preview(school.account_id, ORDER)
    assert hits(store) == sorted(CANARIES)
    receipt = await eraser.erase(school.account_id, ORDER, by=actor)
    assert planned.as_removed() == receipt.removed
    assert (await eraser.preview(school.account_id, ORDER)).is_empty


async def test_a_thread_that_somebody_else_has_too_only_loses_its_link(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    await eraser.erase(school.account_id, ORDER, by=actor)
    assert await store.read(threads.objects_of, school.shared_id) == [OTHER]
    both = Order(objects=(STUDENT, OTHER), reason="both have left")
    await eraser.erase(school.account_id, both, by=actor)
    assert await store.read(lambda tx: tx.execute("SELECT count(*) FROM messages").fetchone()[0]) == 0


ENROLMENT = Object(type=ObjectType.ENROLMENT, id="E77")
CONTACT = Object(type=ObjectType.CONTACT, id="C5")


@pytest.mark.parametrize(
    ("erased", "other", "goes"),
    [
        (STUDENT, ENROLMENT, True),
        (STUDENT, CONTACT, False),
        (CONTACT, STUDENT, False),
        (ENROLMENT, STUDENT, False),
        (ENROLMENT, Object(type=ObjectType.INTAKE, id="I1"), False),
    ],
    ids=["student, of an enrolment", "student, of a contact", "contact", "enrolment, of a student", "of an intake"],
)
async def test_who_else_keeps_a_thread(store: Store, school: School, erased: Object, other: Object, goes: bool) -> None:
    """An enrolment, an intake, a class are nobody: they keep a thread only from one another."""
    thread_id = school.base.thread_id
    await store.write(lambda tx: tx.execute("DELETE FROM thread_objects WHERE thread_id = ?", (thread_id,)))
    await store.write(threads.link, school.account_id, thread_id, [erased, other])
    found = await store.read(privacy.about, school.account_id, [erased])
    assert (thread_id in found.alone, thread_id in found.shared) == (goes, not goes)


async def test_of_a_person_goes_what_they_wrote_and_their_address_in_the_mail_of_others(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    receipt = await eraser.erase(school.account_id, PERSON, by=actor)
    assert receipt.removed["threads"] == [school.thread_id]
    assert receipt.removed["edited_messages"] == ["msg_shared"]
    shared = await store.read(messages.get, school.account_id, "msg_shared")
    assert [one.address for one in shared.recipients.to] == [PARENT, persons.ERASED]
    assert ADDRESS not in shared.body.lower()
    assert "[erased]" in shared.body
    assert [one.address for one in await store.read(threads.participants, school.shared_id)] == [PARENT]
    assert await store.read(_found, school, "shirts") == 2
    assert await store.read(_found, school, "canaryaddress") == 0


async def test_round_trips_go_with_their_thread_and_others_forget_the_address(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    await store.write(_round_trip, school, "msg_kept")
    receipt = await eraser.erase(school.account_id, PERSON, by=actor)
    assert receipt.removed["rows"]["round_trips"] == 1
    assert await store.read(_recipients) == [persons.ERASED]


def _round_trip(tx: Transaction, school: School, message_id: str) -> None:
    round_trips.insert(
        tx,
        account_id=school.account_id,
        mailbox_id=school.base.mailbox_id,
        message_id=message_id,
        kind=round_trips.Kind.ASKED,
        recipient=ADDRESS,
        is_live=False,
        late_at=A_MONDAY,
        ends_at=A_MONDAY,
        now=A_MONDAY,
    )


def _recipients(tx: Transaction) -> list[str]:
    return [row["recipient"] for row in tx.execute("SELECT recipient FROM round_trips")]


async def test_what_comes_between_the_look_and_the_transaction_goes_too(store: Store, school: School) -> None:
    """The look through all text is beside the work; the transaction looks through what came since, and no more."""
    since = before_ids("msg", A_MONDAY)
    seen = await store.read(persons.look_for, school.account_id, ADDRESS)
    new = new_id("msg", A_MONDAY)
    await store.write(_another_mail, school, new, text=f"from {ADDRESS.upper()}")
    await store.write(lambda tx: tx.execute("DELETE FROM messages WHERE id = 'msg_held'"))
    late = await store.read(persons.look_for, school.account_id, ADDRESS, before=seen, since=since)
    whole = await store.read(persons.look_for, school.account_id, ADDRESS)
    assert (sorted(late.named), sorted(late.written)) == (sorted(whole.named), sorted(whole.written))
    assert set(late.named) - set(seen.named) == {new}
    assert set(seen.written) - set(late.written) == {"msg_held"}


@pytest.mark.parametrize("state", ["accepted", "unknown", "needs_review"])
async def test_a_letter_on_its_way_is_not_pulled_from_under_the_outbox(
    store: Store, school: School, eraser: Eraser, actor: Actor, state: str
) -> None:
    due = None if state == "needs_review" else 1
    await store.write(
        lambda tx: tx.execute(
            "UPDATE outbox SET state = ?, next_attempt_at = ?, sent_at = NULL, problem = '{}'", (state, due)
        )
    )
    with pytest.raises(Conflict, match=r"cancel or close them first.*msg_letter"):
        await eraser.erase(school.account_id, ORDER, by=actor)
    assert hits(store) == sorted(CANARIES)


async def test_the_schools_own_address_is_nobodys_to_erase(school: School, eraser: Eraser, actor: Actor) -> None:
    own = Order(address="Office@school.example", reason="by mistake")
    with pytest.raises(Conflict, match="mailbox of the school's own"):
        await eraser.erase(school.account_id, own, by=actor)


async def test_a_reason_that_would_keep_the_address_is_refused(school: School, eraser: Eraser, actor: Actor) -> None:
    with pytest.raises(Conflict, match="reason names the address"):
        await eraser.erase(school.account_id, Order(address=ADDRESS, reason=f"{ADDRESS} asked"), by=actor)


async def test_a_crash_between_removing_and_purging_is_made_up_for(store: Store, school: School, actor: Actor) -> None:
    removed = await store.write(carry_out, school.account_id, ORDER, by=actor, now=A_MONDAY)
    assert await store.read(erasures.not_purged) == removed.id
    again = Eraser(store, FakeClock())
    assert await again.purge_due()
    assert not await again.purge_due()
    assert set(hits(store)) <= {ADDRESS}
    receipt = await store.read(erasures.get, school.account_id, removed.id)
    assert (receipt.proof, receipt.purged_at is None) == (None, False)


async def test_the_search_of_the_file_tells_when_something_was_left(
    store: Store, school: School, eraser: Eraser, actor: Actor
) -> None:
    """A copy in a place that no statement knows of."""
    await store.write(lambda tx: tx.execute("CREATE TABLE forgotten (text TEXT)"))
    await store.write(lambda tx: tx.execute("INSERT INTO forgotten VALUES (?)", (ADDRESS,)))
    receipt = await eraser.erase(school.account_id, PERSON, by=actor)
    assert receipt.proof is not None
    assert receipt.proof["left"] == 1


@pytest.mark.parametrize("form", range(8))
def test_words_are_found_in_every_spelling(tmp_path: Path, form: int) -> None:
    word = "Ngāti canary-õ 1234"
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1001 + proof.spellings(word)[form] + b"y" * 77)
    assert proof.search([file], ["something else", word]).hits == {1: ["file"]}


def test_a_word_on_the_edge_of_two_pieces_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for before in range(1, 12):
        file.write_bytes(bytes(proof.PIECE - before) + b"canary-word!" + bytes(9))
        assert proof.search([file], ["canary-word!"]).hits == {0: ["file"]}


def _another_mail(tx: Transaction, school: School, message_id: str, *, text: str = "Shirts and socks") -> None:
    body = f"{text} {message_id} " * 20
    messages.insert(tx, a_message(school.base, message_id, thread_id=school.kept["thread_id"], body=body), text=body)


def _integrity(tx: Transaction) -> str:
    return str(tx.execute("PRAGMA integrity_check").fetchone()[0])


def _found(tx: Transaction, school: School, word: str) -> int:
    question = "SELECT count(*) FROM search WHERE search MATCH ?"
    return int(tx.execute(question, (f'"{word}"',)).fetchone()[0])
