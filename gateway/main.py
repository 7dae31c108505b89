"""The composition root: the one place that builds the long-lived objects and joins them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Final

import httpx

import storage
from gateway import tracing
from gateway.backups.keeper import BackupKeeper
from gateway.backups.shelf import Shelf
from gateway.backups.upgrading import backup_before_change
from gateway.budgets import BudgetBook
from gateway.clock import Clock, SystemClock
from gateway.connections import Connections
from gateway.graph import Observer, build_http, build_login_http
from gateway.host.deliver import Deliverer, Post
from gateway.host.post import Poster
from gateway.host.webhooks import HostWebhooks
from gateway.housekeeping import Housekeeping
from gateway.http.app import create_app
from gateway.http.auditing import Trail
from gateway.http.callers import Callers
from gateway.http.door import Door
from gateway.http.services import Services
from gateway.levels import Levels
from gateway.master_key import LiveKey, unlock
from gateway.meters import Meters
from gateway.notify import Supervisor
from gateway.pace import Pace
from gateway.privacy.desk import PrivacyDesk
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.restored import Mark
from gateway.rich import Openers
from gateway.running import NOBODY, Gateway, run
from gateway.sending.tidy import Tidier
from gateway.sending.worker import OutboxWorker
from gateway.serving import collect_seldom, hand_over_soon, listen, stop_signal
from gateway.settings import Settings
from gateway.setup.expiry import ExpiryWatch
from gateway.setup.expiry_reader import ExpiryReader
from gateway.setup.outside import Outside
from gateway.setup.service import Setup
from gateway.space import space_for
from gateway.subscribing import SubscriptionSource
from gateway.threads.attachments import AttachmentReader
from gateway.threads.bodies import Bodies
from gateway.threads.completeness import CompletenessCheck
from gateway.threads.elsewhere import Elsewhere
from gateway.threads.indexing import Indexer
from gateway.threads.linking import Linking
from gateway.threads.merging import Merger
from gateway.threads.opening import Openings
from gateway.threads.pull import Puller
from storage import accounts
from subscriptions.certificates import Certificates
from subscriptions.keeper import Keeper
from subscriptions.notifications import MAX_BODY_BYTES, MAX_RICH_BODY_BYTES
from subscriptions.receiver import Receiver

DEFAULT_ACCOUNT: Final = "SELMA"


@asynccontextmanager
async def gateway(
    settings: Settings,
    *,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
    login_http: httpx.Client | None = None,
    observer: Observer = lambda call: None,
    post: Post | None = None,
) -> AsyncIterator[Gateway]:
    """Build the gateway; nothing runs until `work`. What is passed in stays the caller's to close.

    Raises `storage.StorageError` and its children with sentences for the operator.
    """
    clock = clock or SystemClock()
    owner, meters = uuid.uuid4().hex, Meters()
    async with AsyncExitStack() as stack:
        opening = storage.open_store(settings.database, before_change=backup_before_change(settings, clock))
        store = await stack.enter_async_context(opening)
        store.observer = meters.store
        master_key = await unlock(store, settings, clock)
        key = LiveKey(master_key, settings)
        await store.write(ensure_account, now=clock.now())
        budgets = BudgetBook(store, clock, settings.limits)
        http = http if http is not None else await stack.enter_async_context(build_http(settings.ca_file))
        connections = Connections(
            store,
            key,
            settings,
            clock,
            http=http,
            login_http=login_http
            if login_http is not None
            else stack.enter_context(build_login_http(settings.ca_file)),
            observer=meters.graph.heard_by(observer),
            on_wait=meters.graph.told_to_wait,
            budgets=budgets,
        )
        webhooks = HostWebhooks(store, key, clock)
        poster = Poster(settings.webhook_networks)
        stack.push_async_callback(poster.aclose)
        stopping, session_key = asyncio.Event(), master_key.derive("sessions")
        pace = Pace()
        space, pulse = space_for(settings, clock), Pulse()
        backups = BackupKeeper(settings, clock)
        health = Health(store, clock, pace, space=space, pulse=pulse, backups=lambda: backups.standing)
        setup = Setup(store, connections, clock, key, settings, outside=Outside(clock, http))
        door, trail = Door(pace), Trail(store, clock)
        bodies = Bodies()
        privacy = PrivacyDesk.on(store, connections, clock, Shelf.of(settings), forget=bodies.forget)
        certificates = Certificates(store, key, clock)
        openers = Openers(http, login_url=settings.login_url, clock=clock)
        openings = Openings(store, certificates, openers, clock, count=door.opened)
        longest_body = MAX_RICH_BODY_BYTES if settings.rich_notifications else MAX_BODY_BYTES
        receiver = Receiver(store, clock, openings=openings, longest_body=longest_body)
        keeper = Keeper(
            store,
            SubscriptionSource(connections),
            clock,
            settings.public_url,
            certificates=certificates,
            rich=settings.rich_notifications,
            unit=tracing.begun,
        )
        callers = Callers()
        app = create_app(
            Services(
                store=store,
                clock=clock,
                settings=settings,
                linking=Linking(store, connections, clock),
                receiver=receiver,
                attachments=AttachmentReader(store, connections),
                door=door,
                trail=trail,
                privacy=privacy,
                setup=setup,
                webhooks=webhooks,
                readiness=health,
                session_key=session_key,
                running_since=clock.now(),
                stopping=stopping,
                callers=callers,
                meters=meters,
                space=space,
                bodies=bodies,
                backups=lambda: backups.standing,
            )
        )
        stack.push_async_callback(trail.close)
        yield Gateway(
            session_key=session_key,
            app=app,
            clock=clock,
            store=store,
            connections=connections,
            budgets=budgets,
            setup=setup,
            outbox=OutboxWorker(store, connections, clock, owner=owner, allowance=settings.rules.allowance),
            puller=Puller(store, connections, clock, owner=owner, sweep_interval=settings.sweep_interval),
            elsewhere=Elsewhere(store, connections, clock, interval=settings.elsewhere_interval),
            indexer=Indexer(store, clock),
            merger=Merger(store, clock),
            completeness=CompletenessCheck(store, connections, clock),
            openings=openings,
            trail=trail,
            privacy=privacy,
            backups=backups,
            keeper=keeper,
            tidier=Tidier(store, connections, clock),
            expiry=ExpiryWatch(store, clock),
            expiry_reader=ExpiryReader(store, connections, clock),
            housekeeping=Housekeeping(store, clock),
            webhooks=webhooks,
            deliverer=Deliverer(store, post or poster, key, clock, count=meters.deliveries.attempted),
            mark=Mark(settings.database, store, clock),
            callers=callers,
            levels=Levels(store, clock, settings.log_level),
            health=health,
            meters=meters,
            pulse=pulse,
            stopping=stopping,
        )


def ensure_account(tx: storage.Transaction, *, now: datetime) -> accounts.Account:
    """The first account, made at first start; most gateways never have another."""
    known = accounts.all_of_them(tx)
    return known[0] if known else accounts.add(tx, DEFAULT_ACCOUNT, now=now)


async def serve(settings: Settings, *, until: asyncio.Event | None = None, supervisor: Supervisor = NOBODY) -> None:
    """Run the gateway until SIGTERM or SIGINT, or until `until` is set; then hand work back and return.

    A worker that dies ends it with that worker's exception.
    """
    stop = until or stop_signal()
    with listen(settings.host, settings.port) as listener:
        async with gateway(settings) as built:
            collect_seldom()
            hand_over_soon()
            await run(built, listener, stop, supervisor)
