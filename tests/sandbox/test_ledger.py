"""What really left, as one sees it from outside."""

import base64
import hashlib
from typing import Any

import httpx

from gateway.sandbox import Address, Sandbox

from .conftest import at, letter

FILE = b"%PDF an offer"
MAIA = Address(name="Māia Parata", address="maia.parata@student.example")
BLIND = Address(name=None, address="admissions@school.example")


def person(address: Address) -> dict[str, Any]:
    return {"emailAddress": {"address": address.address} | ({"name": address.name} if address.name else {})}


def whole_letter() -> dict[str, Any]:
    attachment = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "offer.pdf",
        "contentBytes": base64.b64encode(FILE).decode(),
    }
    return {
        **letter(tag="a1"),
        "toRecipients": [person(MAIA)],
        "bccRecipients": [person(BLIND)],
        "replyTo": [person(BLIND)],
        "importance": "high",
        "internetMessageHeaders": [{"name": "X-Auto-Response-Suppress", "value": "OOF"}],
        "attachments": [attachment],
    }


async def test_the_ledger_tells_everything_that_left(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    await graph.post(f"{office}/sendMail", json={"message": whole_letter()})
    await sandbox.settle()
    [entry] = sandbox.world.ledger
    assert (entry.to, entry.cc, entry.bcc, entry.reply_to) == ((MAIA,), (), (BLIND,), (BLIND,))
    assert (entry.importance, entry.in_reply_to) == ("high", None)
    assert entry.headers == (("X-Auto-Response-Suppress", "OOF"),)
    [file] = entry.attachments
    assert (file.name, file.size, file.sha256) == ("offer.pdf", len(FILE), hashlib.sha256(FILE).hexdigest())


async def test_a_reply_stands_there_with_what_it_answers(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    question = sandbox.world.deliver("office@school.example", from_=MAIA, subject="A question")
    await graph.post(f"{office}/messages/{at(question.id)}/reply", json={"comment": "An answer"})
    await sandbox.settle()
    [entry] = sandbox.world.ledger
    assert (entry.to, entry.in_reply_to) == ((MAIA,), question.internet_message_id)


async def test_it_is_told_to_other_processes(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    await graph.post(f"{office}/sendMail", json={"message": whole_letter()})
    await sandbox.settle()
    [entry] = (await graph.get("/_sandbox/ledger")).json()["items"]
    assert entry["to"] == [{"name": MAIA.name, "address": MAIA.address}]
    assert entry["attachments"][0].keys() == {"name", "size", "sha256"}
    assert entry["headers"] == [["X-Auto-Response-Suppress", "OOF"]]
