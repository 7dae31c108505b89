"""The composition root: the one place that builds the long-lived objects and joins them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import httpx
from starlette.applications import Starlette

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
from gateway.space import Space, space_for
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything stands on. `session_key` signs the cookies of people."""

    settings: Settings
    clock: Clock
    store: storage.Store
    key: LiveKey
    session_key: bytes = field(repr=False)
    http: httpx.AsyncClient
    connections: Connections
    budgets: BudgetBook
    meters: Meters


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What answers to requests and loops at work have in common."""

    setup: Setup
    privacy: PrivacyDesk
    bodies: Bodies
    webhooks: HostWebhooks
    trail: Trail
    door: Door
    callers: Callers
    certificates: Certificates
    openings: Openings
    backups: BackupKeeper
    space: Space
    pulse: Pulse
    health: Health
    stopping: asyncio.Event


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
    async with AsyncExitStack() as stack:
        ground = await _ground(stack, settings, clock or SystemClock(), http, login_http, observer)
        rooms = _rooms(ground)
        poster = Poster(settings.webhook_networks)
        stack.push_async_callback(poster.aclose)
        app = create_app(_services(ground, rooms))
        stack.push_async_callback(rooms.trail.close)
        yield _gateway(ground, rooms, app, post or poster)


async def _ground(
    stack: AsyncExitStack,
    settings: Settings,
    clock: Clock,
    http: httpx.AsyncClient | None,
    login_http: httpx.Client | None,
    observer: Observer,
) -> Ground:
    opening = storage.open_store(settings.database, before_change=backup_before_change(settings, clock))
    store, meters = await stack.enter_async_context(opening), Meters()
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
        login_http=login_http if login_http is not None else stack.enter_context(build_login_http(settings.ca_file)),
        observer=meters.graph.heard_by(observer),
        on_wait=meters.graph.told_to_wait,
        budgets=budgets,
    )
    return Ground(
        settings=settings,
        clock=clock,
        store=store,
        key=key,
        session_key=master_key.derive("sessions"),
        http=http,
        connections=connections,
        budgets=budgets,
        meters=meters,
    )


def _rooms(ground: Ground) -> Rooms:
    settings, clock, store, key = ground.settings, ground.clock, ground.store, ground.key
    pace, pulse, space, bodies = Pace(), Pulse(), space_for(settings, clock), Bodies()
    backups, door, certificates = BackupKeeper(settings, clock), Door(pace), Certificates(store, key, clock)
    openers = Openers(ground.http, login_url=settings.login_url, clock=clock)
    outside = Outside(clock, ground.http)
    return Rooms(
        setup=Setup(store, ground.connections, clock, key, settings, outside=outside),
        privacy=PrivacyDesk.on(store, ground.connections, clock, Shelf.of(settings), forget=bodies.forget),
        bodies=bodies,
        webhooks=HostWebhooks(store, key, clock),
        trail=Trail(store, clock),
        door=door,
        callers=Callers(),
        certificates=certificates,
        openings=Openings(store, certificates, openers, clock, count=door.opened),
        backups=backups,
        space=space,
        pulse=pulse,
        health=Health(store, clock, pace, space=space, pulse=pulse, backups=lambda: backups.standing),
        stopping=asyncio.Event(),
    )


def _services(ground: Ground, rooms: Rooms) -> Services:
    settings, clock, store = ground.settings, ground.clock, ground.store
    longest_body = MAX_RICH_BODY_BYTES if settings.rich_notifications else MAX_BODY_BYTES
    return Services(
        store=store,
        clock=clock,
        settings=settings,
        linking=Linking(store, ground.connections, clock),
        receiver=Receiver(store, clock, openings=rooms.openings, longest_body=longest_body),
        attachments=AttachmentReader(store, ground.connections),
        door=rooms.door,
        trail=rooms.trail,
        privacy=rooms.privacy,
        setup=rooms.setup,
        webhooks=rooms.webhooks,
        readiness=rooms.health,
        session_key=ground.session_key,
        running_since=clock.now(),
        stopping=rooms.stopping,
        callers=rooms.callers,
        meters=ground.meters,
        space=rooms.space,
        bodies=rooms.bodies,
        backups=lambda: rooms.backups.standing,
    )


def _gateway(ground: Ground, rooms: Rooms, app: Starlette, post: Post) -> Gateway:
    settings, clock, store, connections = ground.settings, ground.clock, ground.store, ground.connections
    owner = uuid.uuid4().hex
    return Gateway(
        app=app,
        clock=clock,
        store=store,
        connections=connections,
        budgets=ground.budgets,
        meters=ground.meters,
        session_key=ground.session_key,
        setup=rooms.setup,
        privacy=rooms.privacy,
        webhooks=rooms.webhooks,
        trail=rooms.trail,
        callers=rooms.callers,
        openings=rooms.openings,
        backups=rooms.backups,
        pulse=rooms.pulse,
        health=rooms.health,
        stopping=rooms.stopping,
        outbox=OutboxWorker(store, connections, clock, owner=owner, allowance=settings.rules.allowance),
        puller=Puller(store, connections, clock, owner=owner, sweep_interval=settings.sweep_interval),
        elsewhere=Elsewhere(store, connections, clock, interval=settings.elsewhere_interval),
        indexer=Indexer(store, clock),
        merger=Merger(store, clock),
        completeness=CompletenessCheck(store, connections, clock),
        keeper=_keeper(ground, rooms.certificates),
        tidier=Tidier(store, connections, clock),
        expiry=ExpiryWatch(store, clock),
        expiry_reader=ExpiryReader(store, connections, clock),
        housekeeping=Housekeeping(store, clock),
        deliverer=Deliverer(store, post, ground.key, clock, count=ground.meters.deliveries.attempted),
        mark=Mark(settings.database, store, clock),
        levels=Levels(store, clock, settings.log_level),
    )


def _keeper(ground: Ground, certificates: Certificates) -> Keeper:
    return Keeper(
        ground.store,
        SubscriptionSource(ground.connections),
        ground.clock,
        ground.settings.public_url,
        certificates=certificates,
        rich=ground.settings.rich_notifications,
        unit=tracing.begun,
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
