"""Replies as Graph drafts them: to whom, in which conversation, with what, and what it leaves out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Address, Sandbox
from gateway.sandbox.model import Body, Letter, Message
from gateway.sandbox.school import School

from .conftest import TAG, at, tagged

OFFICE = "office@school.example"
ANA = Address(name="Ana", address="ana@b.example")
AGENT = Address(name="The agent", address="agent@b.example")
TANE = Address(name="Tāne", address="tane.ngata@student.example")


@pytest.fixture
def question(sandbox: Sandbox, pupils: School) -> Message:
    """A letter with replyTo, several recipients and a history of its own."""
    mailbox = sandbox.world.mailbox(OFFICE)
    letter = Letter(
        sent_at=sandbox.clock.now() - timedelta(minutes=1),
        internet_message_id="<question@b.example>",
        from_=ANA,
        to=(Address(address=OFFICE), TANE),
        cc=(Address(address="caregiver@b.example"),),
        reply_to=(AGENT,),
        envelope=(OFFICE,),
        subject="A question",
        body=Body(content="<p>When does term begin?</p>"),
        references=("<earlier@b.example>",),
    )
    return sandbox.world.post.receive(mailbox, letter)


class Replying:
    """The reply actions of one message, and its draft."""

    def __init__(self, graph: httpx.AsyncClient, office: str, question: Message) -> None:
        self._graph = graph
        self.messages = f"{office}/messages"
        self._question = question

    async def post(self, action: str = "createReply", **body: Any) -> httpx.Response:
        return await self._graph.post(f"{self.messages}/{at(self._question.id)}/{action}", json=body)

    async def draft(self, action: str = "createReply", **body: Any) -> dict[str, Any]:
        answer = await self.post(action, **body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def patch(self, draft: dict[str, Any], **fields: Any) -> httpx.Response:
        return await self._graph.patch(f"{self.messages}/{at(draft['id'])}", json=fields)

    async def send(self, draft: dict[str, Any]) -> None:
        answer = await self._graph.post(f"{self.messages}/{at(draft['id'])}/send")
        assert answer.status_code == 202, answer.text


@pytest.fixture
def replying(graph: httpx.AsyncClient, office: str, question: Message) -> Replying:
    return Replying(graph, office, question)


def addresses(recipients: list[dict[str, Any]]) -> list[str]:
    return [each["emailAddress"]["address"] for each in recipients]


async def test_a_reply_goes_to_reply_to_and_quotes_the_letter_in_its_conversation(
    replying: Replying, question: Message
) -> None:
    draft = await replying.draft()
    assert addresses(draft["toRecipients"]) == [AGENT.address]
    assert (draft["ccRecipients"], draft["subject"], draft["isDraft"]) == ([], "Re: A question", True)
    assert draft["conversationId"] == question.conversation_id
    assert "When does term begin?" in draft["body"]["content"]
    assert "<b>From:</b> Ana" in draft["body"]["content"]


async def test_a_reply_to_all_goes_to_the_others_as_well_but_not_to_oneself(replying: Replying) -> None:
    draft = await replying.draft("createReplyAll")
    everyone = addresses(draft["toRecipients"]) + addresses(draft["ccRecipients"])
    assert sorted(everyone) == sorted([AGENT.address, TANE.address, "caregiver@b.example"])


async def test_a_reply_to_our_own_letter_is_addressed_to_ourselves(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, replying: Replying
) -> None:
    await replying.send(await replying.draft())
    await sandbox.settle()
    mailbox = sandbox.world.mailbox(OFFICE)
    [copy] = mailbox.messages(mailbox.well_known("sentitems").id)
    again = (await graph.post(f"{office}/messages/{at(copy.id)}/createReply")).json()
    assert (addresses(again["toRecipients"]), again["subject"]) == ([OFFICE], "Re: A question")


async def test_what_the_message_says_is_put_above_the_quotation(replying: Replying) -> None:
    message = {
        "body": {"contentType": "HTML", "content": "<p>On Monday.</p>"},
        "toRecipients": [{"emailAddress": {"address": ANA.address}}],
        "importance": "high",
    }
    draft = await replying.draft(message=message)
    assert (addresses(draft["toRecipients"]), draft["importance"]) == ([ANA.address], "high")
    said, _, quoted = draft["body"]["content"].partition("<hr")
    assert "On Monday." in said
    assert "When does term begin?" in quoted


@pytest.mark.parametrize("action", ["createReply", "createReplyAll", "reply", "replyAll"])
async def test_a_comment_and_a_body_are_too_much(replying: Replying, action: str) -> None:
    body = {"contentType": "text", "content": "One"}
    assert (await replying.post(action, message={"body": body}, comment="Two")).status_code == 400


async def test_the_comment_of_a_draft_is_lost(replying: Replying) -> None:
    assert "Ka pai" not in (await replying.draft(comment="Ka pai"))["body"]["content"]


async def test_a_reply_is_made_with_headers_and_never_given_them_later(sandbox: Sandbox, replying: Replying) -> None:
    header = {"name": "X-Auto-Response-Suppress", "value": "OOF"}
    draft = await replying.draft(message={"internetMessageHeaders": [header]})
    refused = await replying.patch(draft, internetMessageHeaders=[header])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ErrorInvalidPropertySet")
    await replying.send(draft)
    await sandbox.settle()
    [entry] = sandbox.world.ledger
    assert entry.headers == (("X-Auto-Response-Suppress", "OOF"),)
    assert entry.in_reply_to == "<question@b.example>"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([{"name": f"x-{n}", "value": "v"} for n in range(6)], "InvalidInternetMessageHeaderCollection"),
        ([{"name": "In-Reply-To", "value": "<a@b>"}], "InvalidInternetMessageHeader"),
    ],
    ids=["six", "one that is not x-"],
)
async def test_a_reply_takes_few_headers_and_only_x(
    replying: Replying, headers: list[dict[str, str]], code: str
) -> None:
    answer = await replying.post(message={"internetMessageHeaders": headers})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(("are_kept", "found"), [(False, 0), (True, 1)])
async def test_the_tag_of_a_reply_is_kept_or_has_to_be_patched_in(
    sandbox: Sandbox, graph: httpx.AsyncClient, replying: Replying, are_kept: bool, found: int
) -> None:
    sandbox.world.behaviour = replace(sandbox.world.behaviour, reply_drafts_take_extended_properties=are_kept)
    tag = [{"id": TAG, "value": "a1"}]
    draft = await replying.draft(message={"singleValueExtendedProperties": tag})

    async def by_tag() -> list[str]:
        answer = await graph.get(replying.messages, params={"$filter": tagged("a1")})
        return [each["id"] for each in answer.json()["value"]]

    assert len(await by_tag()) == found
    assert (await replying.patch(draft, singleValueExtendedProperties=tag)).status_code == 200
    assert await by_tag() == [draft["id"]]


async def test_a_draft_takes_all_that_makes_a_letter(sandbox: Sandbox, replying: Replying) -> None:
    draft = await replying.draft()
    ana, tane = ({"emailAddress": {"name": each.name, "address": each.address}} for each in (ANA, TANE))
    changed = await replying.patch(
        draft,
        subject="Re: A question, and another",
        body={"contentType": "HTML", "content": "<p>On Monday.</p>"},
        toRecipients=[ana],
        ccRecipients=[tane],
        bccRecipients=[],
        replyTo=[tane],
        importance="low",
        singleValueExtendedProperties=[{"id": TAG, "value": "a1"}],
    )
    assert changed.status_code == 200, changed.text
    await replying.send(draft)
    await sandbox.settle()
    [entry] = sandbox.world.ledger
    assert (entry.to, entry.cc, entry.reply_to, entry.importance) == ((ANA,), (TANE,), (TANE,), "low")
    assert entry.subject == "Re: A question, and another"
    assert entry.extended_properties == {TAG: "a1"}


@pytest.mark.parametrize("keeps_history", [True, False])
async def test_a_new_body_replaces_the_history_and_says_what_stands_above_it(
    graph: httpx.AsyncClient, replying: Replying, keeps_history: bool
) -> None:
    draft = await replying.draft()
    history = draft["body"]["content"] if keeps_history else ""
    await replying.patch(draft, body={"contentType": "HTML", "content": f"<p>On Monday.</p>{history}"})
    read = await graph.get(f"{replying.messages}/{at(draft['id'])}", params={"$select": "body,uniqueBody"})
    assert ("When does term begin?" in read.json()["body"]["content"]) is keeps_history
    assert "On Monday." in read.json()["uniqueBody"]["content"]
    assert "When does term begin?" not in read.json()["uniqueBody"]["content"]
