"""Mail coming in: taking it in, being told of it, deciding about it, and that none of it is missing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from gateway.console.letters import MAILBOXES
from gateway.console.snapshot import DAY, Box, Snapshot, Watch
from gateway.console.stream import Act, Action, Flow, Stream, Trouble, counted, judged, lasting, link, off, slow, stuck
from gateway.threads.standing import MOST_SHOWN
from storage.flow import Queue
from storage.folders import WellKnown
from storage.subscriptions import Subscription, SubscriptionState

FOLDERS: Final = {WellKnown.INBOX: "Inbox", WellKnown.SENT_ITEMS: "Sent Items"}
OFTEN: Final = 3  # failures in a row: no hiccup any more
SLACK: Final = timedelta(minutes=5)
LONG_ROUND: Final = timedelta(hours=1)
LONG_GAP: Final = timedelta(hours=1)
FETCHED_WITHIN: Final = timedelta(hours=1)
CHECKS_LAST: Final = 2 * DAY  # checks are made nightly
CAME: Final = ("reply.received", "reply.automatic", "review.opened", "message.bounced")
NO_MAILBOX: Final = "No mailbox is validated yet."


def replies(s: Snapshot) -> Stream:
    """Whether what comes into the mailboxes is taken in."""
    name, title = "replies", "Replies in"
    if not s.boxes:
        return off(name, title, why=NO_MAILBOX, taken_at=s.now, actions=[MAILBOXES])
    waiting = [watch.hints.waiting for box in s.boxes for watch in box.watches]
    troubles = [one for box in s.boxes for one in (*_unread(box, s), *_stubborn(box))]
    return judged(
        name,
        title,
        well="New mail is taken in as it comes.",
        troubles=troubles,
        flow=Flow(
            noun="answer",
            last_hour=sum(s.happened.hour.get(one, 0) for one in CAME),
            last_day=sum(s.happened.day.get(one, 0) for one in CAME),
            at_least=not s.happened.is_whole,
            waiting=sum(one.count for one in waiting),
            oldest_at=min((one.oldest_at for one in waiting if one.oldest_at is not None), default=None),
        ),
        taken_at=s.now,
    )


def _unread(box: Box, s: Snapshot) -> Iterator[Trouble]:
    """Folders that cannot be read, or are not looked into any more: for each mailbox said once."""
    read_now = Action(label="Read it now", act=Act.PULL, target=box.mailbox.id, about=box.mailbox.address)
    failing = max((one.folder for one in box.watches if one.folder.problem), key=lambda one: one.failures, default=None)
    if failing is not None:
        told = f"{box.mailbox.address}: {failing.problem}"
        yield (stuck if failing.failures >= OFTEN else slow)(told, read_now, until=failing.next_pull_at)
        return
    for watch in box.watches:
        last = watch.folder.last_pulled_at or watch.folder.round_began_at
        if last is not None and s.now - last > 2 * s.sweeps + SLACK and watch.folder.next_pull_at < s.now - SLACK:
            told = f"{box.mailbox.address}: nobody has looked into {FOLDERS[watch.folder.well_known]} for "
            yield stuck(f"{told}{lasting(s.now - last)}. Look whether the gateway runs, and into its log.", read_now)
            return


def _stubborn(box: Box) -> Iterator[Trouble]:
    """Mail that was looked at and could not be taken in, again and again."""
    stubborn = sum(one.hints.stubborn for one in box.watches)
    if stubborn:
        again = Action(label="Try it again", act=Act.LOOK_AGAIN, target=box.mailbox.id, about=box.mailbox.address)
        told = f"{box.mailbox.address}: {counted(stubborn, 'mail')} could not be taken in. The gateway tries again"
        yield stuck(f"{told} every 10 minutes, and the log says why it failed.", again)


def watching(s: Snapshot) -> Stream:
    """Whether Microsoft 365 tells of new mail."""
    name, title = "watching", "Notifications of new mail"
    if not s.public:
        why = "Microsoft 365 cannot call this gateway (GATEWAY_PUBLIC_URL is not set): mail is found by looking "
        return off(name, title, why=f"{why}every {lasting(s.sweeps)}.", taken_at=s.now)
    if not s.boxes:
        return off(name, title, why=NO_MAILBOX, taken_at=s.now, actions=[MAILBOXES])
    repair = Action(label="Repair", act=Act.REPAIR)
    troubles = [one for box in s.boxes for one in _unwatched(box, s, repair)]
    live = sum(1 for box in s.boxes for watch in box.watches if _is_live(watch.subscription, s))
    ends = [
        watch.subscription.expiration_date_time
        for box in s.boxes
        for watch in box.watches
        if watch.subscription is not None and watch.subscription.expiration_date_time is not None
    ]
    left = f", the first for another {lasting(min(ends) - s.now)} unless renewed" if ends and live else ""
    return judged(
        name,
        title,
        well=f"{counted(live, 'subscription')} live{left}.",
        troubles=troubles,
        actions=[] if troubles else [repair],
        taken_at=s.now,
    )


def _is_live(one: Subscription | None, s: Snapshot) -> bool:
    if one is None or one.state is not SubscriptionState.LIVE or one.expiration_date_time is None:
        return False
    return one.expiration_date_time > s.now


def _unwatched(box: Box, s: Snapshot, repair: Action) -> Iterator[Trouble]:
    """Mail is found all the same, by sweeping; so the worst of a mailbox is said, and once."""
    dead = [watch for watch in box.watches if not _is_live(watch.subscription, s)]
    if not dead:
        return
    worst = max(dead, key=lambda one: one.subscription.failures if one.subscription else 0)
    yield _of_dead(box, worst, s, repair)


def _of_dead(box: Box, watch: Watch, s: Snapshot, repair: Action) -> Trouble:
    one, place = watch.subscription, f"{box.mailbox.address}, {FOLDERS[watch.folder.well_known]}"
    meanwhile = f"Until that is mended, mail is found by looking every {lasting(s.sweeps)}."
    if one is None:
        return slow(f"{place}: no notifications yet; they are about to be set up. {meanwhile}", repair)
    if one.state is SubscriptionState.LIVE:
        return stuck(f"{place}: the subscription has ended and could not be renewed. {meanwhile}", repair)
    if one.failures > 1 and one.problem is not None:
        told = f"{place}: notifications could not be set up. {one.problem} {meanwhile}"
        return stuck(told, repair, until=one.next_step_at)
    return slow(f"{place}: notifications are being set up. {meanwhile}", repair, until=one.next_step_at)


def backfill(s: Snapshot) -> Stream:
    """Whether mailboxes are read from their beginning, and folders that were begun again are read through."""
    name, title = "backfill", "Catching up"
    if not s.boxes:
        return off(name, title, why=NO_MAILBOX, taken_at=s.now, actions=[MAILBOXES])
    begun = [(box, watch) for box in s.boxes for watch in box.watches if _is_behind(watch)]
    troubles = [one for box, watch in begun for one in _held_up(box, watch, s)]
    well = "Every mailbox has been read through."
    if begun:
        well = f"{counted(len(begun), 'folder')} being read through from the beginning."
    return judged(
        name, title, well=well, troubles=troubles, flow=Flow(noun="folder", waiting=len(begun)), taken_at=s.now
    )


def _is_behind(watch: Watch) -> bool:
    """It was never read to its end, or a round that takes several pulls is under way."""
    return watch.folder.last_pulled_at is None or watch.folder.round_began_at is not None


def _held_up(box: Box, watch: Watch, s: Snapshot) -> Iterator[Trouble]:
    place = f"{box.mailbox.address}, {FOLDERS[watch.folder.well_known]}"
    read_now = Action(label="Read on now", act=Act.PULL, target=box.mailbox.id, about=place)
    if watch.folder.problem is not None:
        told = f"{place} cannot be read through: {watch.folder.problem}"
        yield (stuck if watch.folder.failures >= OFTEN else slow)(told, read_now, until=watch.folder.next_pull_at)
    elif watch.folder.round_began_at is not None and s.now - watch.folder.round_began_at > LONG_ROUND:
        told = f"{place} has been read for {lasting(s.now - watch.folder.round_began_at)} and is not through yet."
        yield slow(told, read_now)


def tray(s: Snapshot) -> Stream:
    """Whether people decide about mail of senders that nobody knows."""
    held, look = s.held_mail, link("Decide", "/reviews")
    troubles = [_undecided(held, s, look)] if held.count else []
    return judged(
        "tray",
        "Review tray",
        well="No mail waits for a decision.",
        troubles=troubles,
        flow=Flow(
            noun="mail",
            last_hour=s.happened.hour.get("review.opened", 0),
            last_day=s.happened.day.get("review.opened", 0),
            at_least=not s.happened.is_whole,
            waiting=held.count,
            oldest_at=held.oldest_at,
        ),
        taken_at=s.now,
    )


def _undecided(held: Queue, s: Snapshot, look: Action) -> Trouble:
    told = f"{counted(held.count, 'mail')} {'waits' if held.count == 1 else 'wait'} for a person to decide"
    if held.oldest_at is not None and s.now - held.oldest_at > DAY:
        return stuck(f"{told}, the oldest for {lasting(s.now - held.oldest_at)}.", look)
    return slow(f"{told}.", look)


def completeness(s: Snapshot) -> Stream:
    """Whether all mail of our conversations is here, as far as is known."""
    name, title = "completeness", "Completeness"
    if not s.boxes:
        return off(name, title, why=NO_MAILBOX, taken_at=s.now, actions=[MAILBOXES])
    is_checking = any(box.completeness.is_checking for box in s.boxes)
    check = [] if is_checking else [Action(label="Check now", act=Act.CHECK_COMPLETENESS)]
    checked = [box.completeness.check.checked_at for box in s.boxes]
    known = [at for at in checked if at is not None]
    troubles = [one for box in s.boxes for one in _incomplete(box, s)]
    well = "Nothing was missing at the last check of every mailbox."
    if len(known) < len(checked):
        well = "Being compared for the first time." if is_checking else "Not compared yet; that is done every night."
    elif is_checking:
        well = "Being compared with Microsoft 365 now. At the check before, nothing was missing."
    return judged(
        name,
        title,
        well=well,
        troubles=troubles,
        flow=Flow(noun="mail", waiting=sum(len(box.completeness.missing_mail) for box in s.boxes)),
        actions=check,
        taken_at=min(known) if known else s.now,
    )


def _incomplete(box: Box, s: Snapshot) -> Iterator[Trouble]:
    address, known = box.mailbox.address, box.completeness
    again = Action(label="Try it again", act=Act.LOOK_AGAIN, target=box.mailbox.id, about=address)
    check = known.check
    is_old = check.checked_at is None or s.now - check.checked_at > CHECKS_LAST
    if check.problem is not None:
        yield (stuck if is_old else slow)(f"{address} could not be compared: {check.problem}")
    elif check.checked_at is not None and is_old:
        yield slow(f"{address} has not been compared for {lasting(s.now - check.checked_at)}.")
    if known.missing_mail:
        missing = (
            len(known.missing_mail) if len(known.missing_mail) < MOST_SHOWN else max(check.missing or 0, MOST_SHOWN)
        )
        told = (
            f"{address}: {counted(missing, 'mail')} in Microsoft 365 and not here. What is missing is fetched by itself"
        )
        if s.now - known.missing_mail[0].missing_since > FETCHED_WITHIN:
            yield stuck(f"{told}, but this has not come. The log says why.", again)
        else:
            yield slow(f"{told}.")
    began = min((gap.began_at for gap in known.lasting), default=None)
    if began is not None and s.now - began > LONG_GAP:
        yield slow(f"{address}: for {lasting(s.now - began)} it has not been certain that all mail was seen.")
