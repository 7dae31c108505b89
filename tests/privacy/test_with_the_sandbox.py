"""What was erased does not come back: not by the delta, nor by a look elsewhere, nor by the completeness check."""

import email
import io
import json
import zipfile
from datetime import timedelta

import pytest

from gateway.privacy.erasing import Eraser, Order
from gateway.privacy.exporting import Exporter
from gateway.threads.completeness import SETTLED_AFTER, CompletenessCheck, check_soon
from gateway.threads.linking import Linking
from storage import Conflict, completeness, folders, threads
from storage.audit import SYSTEM
from storage.messages import Message
from storage.threads import Object, ObjectType
from tests.threads.test_with_the_sandbox import ADMISSIONS, MAIA, Gateway, OneClient
from tests.threads.test_with_the_sandbox import behaviour as its_behaviour
from tests.threads.test_with_the_sandbox import gateway as its_gateway

gateway, behaviour = its_gateway, its_behaviour  # the fixtures
STUDENT = Object(type=ObjectType.STUDENT, id="S1002")
ORDER = Order(objects=(STUDENT,), reason="asked by the student")


async def a_conversation(gateway: Gateway) -> Message:
    letter = await gateway.send(MAIA)
    await gateway.store.write(threads.link, gateway.account_id, letter.thread_id, [STUDENT])
    assert len(await gateway.thread_of(letter)) >= 1
    return letter


async def erased(gateway: Gateway) -> None:
    await Eraser(gateway.store, gateway.clock).erase(gateway.account_id, ORDER, by=SYSTEM)
    assert await kept(gateway) == 0


async def kept(gateway: Gateway) -> int:
    return await gateway.store.read(lambda tx: int(tx.execute("SELECT count(*) FROM messages").fetchone()[0]))


async def look_everywhere(gateway: Gateway) -> completeness.Check:
    """All that could bring mail back: the folders from their beginning, a look elsewhere, and a whole check."""
    for mailbox_id in gateway.mailbox_ids.values():
        for folder in await gateway.store.read(folders.of_mailbox, mailbox_id):
            await gateway.store.write(folders.restart, folder.id, gateway.clock.now() - timedelta(days=30))
    await gateway.sweep()
    gateway.clock.advance(SETTLED_AFTER)
    await gateway.elsewhere.run_due()
    await gateway.store.write(check_soon, gateway.account_id, gateway.clock.now())
    await CompletenessCheck(gateway.store, OneClient(gateway.graph), gateway.clock).run_due()
    await gateway.sweep()
    return await gateway.store.read(completeness.of_mailbox, gateway.mailbox_ids[ADMISSIONS])


async def test_an_erased_thread_stays_away_although_its_mail_is_in_the_mailbox(gateway: Gateway) -> None:
    await a_conversation(gateway)
    await erased(gateway)
    check = await look_everywhere(gateway)
    assert await kept(gateway) == 0
    assert not check.missing
    assert MAIA.encode() not in gateway.bytes_on_disk()


async def test_a_conversation_that_another_thread_has_too_brings_only_what_is_new(gateway: Gateway) -> None:
    """The conversation becomes another thread's later, as a remembered one does: what was erased stays away."""
    letter = await a_conversation(gateway)
    conversation_id = letter.conversation_id
    await erased(gateway)
    other = await gateway.send("mere.kingi@student.example")
    before = {one.id for one in await gateway.stored()}
    await gateway.store.write(
        threads.add_conversation,
        gateway.account_id,
        other.thread_id,
        mailbox_id=gateway.mailbox_ids[ADMISSIONS],
        conversation_id=conversation_id or "",
        now=gateway.clock.now(),
    )
    check = await look_everywhere(gateway)
    assert {one.id for one in await gateway.stored()} == before
    assert not check.missing


async def test_staff_cannot_bring_an_erased_conversation_back(gateway: Gateway) -> None:
    letter = await a_conversation(gateway)
    await erased(gateway)
    linking = Linking(gateway.store, OneClient(gateway.graph), gateway.clock)
    with pytest.raises(Conflict, match="erased here"):
        await linking.link(gateway.account_id, ADMISSIONS, [STUDENT], conversation_id=letter.conversation_id)


async def test_a_new_letter_to_the_same_person_begins_anew(gateway: Gateway) -> None:
    await a_conversation(gateway)
    await erased(gateway)
    letter = await gateway.send(MAIA)
    (reply,) = await gateway.stored()
    assert reply.thread_id == letter.thread_id


async def test_an_export_has_the_letter_and_the_reply_as_the_mailbox_has_them(gateway: Gateway) -> None:
    letter = await a_conversation(gateway)
    exporter = Exporter(gateway.store, OneClient(gateway.graph), gateway.clock)
    content = b"".join([piece async for piece in exporter.export(gateway.account_id, STUDENT)])
    found = zipfile.ZipFile(io.BytesIO(content))
    told = json.loads(found.read("manifest.json"))["messages"]
    assert [one["from"] for one in told] == ["mailbox", "mailbox"]
    sent, reply = (email.message_from_bytes(found.read(one["file"])) for one in told)
    assert sent["message-id"] == letter.internet_message_id
    assert reply["in-reply-to"] == letter.internet_message_id
