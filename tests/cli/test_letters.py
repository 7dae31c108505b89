"""The outbox and its batches by command line."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.main import ensure_account
from gateway.sending.accept import accept, accept_batch
from gateway.sending.posted import NewLetter
from gateway.sending.reasons import problem
from storage import Transaction, accounts, mailboxes, open_store, outbox
from storage.messages import BodyType
from storage.threads import Address
from tests.cli.test_commands import Shell

T = TypeVar("T")
MAILBOX = "admissions@school.example"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Desk:
    """A shell, and letters in the file that its commands open."""

    shell: Shell
    path: Path

    def work(self, work: Callable[..., T], *given: object) -> T:
        async def once() -> T:
            async with open_store(self.path) as store:
                return await store.write(lambda tx: work(tx, *given))

        return asyncio.run(once())

    def post(self, subject: str = "Your enrolment") -> str:
        return self.work(_post, subject)

    def post_batch(self, letters: int) -> str:
        return self.work(_post_batch, letters)

    def put(self, message_id: str, state: str, reason: str) -> None:
        self.work(_put, message_id, state, reason)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    path = tmp_path / "gateway.db"
    found = Desk(Shell({"GATEWAY_DATABASE": str(path)}), path)
    found.work(_school)
    return found


def _school(tx: Transaction) -> None:
    account = ensure_account(tx, now=NOW)
    mailbox = mailboxes.add(tx, account.id, MAILBOX, now=NOW)
    mailboxes.mark_validated(tx, mailbox.id, user_id="u-1", display_name="Admissions", now=NOW)


def _account(tx: Transaction) -> str:
    return accounts.all_of_them(tx)[0].id


def _letter(subject: str) -> NewLetter:
    to = (Address(name="Aroha Ngata", address="aroha@student.example"),)
    return NewLetter(sender=MAILBOX, to=to, subject=subject, body_type=BodyType.TEXT, body="Kia ora")


def _post(tx: Transaction, subject: str) -> str:
    return accept(tx, _account(tx), _letter(subject), idempotency_key=None, now=NOW).message_id


def _post_batch(tx: Transaction, count: int) -> str:
    letters: Sequence[NewLetter] = [_letter(f"Offer {number}") for number in range(count)]
    given: dict[str, Any] = {"name": "Offers", "created_by": "Jane Doe", "idempotency_key": None, "now": NOW}
    return accept_batch(tx, _account(tx), letters, **given).batch_id


def _put(tx: Transaction, message_id: str, state: str, reason: str) -> None:
    letter = outbox.get(tx, _account(tx), message_id)
    outbox.save(tx, replace(letter, state=state, problem=problem(reason), next_attempt_at=None, submits=1))


def test_letters_are_listed_by_state_and_by_batch(desk: Desk) -> None:
    single, failed = desk.post(), desk.post()
    desk.put(failed, "failed", "recipients")
    batch = desk.post_batch(3)
    of_batch = [one["id"] for one in desk.shell.json("outbox", "list", "--batch", batch)]
    assert len(of_batch) == 3
    assert [one["id"] for one in desk.shell.json("outbox", "list", "--state", "failed")] == [failed]
    assert {one["id"] for one in desk.shell.json("outbox", "list", "--state", "accepted")} == {single, *of_batch}
    assert desk.shell.json("outbox", "list", "--batch", batch, "--state", "sent") == []
    assert "No such letters." in desk.shell.run("outbox", "list", "--state", "sent").output
    assert "does not accept one of the recipients" in desk.shell.run("outbox", "list").output


def test_a_state_that_is_none_is_wrong_usage(desk: Desk) -> None:
    assert desk.shell.run("outbox", "list", "--state", "delivered").exit_code == 2


def test_a_letter_is_shown_with_what_stands_in_its_way_and_the_cure(desk: Desk) -> None:
    message_id = desk.post("Your [red]offer[/red]")
    desk.put(message_id, "needs_review", "not_found")
    shown = desk.shell.run("outbox", "show", message_id).output
    for words in (MAILBOX, "aroha@student.example", "Your [red]offer[/red]", "needs_review", "neither in Sent Items"):
        assert words in shown
    assert "send it anew or close it" in shown
    whole = desk.shell.json("outbox", "show", message_id)
    assert whole["to"] == [{"name": "Aroha Ngata", "address": "aroha@student.example"}]
    assert (whole["from"], whole["problem"]["code"]) == (MAILBOX, "not_found")


def test_a_queued_letter_can_be_cancelled_once(desk: Desk) -> None:
    message_id = desk.post()
    done = desk.shell.run("outbox", "cancel", message_id)
    assert (done.exit_code, done.output) == (0, f"{message_id} is cancelled.\n")
    again = desk.shell.run("outbox", "cancel", message_id)
    assert again.exit_code == 3
    assert "can no longer be cancelled" in again.output


@pytest.mark.parametrize(("command", "state"), [("close", "cancelled"), ("retry", "accepted")])
def test_a_letter_that_needs_review_is_closed_or_sent_anew(desk: Desk, command: str, state: str) -> None:
    message_id = desk.post()
    desk.put(message_id, "needs_review", "not_found")
    assert desk.shell.json("outbox", command, message_id)["state"] == state


def test_a_failed_letter_is_tried_again_but_not_closed(desk: Desk) -> None:
    message_id = desk.post()
    desk.put(message_id, "failed", "recipients")
    refused = desk.shell.run("outbox", "close", message_id)
    assert refused.exit_code == 3
    assert "only one that needs review can be closed" in refused.output
    assert "back in the outbox" in desk.shell.run("outbox", "retry", message_id).output


def test_a_batch_is_listed_and_shown_with_its_forecast(desk: Desk) -> None:
    batch = desk.post_batch(40)
    assert "No batches yet." in Shell({"GATEWAY_DATABASE": f"{desk.path}.other"}).run("batches", "list").output
    [listed] = desk.shell.json("batches", "list")
    assert (listed["id"], listed["status"], listed["counts"]) == (batch, "sending", {"queued": 40})
    assert listed["done_by"].endswith("Z")
    shown = desk.shell.run("batches", "show", batch).output
    assert "Jane Doe" in shown
    assert "40: 40 queued" in shown


def test_what_of_a_batch_has_not_left_is_cancelled(desk: Desk) -> None:
    batch = desk.post_batch(3)
    done = desk.shell.run("batches", "cancel", batch)
    assert (done.exit_code, done.output) == (0, f"3 letters of {batch} cancelled.\n")
    again = json.loads(desk.shell.run("batches", "cancel", batch, "--json").stdout)
    assert (again["status"], again["counts"], again["done_by"]) == ("finished", {"cancelled": 3}, None)


@pytest.mark.parametrize(
    "command",
    [("outbox", "show"), ("outbox", "cancel"), ("outbox", "close"), ("batches", "show"), ("batches", "cancel")],
    ids=" ".join,
)
def test_what_is_not_there_is_said(desk: Desk, command: tuple[str, str]) -> None:
    done = desk.shell.run(*command, "msg_0")
    assert done.exit_code == 3
    assert "There is no such" in done.output
    assert "Traceback" not in done.output


def test_letters_of_a_batch_that_is_not_there_are_not_simply_none(desk: Desk) -> None:
    assert desk.shell.run("outbox", "list", "--batch", "bat_0").exit_code == 3


def test_recover_puts_open_letters_in_doubt_until_they_have_been_looked_for(desk: Desk) -> None:
    message_id, over = desk.post(), desk.post()
    desk.shell.run("outbox", "cancel", over)
    done = desk.shell.run("outbox", "recover")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("1 open letters are looked for")
    shown = desk.shell.json("outbox", "show", message_id)
    assert (shown["state"], shown["problem"]["code"]) == ("unknown", "restored")
