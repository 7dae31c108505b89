"""Carrying one letter as far as it can go now. Before each outside act a commit says what is about to be tried."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from gateway import tracing
from gateway.clock import Clock
from gateway.graph import GraphError, NotFound, OverBudget, TokenError, Unreachable
from gateway.graph import Message as Item
from gateway.sending import commits
from gateway.sending.attach import Attacher, Damaged, begun_anew
from gateway.sending.commits import Claim, Content
from gateway.sending.draft import payload_of, reply_at_birth, reply_changes, with_attachments
from gateway.sending.errors import FAILURES, Failure, Verdict, ask, fail, judge
from gateway.sending.looking import Found, GraphSource, Mailer, look
from gateway.sending.machine import State, is_held
from gateway.sending.rules import Allowance
from gateway.steady import SteadyStore
from gateway.tracing import span
from storage import StorageUnavailable, Store, outbox
from storage.attachments import LetterAttachment
from storage.outbox import Letter

log = logging.getLogger(__name__)

CARRY_LIMIT: Final = timedelta(minutes=10)  # well within the lease, so that a claim's acts end before it does


class Carrier:
    """Takes claimed letters through their steps."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock, allowance: Allowance) -> None:
        self._store = store
        self._steady = SteadyStore(store, clock)
        self._graphs = graphs
        self._clock = clock
        self._allowance = allowance
        self._attacher = Attacher(self._steady)

    async def carry(self, claim: Claim) -> None:
        """Do what this letter needs now; whatever happens, it is handed back. Nothing is raised but cancellation."""
        letter = claim.letter
        with tracing.taken_up(letter.origin, message_id=letter.message_id, mailbox_id=letter.mailbox_id):
            await self._carry(claim)

    async def _carry(self, claim: Claim) -> None:
        try:
            async with asyncio.timeout(CARRY_LIMIT.total_seconds()):
                await self._advance(claim)
        except asyncio.CancelledError:
            with contextlib.suppress(StorageUnavailable):
                await self._store.write(commits.hand_back, claim.letter, now=self._clock.now())
            raise
        except TimeoutError:
            log.warning("letter took too long", extra=_fields(claim.letter))
            await self._steady.write(commits.hand_back, claim.letter, now=self._clock.now())
        except Exception:
            # A fault of ours with one letter must not keep all the others, nor stop the process again and again.
            log.exception("letter stumbled", extra=_fields(claim.letter))
            await self._steady.write(commits.stumbled, claim.letter, now=self._clock.now())

    async def _advance(self, claim: Claim) -> None:
        if claim.letter.state in (State.SUBMITTED, State.UNKNOWN):
            await self._look(claim)
            return
        try:
            graph = await self._graphs.graph(claim.letter.account_id)
            intended = await self._prepare(graph, claim)
        except FAILURES as failure:
            await self._draft_failed(claim, failure)
            return
        if intended is not None:
            await self._submit(graph, claim, intended)
        else:
            await self._say_if_held(claim.letter)

    async def _say_if_held(self, letter: Letter) -> None:
        waiting = await self._steady.read(outbox.find, letter.message_id)
        if waiting is not None and is_held(waiting):
            log.warning("letter held: its recipient answers automatically", extra=_fields(letter))

    # The draft

    async def _prepare(self, graph: Mailer, claim: Claim) -> Letter | None:
        """A complete draft, and on disk that it is about to be submitted; None when the letter goes another way."""
        content = claim.content
        if content is None:
            content = await self._steady.read(commits.content, claim.letter)
        attaches = bool(content.separate) and claim.letter.submits == 0
        letter: Letter | None = claim.letter
        separate, fresh = content.separate, False
        if claim.letter.state == State.DRAFTING:
            with span("draft", attempt=claim.letter.attempts):
                item, fresh = await self._draft(graph, claim, content)
            if item is None:
                return None
            if not attaches:
                return await self._steady.write(commits.drafted_and_intended, claim.letter, item, **self._limits(claim))
            letter = await self._steady.write(commits.drafted, claim.letter, item, now=self._clock.now())
            separate = tuple(begun_anew(one) for one in separate) if fresh else separate
        if letter is None or (attaches and not await self._attach(graph, claim, letter, separate, fresh=fresh)):
            return None
        return await self._steady.write(commits.intend, claim.letter, **self._limits(claim))

    def _limits(self, claim: Claim) -> commits.Limits:
        return {
            "allowance": self._allowance,
            "lease_ends_at": claim.lease_ends_at,
            "now": self._clock.now(),
        }

    async def _draft(self, graph: Mailer, claim: Claim, content: Content) -> tuple[Item | None, bool]:
        """The letter's draft, and whether it was made just now; None when the letter goes another way."""
        item: Item | None = None
        if claim.letter.attempts > 1:
            found = await look(graph, claim.user, claim.letter)
            if found.sent is not None:
                await self._steady.write(commits.seen_sent, claim.letter, found.sent, now=self._clock.now())
                return None, False
            item = await self._adopt(graph, claim, found)
            if item is None and claim.letter.submits > 0:
                await self._steady.write(commits.draft_vanished, claim.letter, now=self._clock.now())
                return None, False
        fresh = item is None
        if claim.letter.in_reply_to is not None:
            return await self._answer(graph, claim, content, item), fresh
        if item is None:
            payload = with_attachments(payload_of(claim.letter, content.message), content.inside)
            item = await graph.create_draft(claim.user, payload)
        return item, fresh

    async def _answer(self, graph: Mailer, claim: Claim, content: Content, adopted: Item | None) -> Item | None:
        """Graph's own draft of an answer, changed into our letter; one found again may not have been changed yet.

        None when the mail that it answers is gone.
        """
        original = content.original
        item = adopted
        if original is not None and item is None:
            try:
                item = await graph.create_reply(
                    claim.user, original.graph_id, reply_at_birth(claim.letter, content.message)
                )
            except NotFound as error:
                if not error.is_code("ErrorItemNotFound"):
                    raise
        if original is None or item is None:
            await self._give_up(claim, fail("original_gone"))
            return None
        return await graph.update_message(claim.user, item.id, reply_changes(claim.letter, content.message, original))

    async def _adopt(self, graph: Mailer, claim: Claim, found: Found) -> Item | None:
        """The draft of an earlier attempt: the one we know, or the oldest. The others go, being drafts."""
        known = [item for item in found.drafts if item.id == claim.letter.graph_id]
        if claim.letter.submits > 0 and not known:
            return None  # what was submitted is not among them, and nothing else may go in its place
        kept = next(iter(known or found.drafts), None)
        for item in found.drafts:
            if kept is not None and item.id != kept.id:
                log.info("stray draft deleted", extra=_fields(claim.letter))
                await graph.delete_message(claim.user, item.id)
        return kept

    async def _attach(
        self, graph: Mailer, claim: Claim, letter: Letter, separate: Sequence[LetterAttachment], *, fresh: bool
    ) -> bool:
        """Whether the draft has all of its attachments now."""
        try:
            with span("upload", attachments=len(separate), bytes=sum(one.size for one in separate)):
                await self._attacher.complete(graph, claim, letter.graph_id or "", separate, fresh=fresh)
        except Damaged:
            await self._give_up(claim, ask("attachment_damaged"))
            return False
        except NotFound as error:
            if not error.is_code("ErrorItemNotFound"):
                raise
            await self._steady.write(commits.draft_vanished, claim.letter, now=self._clock.now())
            return False
        return True

    async def _give_up(self, claim: Claim, verdict: Verdict) -> None:
        log.warning("letter given up", extra={**_fields(claim.letter), "reason": verdict.problem["code"]})
        await self._steady.write(commits.draft_failed, claim.letter, verdict, now=self._clock.now())

    async def _draft_failed(self, claim: Claim, failure: Failure) -> None:
        verdict = judge(failure, claim.letter.attempts)
        log.warning(
            "letter not drafted", extra={**_fields(claim.letter), "outcome": verdict.outcome.value, **_why(failure)}
        )
        await self._steady.write(commits.draft_failed, claim.letter, verdict, now=self._clock.now())

    # The submission

    async def _submit(self, graph: Mailer, claim: Claim, letter: Letter) -> None:
        try:
            with span("submit", attempt=letter.attempts, submits=letter.submits):
                await graph.send_draft(claim.user, letter.graph_id or "")
        except (TokenError, OverBudget) as failure:
            await self._not_sent(letter, failure)
        except Unreachable as failure:
            await (self._ambiguous if failure.sent else self._not_sent)(letter, failure)
        except GraphError as failure:
            await self._ambiguous(letter, failure)
        else:
            await self._steady.write(commits.submitted, letter, now=self._clock.now())
            log.info("letter submitted", extra=_fields(letter))

    async def _not_sent(self, letter: Letter, failure: Failure) -> None:
        log.warning("letter not submitted", extra={**_fields(letter), **_why(failure)})
        verdict = judge(failure, letter.attempts)
        await self._steady.write(commits.not_sent, letter, verdict, now=self._clock.now())

    async def _ambiguous(self, letter: Letter, failure: Failure) -> None:
        log.warning("submission uncertain", extra={**_fields(letter), **_why(failure)})
        verdict = judge(failure, letter.attempts)
        await self._steady.write(commits.ambiguous, letter, verdict, now=self._clock.now())

    # The proof

    async def _look(self, claim: Claim) -> None:
        letter = claim.letter
        try:
            with span("reconcile", state=letter.state, attempt=letter.attempts) as step:
                graph = await self._graphs.graph(letter.account_id)
                found = await look(graph, claim.user, letter)
                step.say(sent=found.sent is not None, drafts=len(found.drafts))
        except FAILURES as failure:
            log.warning("letter could not be looked for", extra={**_fields(letter), **_why(failure)})
            verdict = judge(failure, letter.attempts)
            await self._steady.write(commits.look_failed, letter, verdict, now=self._clock.now())
            return
        if found.sent is not None:
            await self._steady.write(commits.seen_sent, letter, found.sent, now=self._clock.now())
            log.info("letter found sent", extra=_fields(letter))
            tracing.mark("seen in Sent", facts={"message_id": letter.message_id})
        elif found.proves_a_draft(letter):
            await self._steady.write(commits.seen_draft, letter, now=self._clock.now())
        else:
            await self._steady.write(commits.not_found, letter, now=self._clock.now())


def _fields(letter: Letter) -> dict[str, object]:
    return {"message_id": letter.message_id, "mailbox_id": letter.mailbox_id, "attempt": letter.attempts}


def _why(failure: Failure) -> dict[str, object]:
    return failure.log_fields() if isinstance(failure, GraphError | TokenError) else {"error": "NotConnected"}
