"""The keeper: carries out what `plan` says, for all folders of all validated mailboxes.

What is due is always a question to the table, each attempt is committed before Graph is asked, and no transaction is
open while Graph is. So a crash, a lost answer or a clock that jumps delays a step and loses nothing.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Final

import storage
from storage import subscriptions
from storage.subscriptions import Watch
from subscriptions import ledger
from subscriptions.addresses import notification_url_of
from subscriptions.certificates import Certificates
from subscriptions.clock import Clock
from subscriptions.comparing import missing, strays
from subscriptions.creating import Creator, delete_doubles, log_fields
from subscriptions.graph import (
    Encryption,
    GraphBusy,
    GraphSource,
    GraphSubscriptions,
    SubscribingFailed,
    SubscriptionGone,
    SubscriptionRefused,
)
from subscriptions.ledger import Claimed
from subscriptions.plan import Create, Delete, Reauthorize, Renew, after_failure

log = logging.getLogger(__name__)

STEP_TIMEOUT_S: Final = 180.0  # two handshakes of 10 s, and Graph's own retries; must be below the lease
OUR_FAULT: Final = "A fault of the gateway, described in its log. It tries again."


class Keeper:
    """Keeps one live subscription on every folder that is to be watched, and none on any other.

    Without `public_url` there are none: the folders are pulled at intervals all the same. With `rich` and
    `certificates` they bring encrypted metadata, where they can. `unit` surrounds each piece of work.
    """

    def __init__(
        self,
        store: storage.Store,
        graphs: GraphSource,
        clock: Clock,
        public_url: str | None,
        *,
        certificates: Certificates | None = None,
        rich: bool = False,
        random: random.Random = random.SystemRandom(),  # noqa: B008 - stateless, safe to share
        unit: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock
        self._unit = unit
        self._notification_url = None if public_url is None else notification_url_of(public_url)
        self._random = random
        self._one_run = asyncio.Lock()
        self._creator = Creator(store, clock)
        self._certificates = certificates
        self._rich = rich and certificates is not None

    async def run(self, tick: asyncio.Event) -> None:
        """Take up what the last run left, then work whenever the tables change or `tick` is set. Never returns."""
        if self._notification_url is None:
            log.warning("no public URL: mail is found by looking at intervals, not by notifications")
        recovered = False
        with self._store.watching("subscriptions", "accounts") as woken:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(tick, woken), name="subscriptions tick")
                while True:
                    woken.clear()
                    try:
                        if not recovered:
                            await self.recover()
                            recovered = True
                        await self.run_due()
                    except storage.StorageUnavailable:
                        log.warning("subscriptions wait for the store")
                    await woken.wait()

    async def recover(self) -> None:
        """At start: take up the steps that the last run did not finish, and compare with Graph at the next run."""
        await self._store.write(ledger.take_up, self._clock.now())

    async def repair(self, account_id: str) -> int:
        """A person asks: try again now whatever failed, and compare with Graph. As `run_due`."""
        await self._store.write(ledger.hurry, account_id, self._clock.now())
        return await self.run_due()

    async def run_due(self) -> int:
        """Take every step that is due, until none is; how many. Raises `StorageUnavailable`."""
        taken = 0
        async with self._one_run:
            await self._compare_due()
            while due := await self._claim_due():
                async with asyncio.TaskGroup() as group:
                    for claimed in due:
                        group.create_task(self._take(claimed))
                taken += len(due)
        return taken

    async def refresh(self, account_id: str) -> None:
        """Compare the table with Graph's list: what is missing there is made anew, what nobody knows here is deleted.

        Raises `SubscribingFailed`. Others' subscriptions are never touched.
        """
        before = await self._store.read(_watches_of, account_id)
        graph = await self._graphs.subscriptions(account_id)
        listed = await graph.list_all()
        for watch in missing(before, listed):
            await self._look_for(graph, watch)
        ours = await self._store.read(ledger.what_is_ours, account_id, self._notification_url, self._clock.now())
        await delete_doubles(graph, strays(ours, listed))
        await self._store.write(ledger.compared, account_id, self._clock.now())
        if self._certificates is not None:
            await self._certificates.forget_obsolete(account_id)

    async def _compare_due(self) -> None:
        with_public_url = self._notification_url is not None
        due = await self._store.write(ledger.claim_comparisons, self._clock.now(), with_public_url=with_public_url)
        for account_id in due:
            try:
                with self._unit():
                    async with asyncio.timeout(STEP_TIMEOUT_S):
                        await self.refresh(account_id)
            except storage.StorageUnavailable:
                raise
            except (SubscribingFailed, TimeoutError) as error:
                fields = {"account_id": account_id, "error": type(error).__name__}
                log.warning("subscriptions not compared", extra=fields | _details(error))
            except Exception:
                log.exception("comparing subscriptions broke", extra={"account_id": account_id})

    async def _look_for(self, graph: GraphSubscriptions, watch: Watch) -> None:
        """A list may be behind; only asking for the one proves that it is gone."""
        try:
            await graph.get(watch.subscription.subscription_id or "")
        except SubscriptionGone:
            await self._lost(watch)

    async def _claim_due(self) -> list[Claimed]:
        return await self._store.write(
            ledger.claim_due,
            self._clock.now(),
            notification_url=self._notification_url,
            rich=self._rich,
        )

    async def _take(self, claimed: Claimed) -> None:
        """Take one step. Whatever happens to it stays with it: it is tried again later, and the others go on."""
        try:
            with self._unit():
                await self._try(claimed)
        except storage.StorageUnavailable:
            log.warning("subscription step not recorded", extra=log_fields(claimed.watch))

    async def _try(self, claimed: Claimed) -> None:
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await self._carry_out(claimed)
        except storage.StorageUnavailable:
            raise
        except SubscribingFailed as error:
            await self._failed(claimed, error)
        except TimeoutError:
            await self._failed(claimed, GraphBusy(f"Graph did not answer within {STEP_TIMEOUT_S:.0f} seconds."))
        except Exception as error:
            log.exception("subscription step broke", extra=log_fields(claimed.watch))
            await self._failed(claimed, SubscribingFailed(OUR_FAULT, details={"error": type(error).__name__}))

    async def _carry_out(self, claimed: Claimed) -> None:
        watch, subscription_id = claimed.watch, claimed.watch.subscription.subscription_id or ""
        graph = await self._graphs.subscriptions(watch.subscription.account_id)
        try:
            match claimed.step:
                case Create() as step if self._notification_url is not None:
                    encryption = await self._encryption(watch) if step.rich else None
                    await self._creator.create(graph, watch, step, self._notification_url, encryption)
                case Renew(until=until):
                    await self._renew(graph, watch, until)
                case Reauthorize():
                    await graph.reauthorize(subscription_id)
                    await self._store.write(ledger.reauthorized, watch.subscription.id, self._clock.now())
                case Delete():
                    await graph.delete(subscription_id)
                    await self._store.write(ledger.ended, watch.subscription.id)
                    log.info("unsubscribed", extra=log_fields(watch))
        except SubscriptionGone:
            if isinstance(claimed.step, Create):
                raise
            await self._lost(watch)

    async def _renew(self, graph: GraphSubscriptions, watch: Watch, until: datetime) -> None:
        """A new end; and the current certificate, if that is another than Graph encrypts for."""
        subscription = watch.subscription
        encryption = await self._encryption(watch) if subscription.is_rich else None
        if encryption is not None and encryption.certificate_id == subscription.encryption_certificate_id:
            encryption = None
        refused = None
        try:
            granted = await graph.renew(subscription.subscription_id or "", until, encryption=encryption)
        except SubscriptionRefused as error:
            if encryption is None:
                raise
            refused = error
            granted = await graph.renew(subscription.subscription_id or "", until)
        certificate_id = None if encryption is None or refused else encryption.certificate_id
        now = self._clock.now()
        await self._store.write(ledger.renewed, subscription.id, granted, now, certificate_id=certificate_id)
        log.info("renewed", extra=log_fields(watch) | {"expires_at": granted.isoformat()})
        if refused:
            await self._store.write(ledger.replace_rich, subscription.id, now)
            log.warning("certificate not taken", extra=log_fields(watch) | {"plainly": refused.reason})

    async def _encryption(self, watch: Watch) -> Encryption | None:
        if self._certificates is None:
            return None
        return await self._certificates.current(watch.subscription.account_id)

    async def _lost(self, watch: Watch) -> None:
        await self._store.write(ledger.vanished, watch.subscription.id, self._clock.now())
        log.warning("subscription lost", extra=log_fields(watch))

    async def _failed(self, claimed: Claimed, error: SubscribingFailed) -> None:
        subscription = claimed.watch.subscription
        retry_after = error.retry_after if isinstance(error, GraphBusy) else None
        now = self._clock.now()
        again_at = after_failure(subscription, now, retry_after=retry_after, roll=self._random.random())
        await self._store.write(ledger.failed, subscription.id, error.reason, again_at=again_at)
        log.warning(
            "subscription step failed",
            extra=log_fields(claimed.watch)
            | {"step": type(claimed.step).__name__, "failures": subscription.failures, "plainly": error.reason}
            | {"again_in_s": round((again_at - now) / timedelta(seconds=1))}
            | error.details,
        )


def _watches_of(tx: storage.Transaction, account_id: str) -> list[Watch]:
    return [watch for watch in subscriptions.watches(tx) if watch.subscription.account_id == account_id]


def _details(error: Exception) -> dict[str, object]:
    return error.details if isinstance(error, SubscribingFailed) else {}


async def _pass_on(bell: asyncio.Event, woken: asyncio.Event) -> None:
    while True:
        await bell.wait()
        bell.clear()
        woken.set()
