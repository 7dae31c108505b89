"""When delivery was uncertain, and that a pull has passed it."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.alive import LONGEST_SILENCE, give_sign
from gateway.connections import NotConnected
from gateway.graph import Throttled, Unavailable
from storage import Transaction, events, gaps, subscriptions
from storage.gaps import Gap, Reason
from tests.threads.conftest import AROHA, SWEEP, School

MINUTE = timedelta(minutes=1)


async def open_gaps(school: School) -> list[Gap]:
    return await school.store.read(gaps.not_closed, [(await school.folder()).id])


async def told(school: School) -> list[dict[str, Any]]:
    """Of the first mailbox's Inbox."""
    found = await school.store.read(events.after, school.account_id, 0, limit=1000)
    gaps_closed = [event.data for event in found if event.type == "completeness.gap"]
    mailbox_id = (await school.folder()).mailbox_id
    return [data for data in gaps_closed if (data["mailbox_id"], data["folder"]) == (mailbox_id, "inbox")]


async def subscribe(school: School) -> None:
    """Something that could announce mail."""
    inbox = await school.folder()

    def work(tx: Transaction) -> None:
        subscriptions.add(
            tx,
            account_id=school.account_id,
            mailbox_id=inbox.mailbox_id,
            folder_id=inbox.id,
            client_state_digest=bytes(32),
            notification_url="https://mail.school.example/graph/notifications",
            next_step_at=school.clock.now(),
            now=school.clock.now(),
        )

    await school.store.write(work)


@pytest.mark.parametrize("trouble", [Unavailable(status=503), Throttled(status=429), NotConnected("Not connected.")])
async def test_a_folder_that_cannot_be_pulled_has_a_gap_until_it_is(school: School, trouble: Exception) -> None:
    await school.pull()
    school.mail.trouble = [trouble] * 4
    await school.sweep()
    (gap,) = await open_gaps(school)
    assert (gap.reason, gap.ended_at) == (Reason.PULL_FAILING, None)
    await school.sweep()
    assert await open_gaps(school) == []
    (event,) = await told(school)
    assert (event["reason"], event["lasted_s"], event["unannounced"]) == ("pull_failing", 600, 0)


async def test_a_dead_delta_link_is_a_gap_that_the_new_round_closes(school: School) -> None:
    await school.pull()
    school.mail.forget_tokens()
    await school.sweep()
    assert await open_gaps(school) == []
    (event,) = await told(school)
    assert (event["reason"], event["lasted_s"]) == ("delta_lost", 600)


async def test_a_gap_is_not_closed_by_a_round_that_had_begun_before_its_end(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.mail.page_size = 1
    for name in ("r1", "r2"):
        school.arrive(name, sender=AROHA, conversation=letter.conversation)
    await school.hint("r1")
    school.mail.trouble = [None, Unavailable(status=503)]
    await school.pull()
    assert (await school.folder()).round_began_at is not None
    school.clock.advance(MINUTE)
    await school.pull()
    (gap,) = await open_gaps(school)
    assert gap.ended_at == school.clock.now()
    assert (await school.folder()).round_began_at is None
    await school.sweep()
    assert await open_gaps(school) == []


async def test_old_mail_that_no_notification_announced_is_counted(school: School) -> None:
    letter = await school.write_to(AROHA)
    await subscribe(school)
    await school.pull()
    await note_gap(school)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.arrive("r2", sender=AROHA, conversation=letter.conversation)
    school.clock.advance(5 * MINUTE)
    await school.hint("r2")
    await school.pull()
    assert (await school.folder()).unannounced == 1
    assert [event["unannounced"] for event in await told(school)] == [1]
    found = await school.store.read(events.after, school.account_id, 0, limit=1000)
    (alarm,) = [event.data for event in found if event.type == "completeness.unannounced"]
    assert (alarm["folder"], alarm["mails"]) == ("inbox", 1)


async def note_gap(school: School) -> None:
    inbox, now = await school.folder(), school.clock.now()
    await school.store.write(gaps.note, inbox.id, Reason.NOTIFICATIONS_MISSED, began_at=now, ended_at=now)


async def test_mail_whose_notification_may_still_come_is_not_counted(school: School) -> None:
    letter = await school.write_to(AROHA)
    await subscribe(school)
    await school.pull()
    school.clock.advance(SWEEP)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    assert len(await school.stored()) == 1
    assert (await school.folder()).unannounced == 0


async def test_where_nothing_announces_mail_it_is_not_counted_as_unannounced(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    assert len(await school.stored()) == 1
    assert (await school.folder()).unannounced == 0


async def test_when_the_gateway_was_down_is_a_gap_from_its_last_sign_of_life(school: School) -> None:
    await school.pull()
    last_sign = school.clock.now()
    await school.store.write(give_sign, now=last_sign)
    school.clock.advance(timedelta(days=3))
    assert await school.store.write(give_sign, now=school.clock.now()) == 4
    (gap,) = await open_gaps(school)
    assert (gap.reason, gap.began_at, gap.ended_at) == (Reason.GATEWAY_DOWN, last_sign, school.clock.now())
    await school.pull()
    assert await open_gaps(school) == []
    assert [event["lasted_s"] for event in await told(school)] == [3 * 24 * 3600]


async def test_a_moments_silence_is_no_gap(school: School) -> None:
    await school.store.write(give_sign, now=school.clock.now())
    school.clock.advance(LONGEST_SILENCE)
    assert await school.store.write(give_sign, now=school.clock.now()) == 0


async def test_a_round_that_does_not_go_through_closes_nothing(school: School) -> None:
    await school.pull()
    await note_gap(school)
    school.mail.trouble = [Unavailable(status=503)] * 4
    await school.sweep()
    assert {gap.reason for gap in await open_gaps(school)} == {Reason.NOTIFICATIONS_MISSED, Reason.PULL_FAILING}
    await school.sweep()
    assert await open_gaps(school) == []
