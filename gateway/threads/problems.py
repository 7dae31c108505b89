"""What to make of a pull that failed: what to tell people, and when to try again. Pure."""

from datetime import timedelta
from typing import Final

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, GraphError, NotFound, Throttled, TokenError, Unauthorized, Unreachable
from storage import StorageUnavailable

FIRST_WAIT: Final = timedelta(seconds=10)
LONGEST_WAIT: Final = timedelta(minutes=10)


def wait_after(error: Exception, failures: int, sweep_interval: timedelta) -> timedelta:
    """10 s, 20 s, 40 s, … up to 10 minutes or the sweep interval; never less than Graph or Entra asked for.

    `failures` is how many there were in a row before this one.
    """
    if isinstance(error, StorageUnavailable):  # whoever says so has waited until the file could be written again
        return timedelta(0)
    wait = min(FIRST_WAIT * 2.0 ** min(failures, 16), LONGEST_WAIT, max(sweep_interval, FIRST_WAIT))
    asked = error.retry_after if isinstance(error, GraphError | TokenError) else None
    return max(wait, asked or timedelta())


def plainly(error: Exception) -> str:
    """A sentence or two for the settings page; nothing of Graph's own words, which may name people."""
    match error:
        case TokenError():
            return f"{error.explanation} {error.cure}"
        case GraphError():
            return f"{_sentence(error)} {_code(error)}".strip()
        case TimeoutError():
            return "Reading this folder took too long. It goes on where it stopped."
        case NotConnected():
            return str(error)
        case StorageUnavailable():
            return "The gateway's database could not be written for a while."
    return "A fault of the gateway keeps it from reading this folder. Its log says more."


def _sentence(error: GraphError) -> str:
    match error:
        case Throttled():
            return "Microsoft 365 asks the gateway to wait."
        case AccessDenied() | Unauthorized():
            return (
                "Microsoft 365 does not let the app read this mailbox. Check the app's permission Mail.ReadWrite "
                "and the policies that limit it to some mailboxes."
            )
        case NotFound():
            return "Microsoft 365 does not find this mailbox. Check that it exists and has a licence."
        case Unreachable():
            return "Microsoft 365 cannot be reached. Check the network."
    return "Microsoft 365 cannot read this folder now."


def _code(error: GraphError) -> str:
    named = [f"code {error.code}"] if error.code else []
    named += [f"request {error.request_id}"] if error.request_id else []
    return f"({', '.join(named)})" if named else ""
