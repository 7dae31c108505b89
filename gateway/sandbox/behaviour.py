"""What Microsoft 365 does differently from tenant to tenant and from day to day, as settings of the sandbox."""

from dataclasses import dataclass, replace
from datetime import timedelta

MINIMUM_SUBSCRIPTION = timedelta(minutes=45)
"""A shorter life is raised to this (Graph reference, resources/subscription)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How this Microsoft 365 behaves where the documentation is silent, contradicts itself, or promises only a range.

    The defaults are quick enough to watch and slow enough to be real; tests run with the delays of `at_once()`.
    The limits are Exchange Online's; None switches one off.
    """

    latency: timedelta = timedelta(0)
    """How long every call takes, and is in flight. In a batch each item takes so long."""
    mailbox_concurrency: int | None = 4
    """Calls in flight of one app in one mailbox; one more gets 429 (concepts/throttling-limits)."""
    requests_per_10_minutes: int | None = 10_000
    """Of one app in one mailbox; then 429 (concepts/throttling-limits)."""
    upload_bytes_per_5_minutes: int | None = 150_000_000
    """In bodies of PATCH, POST and PUT, of one app in one mailbox; then 429 (concepts/throttling-limits)."""
    letters_per_minute: int | None = 30
    """Of one mailbox; the excess leaves in the following minutes (exo-limits)."""
    recipients_per_day: int | None = 10_000
    """Of one mailbox in 24 hours; a letter over it comes back as an NDR 5.1.90 (exo-limits)."""

    immutable_ids_survive_send: bool = True
    """The docs promise that a draft's immutable id reads the sent copy later; users report that it changed."""
    internet_message_id_survives_send: bool = True
    """Sent by Graph the draft's Message-ID stays findable; sent by classic Outlook it changes."""
    draft_visible_while_sending: bool = True
    """Whether the draft stands in Drafts until its copy is in Sent Items, or is nowhere in between."""
    repeated_send_sends_again: bool = True
    """What a second /send does while the first is under way: send again, or nothing. Undocumented, so the worse."""
    sent_copy_delay: timedelta = timedelta(milliseconds=200)
    sent_copy_delay_most: timedelta | None = None
    """If given, each copy takes a time of its own, drawn evenly between `sent_copy_delay` and this."""
    tag_search_delay: timedelta = timedelta(0)
    """How long a message is in its mailbox before a `$filter` by extended property finds it. The docs are silent."""
    reply_delay: timedelta = timedelta(seconds=1)
    """How long correspondents think before they answer."""
    reply_drafts_take_extended_properties: bool = False
    """Whether reply and createReply keep extended properties; the docs name only POST and PATCH of messages."""
    delivery_delay: timedelta = timedelta(0)
    """How long mail travels between mailboxes, and before a report of non-delivery comes back."""
    notifications: bool = True
    """Whether change notifications are sent at all. Handshakes and lifecycle notifications always are."""
    notification_delay: timedelta = timedelta(milliseconds=50)
    notifications_lost: float = 0.0
    """The share of change notifications, from 0 to 1, that are never sent. The world's seed decides which."""
    notifications_doubled: float = 0.0
    """The share of change notifications that are sent twice."""
    notifications_shuffled: bool = False
    """Whether what gathers for a URL leaves in any order."""
    early_notifications: float = 0.0
    """The share of arriving mail that is told of `early_by` before it can be read, and not again when it can."""
    early_by: timedelta = timedelta(seconds=5)
    notifications_per_request: int = 100
    notification_retry_delays: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (1, 2, 5, 10, 30, 60, 300))
    """The growing waits after an answer that is not 2xx or comes late; then the notification is lost."""
    validation_tokens: bool = True
    """Whether rich notifications bring them; null if the app demands an assignment that Change Tracking lacks."""
    validation_tokens_of_version_2: bool = False
    """The version follows from the app's registration; each has an issuer of its own."""
    max_subscription_minutes: int = 10_070
    """The live service refuses more, although the docs say 10,080."""
    max_rich_subscription_minutes: int = 1_440
    subscription_permissions: frozenset[str] = frozenset({"Mail.Read", "Mail.ReadWrite"})
    """Which roles may subscribe to mail. Some tenants want Mail.Read even beside Mail.ReadWrite."""
    read_basic_may_look_up: bool = True
    """Whether User.ReadBasic.All can read users app-only: the docs and users contradict each other."""
    token_lifetime: timedelta = timedelta(seconds=3599)
    delta_page_size: int = 10
    """Messages on a delta page when the request does not say. Microsoft's docs are silent."""
    user_page_size: int = 100
    subscription_page_size: int = 100
    upload_session_lifetime: timedelta = timedelta(hours=1)
    max_upload_piece_bytes: int | None = 4 * 1024 * 1024
    """What one PUT may hold; then 413. The docs only advise it "for better performance", so keep to it."""

    @classmethod
    def at_once(cls) -> "Behaviour":
        """No waiting for anything but the retries of failed notifications; of the limits only that of concurrency."""
        return cls(
            sent_copy_delay=timedelta(0),
            reply_delay=timedelta(0),
            notification_delay=timedelta(0),
            requests_per_10_minutes=None,
            upload_bytes_per_5_minutes=None,
            letters_per_minute=None,
            recipients_per_day=None,
        )

    @classmethod
    def unlimited(cls) -> "Behaviour":
        """The same without any limit: for measuring others."""
        return replace(cls.at_once(), mailbox_concurrency=None, max_upload_piece_bytes=None)
