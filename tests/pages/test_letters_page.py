"""The letters page, by somebody without script: what waits and why, and what a person decides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.http.pages.waiting_view import why_it_waits
from gateway.sending import budget
from gateway.sending.accept import accept_batch
from gateway.sending.posted import NewLetter
from gateway.sending.reasons import problem
from gateway.setup.account import AccountConfiguration
from storage import Transaction, accounts, mailboxes, outbox
from storage.accounts import TokenState
from storage.api_keys import Scope
from storage.mailboxes import Mailbox
from storage.messages import BodyType
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNPROVED, Scene
from tests.pages.desk import AROHA, STUDENT, Desk, letter

PAGE = "/settings/letters"
MINUTE = timedelta(minutes=1)
HOSTILE = '"><script>alert(1)</script>'
REFUSED = {"code": "secret_expired", "aadsts": 7000222, "explanation": "It has expired.", "cure": "Add a new one."}


@pytest.fixture(autouse=True)
async def connected(scene: Scene) -> None:
    """The school is connected, as a page about its letters would find it."""
    configuration = AccountConfiguration(
        tenant_id=TENANT,
        client_id=CLIENT,
        client_secret="Zx9~correct-horse-battery-staple-0123456789",
        secret_expires_at=None,
        cloud="global",
        time_zone="UTC",
    )
    await scene.setup.configure_account(scene.account_id, configuration)


async def mailbox(scene: Scene, address: str = MAILBOX) -> Mailbox:
    return await scene.store.read(mailboxes.get_by_address, scene.account_id, address)


async def changed(scene: Scene, message_id: str, **changes: Any) -> None:
    def change(tx: Transaction) -> None:
        outbox.save(tx, replace(outbox.get(tx, scene.account_id, message_id), **changes))

    await scene.store.write(change)


async def ended(scene: Scene, message_id: str, state: str, reason: str, **more: Any) -> None:
    why = problem(reason, **more)
    await changed(scene, message_id, state=state, submits=1, next_attempt_at=None, problem=why)


async def batch(scene: Scene, count: int, *, name: str | None = "Offers 2027", account_id: str | None = None) -> str:
    letters: Sequence[NewLetter] = [
        NewLetter(
            sender=MAILBOX,
            to=(AROHA,),
            subject=f"Offer {number}",
            body_type=BodyType.TEXT,
            body="Kia ora",
            objects=(STUDENT,),
        )
        for number in range(count)
    ]
    taken = await scene.store.write(
        accept_batch,
        account_id or scene.account_id,
        letters,
        name=name,
        created_by="Jane Doe",
        idempotency_key=None,
        now=scene.clock.now(),
    )
    return taken.batch_id


async def state_of(scene: Scene, message_id: str) -> str:
    return (await scene.store.read(outbox.get, scene.account_id, message_id)).state


async def test_a_quiet_outbox_says_that_letters_are_flowing(desk: Desk) -> None:
    page = (await desk.open(PAGE)).text
    for sentence in (
        "Letters are flowing.",
        "No letters were posted as a batch yet.",
        "No letter waits for a decision.",
        "No letter has failed.",
        "Nothing is under way.",
    ):
        assert sentence in page
    assert '<a href="/settings/letters" aria-current="page">Letters</a>' in page


async def test_an_account_without_a_token_says_why_until_when_and_the_cure(desk: Desk, scene: Scene) -> None:
    await scene.store.write(
        accounts.record_token, scene.account_id, TokenState.REFUSED, problem=REFUSED, now=scene.clock.now()
    )
    await scene.store.write(accounts.pause_outbox, scene.account_id, scene.clock.now() + MINUTE)
    part = (await desk.open(f"{PAGE}/way")).text
    assert "The outbox is paused" in part
    assert "It has expired. (AADSTS7000222) Add a new one." in part
    assert '<time datetime="2026-03-02T09:01:00Z"' in part
    assert "flowing" not in part


async def test_a_refused_credential_stands_in_the_way_before_any_letter_has_met_it(desk: Desk, scene: Scene) -> None:
    await scene.store.write(
        accounts.record_token, scene.account_id, TokenState.REFUSED, problem=REFUSED, now=scene.clock.now()
    )
    part = (await desk.open(f"{PAGE}/way")).text
    assert "Microsoft 365 does not let the gateway in" in part
    assert "flowing" not in part


async def test_what_is_not_set_up_yet_is_not_called_flowing(desk: Desk, scene: Scene) -> None:
    other = await scene.store.write(accounts.add, "New school", now=scene.clock.now())
    await desk.sign_in(account_id=other.id)
    assert "This account is not connected to Microsoft 365 yet." in (await desk.open(PAGE)).text
    assert "No mailbox is validated yet." in desk.text
    assert "flowing" not in desk.text


async def test_a_paused_mailbox_says_what_its_letters_met(desk: Desk, scene: Scene) -> None:
    until, box = scene.clock.now() + 5 * MINUTE, await mailbox(scene)
    uncertain, refused = await letter(scene), await letter(scene)
    await changed(scene, uncertain, problem=problem("interrupted"), next_attempt_at=scene.clock.now())
    await changed(scene, refused, problem=problem("access"), next_attempt_at=until)
    await scene.store.write(mailboxes.pause, box.id, until)
    part = (await desk.open(f"{PAGE}/way")).text
    assert f"{MAILBOX} is paused" in part
    assert "The app may not use this mailbox. Check the app&#39;s permissions" in part
    assert '<time datetime="2026-03-02T09:05:00Z"' in part
    assert UNPROVED not in part
    scene.clock.advance(10 * MINUTE)
    assert "Letters are flowing." in (await desk.open(f"{PAGE}/way")).text


async def test_a_mailbox_shows_what_it_may_still_send(desk: Desk, scene: Scene) -> None:
    def leave(tx: Transaction, message_id: str, now: datetime) -> None:
        budget.spend(tx, outbox.get(tx, scene.account_id, message_id), scene.services.settings.rules.allowance, now)

    for _ in range(30):
        await scene.store.write(leave, await letter(scene), scene.clock.now())
    await batch(scene, 40)
    part = (await desk.open(f"{PAGE}/budgets")).text
    assert "<dd>70 letters</dd>" in part
    assert "<dd>0 letters</dd>" in part
    assert "<dd>9,970 recipients</dd>" in part
    assert "at once" not in part
    assert UNPROVED not in part


async def test_a_pause_puts_off_the_next_letter_and_the_last(desk: Desk, scene: Scene) -> None:
    await batch(scene, 60)
    assert "at once" in (await desk.open(f"{PAGE}/budgets")).text
    assert '<time datetime="2026-03-02T09:01:00Z"' in desk.text
    await scene.store.write(accounts.pause_outbox, scene.account_id, scene.clock.now() + 7 * MINUTE)
    part = (await desk.open(f"{PAGE}/budgets")).text
    assert "at once" not in part
    assert part.index('<time datetime="2026-03-02T09:07:00Z"') < part.index('<time datetime="2026-03-02T09:08:00Z"')


async def test_a_batch_shows_how_far_it_is_and_when_it_will_be_done(desk: Desk, scene: Scene) -> None:
    batch_id = await batch(scene, 40, name=f"Offers {HOSTILE}")
    [newest, *_] = await scene.store.read(outbox.of_batch, scene.account_id, batch_id, limit=1)
    await ended(scene, newest.message_id, "failed", "recipients")
    page = (await desk.open(PAGE)).text
    assert "Offers &#34;&gt;&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert 'max="40" value="1">1 of 40</progress>' in page
    assert "1 of 40 done, the rest by <time" in page
    assert "Queued 39</span>" in page
    assert "Not sent 1</span>" in page
    assert f'data-poll="{PAGE}/batches/{batch_id}/progress"' in page


async def test_a_cancelled_batch_is_over_and_no_longer_watched(desk: Desk, scene: Scene) -> None:
    batch_id = await batch(scene, 3)
    await desk.open(PAGE)
    await desk.send(f"{PAGE}/batches/cancel", id=batch_id)
    assert "What of the batch had not left is cancelled." in desk.text
    part = (await desk.open(f"{PAGE}/batches/{batch_id}/progress")).text
    assert "3 of 3 done" in part
    assert "data-poll" not in part


async def test_all_batches_under_way_are_shown_and_the_latest_of_the_others(desk: Desk, scene: Scene) -> None:
    names = []
    for number in range(8):
        scene.clock.advance(MINUTE)
        batch_id = await batch(scene, 1, name=f"Batch {number}")
        if number > 1:
            await desk.open(PAGE)
            await desk.send(f"{PAGE}/batches/cancel", id=batch_id)
    page = (await desk.open(PAGE)).text
    names = [f"Batch {number}" for number in range(8) if f">Batch {number}</h3>" in page]
    assert names == ["Batch 0", "Batch 1", "Batch 3", "Batch 4", "Batch 5", "Batch 6", "Batch 7"]


async def test_a_letter_that_needs_a_decision_says_what_happened_and_what_to_do(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene, subject=HOSTILE)
    met = problem("unavailable", graph_code="ErrorServerBusy", request_id="r-1")
    await ended(scene, message_id, "needs_review", "not_found", because=met)
    page = (await desk.open(PAGE)).text
    assert "1 letter needs a decision" in page
    for words in (
        "neither in Sent Items nor among the drafts",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
        "Before that: Microsoft 365 has trouble at the moment.",
        "Microsoft’s code: ErrorServerBusy, request id: r-1",
        f"from {MAILBOX}",
        "Aroha Ngata",
        "gets this letter twice",
    ):
        assert words in page
    assert "<script>alert" not in page


async def test_a_letter_that_needs_a_decision_is_closed(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene)
    await ended(scene, message_id, "needs_review", "not_found")
    await desk.open(PAGE)
    answer = await desk.send(f"{PAGE}/close", id=message_id)
    assert answer.status_code == 303
    assert "The letter is closed." in desk.text
    assert "No letter waits for a decision." in desk.text
    assert await state_of(scene, message_id) == "cancelled"


async def test_a_letter_that_needs_a_decision_is_sent_anew_with_another_tag(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene)
    await ended(scene, message_id, "needs_review", "not_found")
    before = await scene.store.read(outbox.get, scene.account_id, message_id)
    await desk.open(PAGE)
    await desk.send(f"{PAGE}/retry", id=message_id)
    after = await scene.store.read(outbox.get, scene.account_id, message_id)
    assert "The letter is back in the outbox" in desk.text
    assert (after.state, after.send_uid != before.send_uid) == ("accepted", True)


async def test_a_failed_letter_is_tried_again_as_the_same_sending(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene)
    await ended(scene, message_id, "failed", "recipients")
    before = await scene.store.read(outbox.get, scene.account_id, message_id)
    assert "does not accept one of the recipients" in (await desk.open(PAGE)).text
    await desk.send(f"{PAGE}/retry", id=message_id)
    after = await scene.store.read(outbox.get, scene.account_id, message_id)
    assert (after.state, after.send_uid) == ("accepted", before.send_uid)


@pytest.mark.parametrize(("state", "name"), [("needs_review", "review"), ("failed", "failed")])
async def test_more_letters_than_a_page_holds_are_on_the_next(desk: Desk, scene: Scene, state: str, name: str) -> None:
    for number in range(25):
        await ended(scene, await letter(scene, subject=f"Letter {number:02}."), state, "not_found")
    seen = []
    path = PAGE
    while path:
        page = (await desk.open(path)).text
        seen += [number for number in reversed(range(25)) if f">Letter {number:02}.</h3>" in page]
        path = page.partition(f'<a href="{PAGE}?{name}=')[2].partition("#")[0]
        path = f"{PAGE}?{name}={path}" if path else ""
    assert seen == list(reversed(range(25)))
    assert "Newest" in desk.text


async def test_a_queued_letter_is_cancelled_and_a_second_time_refused_in_a_sentence(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene)
    await desk.open(PAGE)
    await desk.send(f"{PAGE}/cancel", id=message_id)
    assert "The letter is cancelled. It is not sent." in desk.text
    answer = await desk.send(f"{PAGE}/cancel", id=message_id)
    assert answer.status_code == 409
    assert "can no longer be cancelled" in answer.text


async def test_the_first_queued_letters_are_shown_in_the_order_in_which_they_leave(desk: Desk, scene: Scene) -> None:
    await batch(scene, 17)
    for hours in (1, 2, 3, 4):
        await letter(scene, subject=f"Later {hours}", send_at=scene.clock.now() + timedelta(hours=hours))
    await letter(scene, subject="Single")
    under_way = await letter(scene)
    await changed(scene, under_way, state="unknown", submits=1, problem=problem("interrupted"))
    part = (await desk.open(f"{PAGE}/waiting")).text
    assert part.count("<h3") == 20
    assert part.index("Single") < part.index("Offer ") < part.index("Later 1") < part.index("Later 2")
    assert "It was posted to leave later." in part
    assert "<dd>22 letters</dd>" in part
    assert "<dd>1 letter</dd>" in part
    assert "And 2 letters behind these." in part


async def test_a_queued_letter_says_why_it_waits(scene: Scene) -> None:
    now, box = scene.clock.now(), await mailbox(scene)
    account = await scene.store.read(accounts.get, scene.account_id)
    queued = await scene.store.read(outbox.get, scene.account_id, await letter(scene))
    later = now + MINUTE

    def why(**changes: Any) -> str:
        whose = replace(account, **changes.pop("account", {}))
        where = replace(box, **changes.pop("box", {}))
        return why_it_waits(replace(queued, **changes), where, whose, now).explanation

    assert why() == "It waits its turn."
    assert why(lease_owner="us") == "The gateway has it in hand."
    assert why(box={"next_letter_at": later}) == problem("budget")["explanation"]
    assert why(problem=problem("quota")) == problem("quota")["explanation"]
    assert why(problem=problem("quota"), box={"paused_until": later}) == "Its mailbox is paused: see above."
    assert why(box={"paused_until": later}, account={"outbox_paused_until": later}).startswith("The account’s outbox")
    assert why(send_at=later, account={"outbox_paused_until": later}) == "It was posted to leave later."
    assert why(send_at=now, box={"next_letter_at": now, "paused_until": now}) == "It waits its turn."


async def test_another_accounts_letters_and_batches_are_not_there(desk: Desk, scene: Scene) -> None:
    other = await scene.new_account("Other school")
    message_id = await letter(scene, account_id=other, subject="Their letter")
    batch_id = await batch(scene, 2, name="Their batch", account_id=other)
    page = (await desk.open(PAGE)).text
    assert "Their" not in page
    for form, its_id in (("retry", message_id), ("close", message_id), ("cancel", message_id), ("cancel", "")):
        assert (await desk.send(f"{PAGE}/{form}", id=its_id)).status_code == 404
        await desk.open(PAGE)
    assert (await desk.send(f"{PAGE}/batches/cancel", id=batch_id)).status_code == 404
    assert (await desk.open(f"{PAGE}/batches/{batch_id}/progress")).status_code == 404


@pytest.mark.parametrize("part", ["way", "budgets", "waiting", "batches/bat_1/progress"])
async def test_the_script_is_told_when_nobody_is_signed_in(stranger: Desk, part: str) -> None:
    assert (await stranger.browser.get(f"{PAGE}/{part}")).status_code == 401


async def test_a_key_that_may_not_set_up_does_not_see_the_page(stranger: Desk) -> None:
    await stranger.sign_in(Scope.READ, Scope.SEND, Scope.METRICS)
    assert (await stranger.open(PAGE)).status_code == 403
    assert PAGE not in (await stranger.open("/objects")).text


async def test_a_letter_that_is_held_can_be_let_go(desk: Desk, scene: Scene) -> None:
    held = await letter(scene)
    at = scene.clock.now() + 20 * MINUTE
    await changed(scene, held, state="drafted", next_attempt_at=at, problem=problem("loop"))
    page = (await desk.open(PAGE)).text
    assert "A letter is held" in page
    assert "its recipient answers automatically" in page
    await desk.send(f"{PAGE}/retry", id=held)
    let_go = await scene.store.read(outbox.get, scene.account_id, held)
    assert let_go.next_attempt_at == scene.clock.now()
    assert "A letter is held" not in (await desk.open(PAGE)).text
