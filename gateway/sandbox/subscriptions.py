"""Who wants to be told of what: the store of Graph subscriptions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gateway.sandbox.changes import ChangeType
from gateway.sandbox.clock import Clock
from gateway.sandbox.mailbox import Event


@dataclass(slots=True, kw_only=True)
class Subscription:
    """A Graph subscription to the messages of a mailbox, or of one of its folders."""

    id: str
    app_id: str
    creator_id: str
    resource: str
    """As the app wrote it."""
    mailbox_id: str
    folder_id: str | None
    change_types: tuple[ChangeType, ...]
    notification_url: str
    lifecycle_notification_url: str | None
    client_state: str | None
    expiration_date_time: datetime
    latest_supported_tls_version: str = "v1_2"
    immutable_ids: bool = False
    matches_nothing: bool = False
    """A filter on extended properties is accepted, and then no notification ever comes."""
    include_resource_data: bool | None = None
    encryption_certificate: str | None = None
    encryption_certificate_id: str | None = None

    @property
    def change_type(self) -> str:
        """Graph's comma list."""
        return ",".join(self.change_types)

    @property
    def key(self) -> tuple[str, str, str | None, frozenset[ChangeType]]:
        """What may exist only once: app, mailbox, folder and kinds of change."""
        return self.app_id, self.mailbox_id, self.folder_id, frozenset(self.change_types)

    def wants(self, event: Event) -> bool:
        """Whether this event is to be told. One mailbox-wide sees a move as `created` only."""
        if self.matches_nothing or event.mailbox.user.id != self.mailbox_id:
            return False
        if self.folder_id is None and event.is_move and event.change_type is ChangeType.DELETED:
            return False
        return self.folder_id in (None, event.folder_id) and event.change_type in self.change_types


class Subscriptions:
    """The living subscriptions. Expired ones vanish by themselves."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._subscriptions: dict[str, Subscription] = {}

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.id] = subscription

    def find(self, subscription_id: str) -> Subscription | None:
        self._forget_expired()
        return self._subscriptions.get(subscription_id)

    def remove(self, subscription_id: str) -> Subscription:
        """Raises KeyError if there is none."""
        return self._subscriptions.pop(subscription_id)

    def of_app(self, app_id: str) -> list[Subscription]:
        return [subscription for subscription in self if subscription.app_id == app_id]

    def twin_of(self, candidate: Subscription) -> Subscription | None:
        """A living one for the same combination."""
        return next((other for other in self if other.key == candidate.key), None)

    def __iter__(self) -> Iterator[Subscription]:
        self._forget_expired()
        return iter(list(self._subscriptions.values()))

    def _forget_expired(self) -> None:
        now = self._clock.now()
        for subscription in [s for s in self._subscriptions.values() if s.expiration_date_time <= now]:
            del self._subscriptions[subscription.id]
