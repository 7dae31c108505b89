"""Carrying one letter as far as it can go now. Before each outside act a commit says what is about to be tried."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway.clock import Clock
from gateway.graph import GraphError, NotFound, TokenError, Unreachable
from gateway.graph import Message as Item
from gateway.sending import commits
from gateway.sending.commits import Claim
from gateway.sending.draft import Draft, compose, file_attachment, missing
from gateway.sending.errors import FAILURES, Failure, judge
from gateway.sending.looking import SELECT, Found, GraphSource, Mailer, look
from gateway.sending.machine import State
from storage import StorageUnavailable, Store, Transaction, outbox
from storage.outbox import Letter

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CARRY_LIMIT: Final = timedelta(minutes=10)  # well within the lease, so that a claim's acts end before it does
STORE_RETRY: Final = timedelta(seconds=2)


class Carrier:
    """Takes claimed letters through their steps."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def carry(self, claim: Claim) -> None:
        """Do what this letter needs now; whatever happens, it is handed back. Nothing is raised but cancellation."""
        try:
            async with asyncio.timeout(CARRY_LIMIT.total_seconds()):
                await self._advance(claim)
        except asyncio.CancelledError:
            with contextlib.suppress(StorageUnavailable):
                await self._store.write(commits.hand_back, claim.letter, now=self._clock.now())
            raise
        except TimeoutError:
            log.warning("letter took too long", extra=_fields(claim.letter))
            await self._commit(commits.hand_back, claim.letter, now=self._clock.now())
        except Exception:
            # A fault of ours with one letter must not keep all the others, nor stop the process again and again.
            log.exception("letter stumbled", extra=_fields(claim.letter))
            await self._commit(commits.stumbled, claim.letter, now=self._clock.now())

    async def _advance(self, claim: Claim) -> None:
        if claim.letter.state in (State.SUBMITTED, State.UNKNOWN):
            await self._look(claim)
            return
        try:
            graph = await self._graphs.graph(claim.letter.account_id)
            letter = await self._prepare(graph, claim)
        except FAILURES as failure:
            await self._draft_failed(claim, failure)
            return
        if letter is not None:
            await self._submit(graph, claim, letter)

    # The draft

    async def _prepare(self, graph: Mailer, claim: Claim) -> Letter | None:
        """A complete draft, ready to be submitted; None when the letter goes another way or is no longer ours."""
        content = await self._store.read(commits.content, claim.letter)
        draft = compose(claim.letter, content.message, content.attachments)
        letter: Letter | None = claim.letter
        fresh = False
        if claim.letter.state == State.DRAFTING:
            letter, fresh = await self._draft(graph, claim, draft)
        if letter is not None and draft.separate and letter.submits == 0:
            return await self._attach(graph, claim, letter, draft, fresh=fresh)
        return letter

    async def _draft(self, graph: Mailer, claim: Claim, draft: Draft) -> tuple[Letter | None, bool]:
        """The drafted letter, and whether its draft was made just now."""
        item: Item | None = None
        if claim.letter.attempts > 1:
            found = await look(graph, claim.user, claim.letter)
            if found.sent is not None:
                await self._commit(commits.seen_sent, claim.letter, found.sent, now=self._clock.now())
                return None, False
            item = await self._adopt(graph, claim, found)
            if item is None and claim.letter.submits > 0:
                await self._commit(commits.draft_vanished, claim.letter, now=self._clock.now())
                return None, False
        fresh = item is None
        if item is None:
            item = await graph.create_draft(claim.user, draft.payload)
        letter = await self._commit(commits.drafted, claim.letter, item, now=self._clock.now())
        if letter is None:
            await self._tidy(graph, claim, item.id)
        return letter, fresh

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

    async def _attach(self, graph: Mailer, claim: Claim, letter: Letter, draft: Draft, *, fresh: bool) -> Letter | None:
        item_id = letter.graph_id or ""
        try:
            present = [] if fresh else await graph.list_attachments(claim.user, item_id)
            for one in draft.separate if fresh else missing(draft, present):
                await graph.add_attachment(claim.user, item_id, file_attachment(one))
        except NotFound as error:
            if not error.is_code("ErrorItemNotFound"):
                raise
            await self._commit(commits.draft_vanished, claim.letter, now=self._clock.now())
            return None
        return letter

    async def _draft_failed(self, claim: Claim, failure: Failure) -> None:
        verdict = judge(failure, claim.letter.attempts)
        log.warning(
            "letter not drafted", extra={**_fields(claim.letter), "outcome": verdict.outcome.value, **_why(failure)}
        )
        after = await self._commit(commits.draft_failed, claim.letter, verdict, now=self._clock.now())
        if after is not None and after.state == State.FAILED and after.graph_id is not None:
            with contextlib.suppress(*FAILURES):
                graph = await self._graphs.graph(claim.letter.account_id)
                await self._tidy(graph, claim, after.graph_id)

    async def _tidy(self, graph: Mailer, claim: Claim, item_id: str) -> None:
        """Take away the draft of a letter that will not be sent, so that nobody sends it by hand. Best effort."""
        row = await self._store.read(outbox.find, claim.letter.message_id)
        if row is None or row.state not in (State.CANCELLED, State.FAILED) or row.submits > 0:
            return
        with contextlib.suppress(*FAILURES):
            item = await graph.get_message(claim.user, item_id, select=SELECT)
            if item.is_draft is True:
                await graph.delete_message(claim.user, item_id)

    # The submission

    async def _submit(self, graph: Mailer, claim: Claim, drafted: Letter) -> None:
        letter = await self._commit(
            commits.intend, claim.letter, lease_ends_at=claim.lease_ends_at, now=self._clock.now()
        )
        if letter is None or letter.graph_id is None:
            if drafted.graph_id is not None:
                await self._tidy(graph, claim, drafted.graph_id)
            return
        try:
            await graph.send_draft(claim.user, letter.graph_id)
        except TokenError as failure:
            await self._not_sent(letter, failure)
        except Unreachable as failure:
            await (self._ambiguous if failure.sent else self._not_sent)(letter, failure)
        except GraphError as failure:
            await self._ambiguous(letter, failure)
        else:
            await self._commit(commits.submitted, letter, now=self._clock.now())
            log.info("letter submitted", extra=_fields(letter))

    async def _not_sent(self, letter: Letter, failure: Failure) -> None:
        log.warning("letter not submitted", extra={**_fields(letter), **_why(failure)})
        verdict = judge(failure, letter.attempts)
        await self._commit(commits.not_sent, letter, verdict, now=self._clock.now())

    async def _ambiguous(self, letter: Letter, failure: Failure) -> None:
        log.warning("submission uncertain", extra={**_fields(letter), **_why(failure)})
        verdict = judge(failure, letter.attempts)
        await self._commit(commits.ambiguous, letter, verdict, now=self._clock.now())

    # The proof

    async def _look(self, claim: Claim) -> None:
        letter = claim.letter
        try:
            graph = await self._graphs.graph(letter.account_id)
            found = await look(graph, claim.user, letter)
        except FAILURES as failure:
            log.warning("letter could not be looked for", extra={**_fields(letter), **_why(failure)})
            verdict = judge(failure, letter.attempts)
            await self._commit(commits.look_failed, letter, verdict, now=self._clock.now())
            return
        if found.sent is not None:
            await self._commit(commits.seen_sent, letter, found.sent, now=self._clock.now())
            log.info("letter found sent", extra=_fields(letter))
        elif found.has_draft(letter.graph_id):
            await self._commit(commits.seen_draft, letter, now=self._clock.now())
        else:
            await self._commit(commits.not_found, letter, now=self._clock.now())

    async def _commit(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, and go on trying while the file cannot be written: what Graph has done must not be forgotten."""
        while True:
            try:
                return await self._store.write(work, *args, **kwargs)
            except StorageUnavailable:
                log.warning("the store is not to be had; trying again")
                await self._clock.sleep(STORE_RETRY)


def _fields(letter: Letter) -> dict[str, object]:
    return {"message_id": letter.message_id, "mailbox_id": letter.mailbox_id, "attempt": letter.attempts}


def _why(failure: Failure) -> dict[str, object]:
    return failure.log_fields() if isinstance(failure, GraphError | TokenError) else {"error": "NotConnected"}
