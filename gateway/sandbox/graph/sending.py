"""Sending: drafts, sendMail, replies."""

from dataclasses import replace
from html import escape
from typing import Final

from gateway.sandbox import conversations
from gateway.sandbox.graph import errors
from gateway.sandbox.graph.exchange import Call, Response, Route
from gateway.sandbox.graph.folders import WRITE
from gateway.sandbox.graph.incoming import Changes
from gateway.sandbox.graph.messages import answer, incoming, make_draft
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Address, Body, Message
from gateway.sandbox.text import QUOTE_BEGINS, as_html, as_text, inner_html

SEND: Final = frozenset({"Mail.Send"})
MOST_RECIPIENTS: Final = 500


async def send_draft(call: Call) -> Response:
    mailbox, draft = call.mailbox(), call.message()
    if not draft.is_draft:
        raise errors.item_not_found()
    _check_sendable(mailbox, draft)
    call.world.post.submit(mailbox, draft)
    return Response(status=202)


async def send_mail(call: Call) -> Response:
    mailbox = call.mailbox()
    save = True
    if call.request.headers.get("content-type", "").startswith("text/plain"):
        changes = incoming(call).mime(call.request.body)
    else:
        body = {name.lower(): value for name, value in call.json().items()}
        if not isinstance(body.get("message"), dict):
            raise errors.wrong_type("Message", "microsoft.graph.message")
        changes = incoming(call).message(body["message"], is_new=True)
        save = str(body.get("savetosentitems", True)).lower() != "false"
    draft = make_draft(call, mailbox, mailbox.well_known("drafts").id, changes)
    _check_sendable(mailbox, draft)
    mailbox.add(draft)
    call.world.post.submit(mailbox, draft, save_to_sent_items=save)
    return Response(status=202)


async def create_reply(call: Call) -> Response:
    """The known issue is kept: a `comment` is not put into the draft's body."""
    mailbox = call.mailbox()
    changes, _ = _reply_fields(call)
    draft = mailbox.add(_reply_draft(call, mailbox, call.message(), changes, to_all=_is_to_all(call)))
    return answer(call, draft, status=201)


async def reply(call: Call) -> Response:
    mailbox, original = call.mailbox(), call.message()
    changes, comment = _reply_fields(call)
    draft = _reply_draft(call, mailbox, original, changes, to_all=_is_to_all(call))
    if comment is not None:
        said = f"<div>{escape(comment, quote=False)}</div>"
        draft.body = Body(content=as_html(Body(content=said + inner_html(draft.body.content))))
        draft.unique_body = Body(content=said)
    _check_sendable(mailbox, draft)
    mailbox.add(draft)
    call.world.post.submit(mailbox, draft)
    return Response(status=202)


def _is_to_all(call: Call) -> bool:
    return call.request.path.lower().rstrip("/").endswith("replyall")


def _reply_fields(call: Call) -> tuple[Changes, str | None]:
    """What the body of a reply action sets, and its comment. Both a comment and a body → 400.

    Extended properties are dropped without a word, unless the behaviour says otherwise.
    """
    body = {name.lower(): value for name, value in call.optional_json().items()}
    for name in body:
        if name not in ("message", "comment"):
            raise errors.unknown_property(name, "message")
    comment = body.get("comment")
    if comment is not None and not isinstance(comment, str):
        raise errors.wrong_type("Comment", "Edm.String")
    changes = incoming(call).message(body.get("message") or {}, is_new=True)
    if comment is not None and "body" in changes:
        raise errors.bad_request(
            "The parameters Comment and Message.Body can't be specified at the same time.", "ErrorInvalidArgument"
        )
    if not call.world.behaviour.reply_drafts_take_extended_properties:
        changes.pop("extended_properties", None)
    return changes, comment


def _reply_draft(call: Call, mailbox: Mailbox, original: Message, changes: Changes, *, to_all: bool) -> Message:
    """A draft in the conversation of `original`, with its history quoted, to its replyTo or sender."""
    now = call.world.clock.now()
    own = Address(name=mailbox.user.display_name, address=mailbox.user.mail)
    back_to = original.reply_to or ((original.from_,) if original.from_ else ())
    others = tuple(p for p in (*original.to, *original.cc) if p.address.lower() != mailbox.user.mail.lower())
    quoted = _quoted(original)
    if "body" in changes:
        unique = changes["body"]
        whole = Body(content=as_html(Body(content=inner_html(as_html(unique)) + quoted)))
        changes = {**changes, "body": whole, "unique_body": unique}
    draft = make_draft(call, mailbox, mailbox.well_known("drafts").id, {})
    draft = replace(
        draft,
        subject=conversations.reply_subject(original.subject),
        to=back_to,
        cc=tuple(p for p in others if p not in back_to) if to_all else (),
        from_=own,
        sender=own,
        body=Body(content=as_html(Body(content=quoted))),
        unique_body=Body(content=""),
        in_reply_to=original.internet_message_id,
        references=(*original.references, original.internet_message_id),
        conversation_id=original.conversation_id,
        conversation_index=conversations.child_index(original.conversation_index, now),
    )
    return replace(draft, **changes)


def _quoted(original: Message) -> str:
    who = original.from_.name or original.from_.address if original.from_ else ""
    history = (
        inner_html(original.body.content) if original.body.content_type == "html" else escape(as_text(original.body))
    )
    return (
        f'{QUOTE_BEGINS}<div id="divRplyFwdMsg" dir="ltr">'
        f"<b>From:</b> {escape(who)}<br><b>Sent:</b> {original.sent_date_time:%A, %d %B %Y %H:%M:%S}<br>"
        f"<b>Subject:</b> {escape(original.subject)}</div><div>{history}</div>"
    )


def _check_sendable(mailbox: Mailbox, draft: Message) -> None:
    """Raise GraphError for what Exchange refuses before it says 202. A well-formed unknown address is not caught."""
    if not draft.recipients:
        raise errors.no_recipients()
    for person in draft.recipients:
        local, at, domain = person.address.partition("@")
        if not (local and at and domain) or " " in person.address or "@" in domain:
            raise errors.unresolved_recipient(person.address or person.name or "")
    if len(draft.recipients) > MOST_RECIPIENTS:
        raise errors.bad_request("The number of recipients exceeds the limit of 500.", "ErrorInvalidRecipients")
    own = {address.lower() for address in (mailbox.user.mail, mailbox.user.user_principal_name, *mailbox.user.aliases)}
    if draft.from_ is not None and draft.from_.address.lower() not in own:
        raise errors.send_as_denied()


ROUTES: Final = (
    Route(method="POST", path="/users/{user}/sendMail", handler=send_mail, roles=SEND),
    *(
        Route(method="POST", path=f"/users/{{user}}{place}/messages/{{message}}/{action}", handler=handler, roles=roles)
        for place in ("", "/mailFolders/{folder}")
        for action, handler, roles in (
            ("send", send_draft, SEND),
            ("createReply", create_reply, WRITE),
            ("createReplyAll", create_reply, WRITE),
            ("reply", reply, SEND),
            ("replyAll", reply, SEND),
        )
    ),
)
