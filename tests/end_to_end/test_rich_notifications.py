"""Rich notifications from the sandbox's Inbox to the thread: what they save, and that they cost no reply."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from storage import api_keys, feeds, messages
from storage.api_keys import Scope
from storage.messages import BodyType, Message
from storage.threads import Address
from tests.fire.one_clock import Site, site

ADMISSIONS = "admissions@school.example"
MAIA = "maia.parata@student.example"
MARK = "wharenui-7719"  # in every unrelated mail, and nowhere else
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[Site]:
    """Watched richly, with nothing left to do."""
    async with site(tmp_path, seed=7, rich=True) as school:
        school.sandbox.world.correspondents.change(MAIA, is_silent=True)
        await settled(school)
        yield school


async def settled(school: Site) -> None:
    for _ in range(3):
        await school.step(SECOND)


async def watching(school: Site) -> Any:
    """`GET /v1/subscriptions`, what concerns the Inbox of admissions."""
    built = school.gateway
    value = api_keys.new_value()
    now = school.clock.now()
    scopes = frozenset({Scope.SETTINGS, Scope.METRICS})
    await built.store.write(api_keys.create, school.account_id, name="admin", scopes=scopes, value=value, now=now)
    headers = {"authorization": f"Bearer {value}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(built.app), base_url="http://gateway.test", headers=headers
    ) as api:
        told = (await api.get("/v1/subscriptions")).json()
        metrics = (await api.get("/metrics")).text
    of_inbox = [one for one in told["items"] if (one["mailbox"], one["folder"]) == (ADMISSIONS, "inbox")]
    (folder,) = [one for one in told["folders"] if (one["mailbox"], one["folder"]) == (ADMISSIONS, "inbox")]
    return {
        "rich": [one["rich"] for one in of_inbox if one["state"] == "live"],
        "states": sorted(one["state"] for one in of_inbox),
        "because": folder["plain_because"],
        "metrics": metrics,
    }


async def a_letter(school: Site) -> Message:
    """One to Maia, recognised in Sent Items."""
    letter = NewLetter(
        sender=ADMISSIONS,
        to=(Address(name=None, address=MAIA),),
        subject="Your enrolment",
        body_type=BodyType.HTML,
        body="<p>Kia ora</p>",
    )
    store = school.gateway.store
    accepted = await store.write(accept, school.account_id, letter, idempotency_key=None, now=school.clock.now())
    await settled(school)
    return await store.read(messages.get, school.account_id, accepted.message_id)


async def replies(school: Site, letter: Message) -> list[Message]:
    thread = await school.gateway.store.read(feeds.of_thread, letter.thread_id)
    return [one for one in thread if one.id != letter.id]


async def open_hints(school: Site) -> int:
    def count(tx: Any) -> int:
        return int(tx.execute("SELECT count(*) FROM hints WHERE closed_at IS NULL").fetchone()[0])

    return await school.gateway.store.read(count)


def strangers_write(school: Site, number: int) -> None:
    school.sandbox.world.deliver(
        ADMISSIONS, from_=f"stranger-{MARK}@elsewhere.example", subject=f"{MARK} {number}", html=f"<p>{MARK}</p>"
    )


async def calls_for_strangers(school: Site, mails: int) -> int:
    """Calls of the gateway to Microsoft 365 for so many mails, which come a second after each other."""
    before = school.to_graph.calls
    for number in range(mails):
        strangers_write(school, number)
        await school.step(SECOND)
    return school.to_graph.calls - before


async def test_mail_of_strangers_is_not_fetched_and_the_sweep_does_not_ask_for_its_headers(school: Site) -> None:
    await calls_for_strangers(school, 1)  # the keys of Entra are fetched once a day
    assert await calls_for_strangers(school, 20) == 0
    assert await open_hints(school) == 0
    assert 'selma_gateway_rich_notifications_total{outcome="not_ours"} 21.0' in (await watching(school))["metrics"]
    school.to_graph.routes.clear()
    await school.step(10 * MINUTE)
    assert school.to_graph.routes["delta"] > 0
    assert "$batch" not in school.to_graph.routes
    files = [file.read_bytes() for file in school.database.parent.iterdir()]
    assert not any(MARK.encode() in content for content in files)


async def test_plain_notifications_cost_at_least_a_call_each(tmp_path: Path) -> None:
    async with site(tmp_path, seed=7) as school:
        await settled(school)
        assert await calls_for_strangers(school, 20) >= 20


async def test_a_reply_among_strangers_stands_in_its_thread(school: Site) -> None:
    letter = await a_letter(school)
    for number in range(5):
        strangers_write(school, number)
    school.sandbox.world.deliver(
        ADMISSIONS, from_=MAIA, subject="Re: Your enrolment", text="So happy", conversation_id=letter.conversation_id
    )
    await settled(school)
    assert [one.new_text for one in await replies(school, letter)] == ["So happy"]
    assert await open_hints(school) == 0


async def test_a_reply_that_only_its_headers_tie_to_the_letter_is_not_taken_for_a_strangers(school: Site) -> None:
    letter = await a_letter(school)
    school.sandbox.world.deliver(
        ADMISSIONS, from_=MAIA, subject="Something else", text="And?", references=[letter.internet_message_id or ""]
    )
    await settled(school)
    (reply,) = await replies(school, letter)
    assert reply.conversation_id != letter.conversation_id


async def test_a_mail_whose_conversation_becomes_ours_is_found_though_it_was_passed_over(school: Site) -> None:
    letter = await a_letter(school)
    conversation = school.sandbox.world.deliver(ADMISSIONS, from_=MAIA, subject="Another thing", text="First")
    await settled(school)
    assert await replies(school, letter) == []
    school.sandbox.world.deliver(
        ADMISSIONS,
        from_=MAIA,
        subject="Re: Another thing",
        text="Second",
        references=[letter.internet_message_id or ""],
        conversation_id=conversation.conversation_id,
    )
    await settled(school)
    assert sorted(one.new_text or "" for one in await replies(school, letter)) == ["First", "Second"]


async def test_a_crash_after_the_202_loses_nothing(school: Site) -> None:
    letter = await a_letter(school)
    school.sandbox.world.deliver(
        ADMISSIONS, from_=MAIA, subject="Re: Your enrolment", text="So happy", conversation_id=letter.conversation_id
    )
    await school.sandbox.settle()
    assert await open_hints(school) == 1
    await school.stop()
    await school.start()
    await school.step(SECOND)
    await school.step(MINUTE)
    assert [one.new_text for one in await replies(school, letter)] == ["So happy"]
    assert await open_hints(school) == 0


async def test_what_cannot_be_proven_is_a_hint_and_after_a_while_notifications_are_plain(school: Site) -> None:
    assert (await watching(school))["rich"] == [True]
    letter = await a_letter(school)
    school.sandbox.world.behaviour = replace(school.sandbox.world.behaviour, validation_tokens=False)
    for minute in range(16):
        school.sandbox.world.deliver(
            ADMISSIONS,
            from_=MAIA,
            subject="Re: Your enrolment",
            text=f"{minute}",
            conversation_id=letter.conversation_id,
        )
        await school.step(MINUTE)
        assert len(await replies(school, letter)) == minute + 1, "it came at once all the same"
    await settled(school)
    told = await watching(school)
    assert told["rich"] == [False]
    assert "without validationTokens" in told["because"]
    school.sandbox.world.behaviour = Behaviour.at_once()
    await school.step(DAY + MINUTE)
    await settled(school)
    told = await watching(school)
    assert (told["rich"], told["because"]) == ([True], None)


async def test_switched_off_and_on_again_it_goes_on_without_a_gap(school: Site) -> None:
    letter = await a_letter(school)
    for rich in (False, True):
        school.rich = rich
        await school.stop()
        await school.start()
        await settled(school)
        assert (await watching(school))["rich"] == [rich]
        before = len(await replies(school, letter))
        school.sandbox.world.deliver(
            ADMISSIONS, from_=MAIA, subject="Re: Your enrolment", text="Aue", conversation_id=letter.conversation_id
        )
        await settled(school)
        assert len(await replies(school, letter)) == before + 1


async def test_a_certificate_is_replaced_by_a_renewal_and_mail_goes_on_coming(school: Site) -> None:
    def age(tx: Any) -> None:
        tx.execute("UPDATE encryption_certificates SET created_at = created_at - :by", {"by": 100 * 86_400 * 10**6})

    await school.gateway.store.write(age)
    await school.step(timedelta(hours=12))
    await settled(school)
    await calls_for_strangers(school, 1)
    assert await calls_for_strangers(school, 3) == 0
    assert (await watching(school))["states"] == ["live"]
