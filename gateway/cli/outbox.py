"""`selma-gateway outbox`: letters on their way, and what a person decides of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, opened, print_json, print_table, run, settings_or_exit, tools, when
from gateway.clock import SystemClock
from gateway.sending import choices
from gateway.sending.commits import doubt_all
from gateway.sending.machine import State
from gateway.tracing import parse
from storage import Transaction, batches, feeds, mailboxes, messages, outbox
from storage.messages import Message
from storage.outbox import Letter
from storage.threads import Address

app = typer.Typer(no_args_is_help=True, help="The outbox: list, show, retry, cancel, close, recover.")

Choice = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A letter with its message and the address that it leaves from."""

    letter: Letter
    message: Message
    mailbox: str


@app.command("list")
def list_letters(
    state: Annotated[State | None, typer.Option(help="Only letters in this state.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only letters of this batch.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """List letters, newest first: where each stands and what stands in its way."""
    letters = run(_list(state, batch, limit, account))
    if json:
        print_json([_as_json(letter) for letter in letters])
        return
    rows = [
        [letter.message_id, letter.state, when(letter.created_at), when(letter.sent_at), _problem(letter)]
        for letter in letters
    ]
    empty = "No letters yet." if state is None and batch is None else "No such letters."
    print_table(["letter", "state", "accepted", "sent", "problem"], rows, empty=empty)


async def _list(state: State | None, batch: str | None, limit: int, account: str | None) -> list[Letter]:
    async with tools(account) as at:
        return await at.store.read(_newest, at.account.id, state, batch, limit)


def _newest(tx: Transaction, account_id: str, state: State | None, batch: str | None, limit: int) -> list[Letter]:
    if batch is not None:
        found = batches.get(tx, account_id, batch)
        return outbox.of_batch(tx, account_id, found.id, state=state, limit=limit)
    if state is not None:
        return outbox.in_state(tx, account_id, state, limit=limit)
    return [outbox.get(tx, account_id, one.id) for one in feeds.letters(tx, account_id, limit=limit)]


@app.command()
def show(message_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Show one letter: to whom it goes, where it stands, what stands in its way and what to do about it."""
    whole = run(_show(message_id, account))
    if json:
        print_json(_whole_as_json(whole))
        return
    letter, message, problem = whole.letter, whole.message, whole.letter.problem or {}
    rows = [
        ["From", whole.mailbox],
        ["To", _people(message.recipients.to)],
        ["Copies to", _people((*message.recipients.cc, *message.recipients.bcc))],
        ["Subject", message.subject or "–"],
        ["State", f"{letter.state} since {when(letter.state_since)}"],
        ["Problem", problem.get("explanation") or "–"],
        ["What to do", problem.get("cure") or "–"],
        ["Batch", letter.batch_id or "–"],
        ["Accepted", when(letter.created_at)],
        ["Not to leave before", when(letter.send_at)],
        ["Next attempt", when(letter.next_attempt_at)],
        ["Taken by Microsoft 365", when(letter.submitted_at)],
        ["Seen in Sent Items", when(letter.sent_at)],
        ["Posted by request", letter.origin.request_id or "–"],
        ["Trace in the log", trace_id_of(letter) or "–"],
    ]
    print_table(["", ""], rows, empty="")


async def _show(message_id: str, account: str | None) -> Whole:
    async with tools(account) as at:
        whole = await at.store.read(_whole, at.account.id, message_id)
        await at.did("message.read", message_id=message_id)
        return whole


def _whole(tx: Transaction, account_id: str, message_id: str) -> Whole:
    letter = outbox.get(tx, account_id, message_id)
    mailbox = mailboxes.get(tx, letter.mailbox_id)
    return Whole(letter=letter, message=messages.get(tx, account_id, message_id), mailbox=mailbox.address)


@app.command()
def retry(message_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Send a failed letter again, or one that needs review: a person's choice, since it may become a second mail."""
    _choose("letter.retry", choices.retry, message_id, account, json, said="is back in the outbox.")


@app.command()
def cancel(message_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Do not send a letter that has not left. Once it is being handed to Microsoft 365, that is refused."""
    _choose("letter.cancel", choices.cancel, message_id, account, json, said="is cancelled.")


@app.command()
def close(message_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Leave a letter that needs review as it is: nothing more is sent, and it is asked about no more."""
    _choose("letter.close", choices.close, message_id, account, json, said="is closed.")


def _choose(act: str, choice: Choice, message_id: str, account: str | None, json: bool, *, said: str) -> None:
    letter = run(_done(act, choice, message_id, account))
    if json:
        print_json(_as_json(letter))
    else:
        typer.echo(f"{message_id} {said}")


async def _done(act: str, choice: Choice, message_id: str, account: str | None) -> Letter:
    def chosen(tx: Transaction, account_id: str, now: datetime) -> Letter:
        choice(tx, account_id, message_id, now=now)
        return outbox.get(tx, account_id, message_id)

    async with tools(account) as at:
        return await at.write(act, lambda _: {"message_id": message_id}, chosen, at.account.id, at.clock.now())


def trace_id_of(letter: Letter) -> str | None:
    """By which the log can be searched."""
    trace = parse(letter.origin.traceparent)
    return None if trace is None else trace.trace_id


def _problem(letter: Letter) -> str:
    return "" if letter.problem is None else str(letter.problem["explanation"])


def _people(people: tuple[Address, ...]) -> str:
    return ", ".join(one.address for one in people) or "–"


def _as_json(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.message_id,
        "state": letter.state,
        "batch_id": letter.batch_id,
        "created_at": letter.created_at,
        "next_attempt_at": letter.next_attempt_at,
        "submitted_at": letter.submitted_at,
        "sent_at": letter.sent_at,
        "attempts": letter.attempts,
        "problem": letter.problem,
    }


def _whole_as_json(whole: Whole) -> dict[str, object]:
    to, cc, bcc = (
        [{"name": one.name, "address": one.address} for one in people]
        for people in (whole.message.recipients.to, whole.message.recipients.cc, whole.message.recipients.bcc)
    )
    return _as_json(whole.letter) | {
        "from": whole.mailbox,
        "to": to,
        "cc": cc,
        "bcc": bcc,
        "subject": whole.message.subject,
        "thread_id": whole.letter.thread_id,
        "send_at": whole.letter.send_at,
        "state_since": whole.letter.state_since,
        "request_id": whole.letter.origin.request_id,
        "trace_id": trace_id_of(whole.letter),
        "internet_message_id": whole.letter.internet_message_id,
    }


@app.command()
def recover() -> None:
    """After a database was put back from a backup: look for open letters before they are sent. Stop the gateway first.

    A gateway notices by itself at its start that its database is older than what has happened. This is for when it
    cannot: the file beside the database that tells it (.mark) was put back too, or is lost.
    """
    doubted = run(_recover())
    typer.echo(f"{doubted} open letters are looked for in their mailboxes before they are sent.")


async def _recover() -> int:
    settings, clock = settings_or_exit(), SystemClock()
    async with opened(settings, clock, alone=True) as store:
        return await store.write(doubt_all, now=clock.now())
