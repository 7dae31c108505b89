"""A recipient who answers automatically gets twenty letters within an hour; the next waits, and people see why."""

import logging
from datetime import timedelta

import pytest

from gateway.http.pages.waiting_view import read_waiting, read_way
from gateway.sending import choices, machine
from gateway.sending.loops import IN_A_ROW
from storage import answerers, outbox
from storage.threads import Address
from tests.sending.conftest import Office, a_letter
from tests.sending.test_machine import NOW, letter

AROHA = "aroha@student.example"
TANE = "tane@student.example"
MOST_LETTERS = 20
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def answers_by_machine(office: Office, times: int = IN_A_ROW, *, address: str = "Aroha@Student.example") -> None:
    for _ in range(times):
        await office.store.write(answerers.answered_by_machine, office.account_id, address, now=office.clock.now())


async def post_many(office: Office, letters: int = MOST_LETTERS) -> list[str]:
    """Letters to Aroha, a minute apart."""
    posted = []
    for _ in range(letters):
        posted.append(await office.post())
        await office.pass_time(MINUTE)
    return posted


async def code_of(office: Office, message_id: str) -> str | None:
    return ((await office.letter(message_id)).problem or {}).get("code")


async def test_the_letter_that_is_one_too_many_waits_as_a_draft_until_the_hour_has_passed(office: Office) -> None:
    await answers_by_machine(office)
    first, *_ = await post_many(office)
    one_more = await office.post()
    await office.worker.run_due()
    assert office.mail.called("send_draft") == MOST_LETTERS
    assert (await office.state(one_more), await code_of(office, one_more)) == ("drafted", "loop")
    waiting = await office.letter(one_more)
    assert waiting.next_attempt_at == (await office.letter(first)).submitted_at + HOUR  # type: ignore[operator]
    await office.pass_time(HOUR - (MOST_LETTERS + 1) * MINUTE)
    assert await office.state(one_more) == "drafted"
    await office.pass_time(2 * MINUTE, steps=2)
    assert await office.state(one_more) in ("submitted", "sent")
    assert await code_of(office, one_more) is None


async def test_others_are_not_touched(office: Office) -> None:
    await answers_by_machine(office)
    await post_many(office)
    held = await office.post()
    other = await office.post(a_letter(to=(Address(name=None, address=TANE),)))
    await office.worker.run_due()
    assert [await office.state(one) for one in (held, other)] == ["drafted", "submitted"]


async def test_one_recipient_among_several_is_enough(office: Office) -> None:
    await answers_by_machine(office)
    await post_many(office)
    both = a_letter(to=(Address(name=None, address=TANE),), bcc=(Address(name=None, address=AROHA),))
    message_id = await office.post(both)
    await office.worker.run_due()
    assert await code_of(office, message_id) == "loop"


@pytest.mark.parametrize("times", [0, 2], ids=["people", "a holiday or two"])
async def test_who_does_not_always_answer_by_machine_gets_every_letter(office: Office, times: int) -> None:
    await answers_by_machine(office, times)
    await post_many(office, MOST_LETTERS + 2)
    assert office.mail.called("send_draft") == MOST_LETTERS + 2


async def test_a_person_who_writes_ends_it(office: Office) -> None:
    await answers_by_machine(office)
    await post_many(office)
    await office.store.write(answerers.answered_in_person, office.account_id, AROHA)
    message_id = await office.post()
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"


async def test_letters_of_before_the_first_automatic_answer_count_too(office: Office) -> None:
    await post_many(office)
    await answers_by_machine(office)
    message_id = await office.post()
    await office.worker.run_due()
    assert await code_of(office, message_id) == "loop"


async def test_a_person_may_let_it_go_and_the_next_waits_all_the_same(office: Office) -> None:
    await answers_by_machine(office)
    await post_many(office)
    held = [await office.post(), await office.post()]
    await office.worker.run_due()
    await office.store.write(choices.retry, office.account_id, held[0], now=office.clock.now())
    await office.worker.run_due()
    assert [await office.state(one) for one in held] == ["submitted", "drafted"]


async def test_it_can_be_cancelled(office: Office) -> None:
    await answers_by_machine(office)
    await post_many(office)
    held = await office.post()
    await office.worker.run_due()
    await office.store.write(choices.cancel, office.account_id, held, now=office.clock.now())
    assert await office.state(held) == "cancelled"


async def test_people_and_selma_are_told_once(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    await answers_by_machine(office)
    await post_many(office)
    held = [await office.post(), await office.post()]
    with caplog.at_level(logging.WARNING):
        await office.worker.run_due()
    assert sum("answers automatically" in one.message for one in caplog.records) == 2
    assert AROHA not in caplog.text
    now = office.clock.now()
    waiting = await office.store.read(read_waiting, office.account_id, now=now)
    assert {one.id for one in waiting.letters if one.is_held} == set(held)
    assert "answers automatically" in waiting.letters[0].reason.explanation
    way = await office.store.read(read_way, office.account_id, now=now)
    assert "2 letters are held" in [one.title for one in way.obstacles]
    assert await office.store.read(outbox.drafted_with_problem, office.account_id, machine.LOOP) == 2
    await office.pass_time(HOUR - (MOST_LETTERS + 1) * MINUTE)
    await office.pass_time(MINUTE)
    assert (await office.told()).count("message.held") == 2


async def test_departures_are_forgotten_when_they_matter_no_more(office: Office) -> None:
    await post_many(office, 2)
    forgotten = await office.store.write(answerers.forget, office.account_id, before=office.clock.now() + MINUTE)
    assert forgotten == 2


def test_only_a_held_draft_is_let_go() -> None:
    held = machine.held_back(letter(machine.State.DRAFTED), NOW + HOUR, machine.LOOP)
    assert machine.is_held(held)
    released = machine.retry(held, NOW)
    assert (released.state, released.next_attempt_at, machine.is_released(released)) == ("drafted", NOW, True)
    assert not machine.is_held(machine.held_back(letter(machine.State.DRAFTED), NOW + HOUR))
