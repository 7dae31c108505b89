"""`selma-gateway outbox`: letters on their way."""

from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from gateway.sending.accept import retry as retry_letter
from storage import Transaction, messages, outbox
from storage.messages import Message
from storage.outbox import Letter

app = typer.Typer(no_args_is_help=True, help="The outbox: list, retry.")


@app.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """List letters, newest first: where each stands and what stands in its way."""
    letters = run(_list(limit, account))
    if json:
        print_json([_as_json(letter) for letter in letters])
        return
    rows = [
        [letter.message_id, letter.state, when(letter.created_at), when(letter.sent_at), _problem(letter)]
        for letter in letters
    ]
    print_table(["letter", "state", "accepted", "sent", "problem"], rows, empty="No letters yet.")


async def _list(limit: int, account: str | None) -> list[Letter]:
    def newest(tx: Transaction, account_id: str) -> list[Letter]:
        found: list[Message] = messages.letters(tx, account_id, limit=limit)
        return [outbox.get(tx, account_id, message.id) for message in found]

    async with tools(account) as at:
        return await at.store.read(newest, at.account.id)


@app.command()
def retry(message_id: str, account: AccountName = None) -> None:
    """Send a failed letter again, or one that needs review: a person's choice, since it may become a second mail."""
    run(_retry(message_id, account))
    typer.echo(f"{message_id} is back in the outbox.")


async def _retry(message_id: str, account: str | None) -> None:
    async with tools(account) as at:
        await at.store.write(retry_letter, at.account.id, message_id, now=at.clock.now())


def _problem(letter: Letter) -> str:
    return "" if letter.problem is None else str(letter.problem["explanation"])


def _as_json(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.message_id,
        "state": letter.state,
        "created_at": letter.created_at,
        "next_attempt_at": letter.next_attempt_at,
        "submitted_at": letter.submitted_at,
        "sent_at": letter.sent_at,
        "attempts": letter.attempts,
        "problem": letter.problem,
    }
