"""Rich notifications or plain ones: what a folder is to have, and when rich ones are given up for a while. Pure.

Rich ones only save work, so whatever is wrong with them is answered in one way: plain ones, for a day.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from storage.folders import WellKnown
from storage.rich_troubles import RichTrouble
from storage.subscriptions import Watch
from subscriptions.plan import CLOCK_NOISE

PLAIN_FOR: Final = timedelta(days=1)
# So often, and for so long: a burst of bad requests or a short outage of the signing keys proves nothing.
UNOPENED_TIMES: Final = 5
UNOPENED_FOR: Final = timedelta(minutes=15)
# In Sent Items nearly all that matters is ours, and what marks it as ours is a tag that no notification brings.
RICH_FOLDERS: Final = frozenset({WellKnown.INBOX.value})
TENANT_BY_NAME: Final = (
    "The tenant is entered by its domain name, and rich notifications can only be proven for its ID. "
    "Enter the tenant ID to have them."
)


def guid(text: str | None) -> UUID | None:
    """A GUID in any of its spellings, or None."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def is_to_be_rich(watch: Watch, now: datetime) -> bool:
    """Whether this folder is to have rich notifications where the gateway is set to have them."""
    if watch.well_known not in RICH_FOLDERS or guid(watch.tenant_id) is None:
        return False
    return not is_given_up(watch.plain_until, now)


def is_given_up(plain_until: datetime | None, now: datetime) -> bool:
    """Whether that day is not over. One that ends further ahead was begun by a clock that ran ahead."""
    return plain_until is not None and now < plain_until <= now + PLAIN_FOR + CLOCK_NOISE


def given_up(trouble: RichTrouble, reason: str, now: datetime) -> RichTrouble:
    """Plain notifications from now on, for a day."""
    return RichTrouble(folder_id=trouble.folder_id, plain_until=now + PLAIN_FOR, reason=reason)


def after_unopened(trouble: RichTrouble, reason: str, now: datetime) -> RichTrouble:
    """Another request whose content was not opened: count it, and give up after many in a row for long."""
    since = trouble.unopened_since
    since = now if since is None or since > now else since
    counted = replace(trouble, unopened=trouble.unopened + 1, unopened_since=since)
    if counted.unopened >= UNOPENED_TIMES and now - since >= UNOPENED_FOR:
        return given_up(counted, reason, now)
    return counted
