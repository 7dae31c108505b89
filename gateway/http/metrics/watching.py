"""Mail that comes in: what Graph told of, how fresh each folder is, how long it will go on telling, and what it did
not tell.
"""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric

from gateway.http.metrics.families import Scrape, by, by_all, total_by
from gateway.http.round_trips import seconds
from gateway.threads.standing import read_completeness
from storage import Transaction, folders, hints, mailboxes, round_trips, subscriptions
from storage.folders import Folder
from storage.subscriptions import SubscriptionState

OF_FOLDER = ("mailbox", "folder")


Watched = Mapping[tuple[str, ...], Folder]


def watched_folders(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How each folder of a validated mailbox is watched."""
    watched: Watched = {
        (box.address, folder.well_known.value): folder
        for box in mailboxes.list_validated(tx, scrape.account_id)
        for folder in folders.of_mailbox(tx, box.id)
    }
    yield from _hints(tx, scrape, watched)
    yield from _pulls(scrape, watched)
    if scrape.is_notified:
        yield _subscriptions(tx, scrape, watched)


def _hints(tx: Transaction, scrape: Scrape, watched: Watched) -> Iterable[Metric]:
    """What Graph told of and nobody has looked into yet."""
    found = {labels: hints.waiting(tx, folder.id) for labels, folder in watched.items()}
    yield by_all(
        OF_FOLDER,
        "hints_open",
        "Notifications of new mail that have not been looked into.",
        {labels: waiting.count for labels, waiting in found.items()},
    )
    yield by_all(
        OF_FOLDER,
        "oldest_open_hint_seconds",
        "How long ago the oldest notification came that has not been looked into; 0 when none waits. Over some "
        "minutes, pulls fail, or there are too many: see folder_pull_failures.",
        {labels: scrape.since(waiting.oldest_at) for labels, waiting in found.items()},
    )


def _pulls(scrape: Scrape, watched: Watched) -> Iterable[Metric]:
    """How old what we know of each folder is."""
    yield by_all(
        OF_FOLDER,
        "folder_pull_age_seconds",
        "How long ago a folder was last read to its end; none before the first pull. Over twice the sweep interval, "
        "replies may be waiting in Microsoft 365.",
        {labels: age for labels, folder in watched.items() if (age := pull_age(folder, scrape)) is not None},
    )
    yield by_all(
        OF_FOLDER,
        "folder_pull_failures",
        "Pulls of a folder that have failed in a row; the settings page says why.",
        {labels: folder.failures for labels, folder in watched.items()},
    )


def pull_age(folder: Folder, scrape: Scrape) -> float | None:
    """A round that takes several pulls is not at its end before its last."""
    known = [at for at in (folder.last_pulled_at, folder.round_began_at) if at is not None]
    return scrape.since(min(known)) if known else None


def _subscriptions(tx: Transaction, scrape: Scrape, watched: Watched) -> Metric:
    """How long Graph will go on telling of each folder."""
    ends = {
        one.folder_id: one.expiration_date_time
        for one in subscriptions.open_of_account(tx, scrape.account_id)
        if one.state is SubscriptionState.LIVE and one.expiration_date_time is not None
    }
    left = {
        labels: max((ends.get(folder.id, scrape.now) - scrape.now).total_seconds(), 0.0)
        for labels, folder in watched.items()
    }
    return by_all(
        OF_FOLDER,
        "subscription_left_seconds",
        "How long the subscription of a folder is still good for; 0 when there is none, and nothing at all without a "
        "public URL. It is renewed at half of its life; when it goes on falling, see the settings page for why.",
        left,
    )


def completeness_of_mail(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What was not told of, what is not here, and where that is not known."""
    found = {
        box.address: read_completeness(tx, box, scrape.now) for box in mailboxes.list_validated(tx, scrape.account_id)
    }
    yield total_by(
        "mailbox",
        "mail_unannounced",
        "Mails that a sweep found and stored though no notification had told of them. When it grows, notifications get "
        "lost on their way: see the proxy's log, and whether answers are slow.",
        {address: known.unannounced for address, known in found.items()},
    )
    yield by(
        "mailbox",
        "mail_missing",
        "Mails that the last check found in Microsoft 365 and not here; none for a mailbox that was never checked. "
        "They are fetched by themselves; when it stays, look at the mailbox on the settings page.",
        {address: known.check.missing for address, known in found.items() if known.check.missing is not None},
    )
    yield by(
        "mailbox",
        "delivery_gaps_open",
        "Times in which mail may have been missed that no pull has passed yet.",
        {address: len(known.gaps) for address, known in found.items()},
    )


def round_trips_of_mailboxes(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """Whether mail leaves each mailbox and comes back, as the last letter to itself showed."""
    found = {
        box.address: round_trips.last_verdict(tx, box.id) for box in mailboxes.list_validated(tx, scrape.account_id)
    }
    known = {address: trip for address, trip in found.items() if trip is not None}
    yield by(
        "mailbox",
        "mailbox_healthy",
        "1 when the last round trip came back in time, 0 when a step of it was late; none before the first. The "
        "settings page says which step.",
        {address: int(trip.missed is None) for address, trip in known.items()},
    )
    took = {address: seconds(trip) for address, trip in known.items()}
    yield by(
        "mailbox",
        "round_trip_seconds",
        "How long the last round trip took; none for one that did not come back.",
        {address: time for address, time in took.items() if time is not None},
    )
