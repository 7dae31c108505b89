"""Why a letter waits, failed, or needs a person, in plain words: one place, so that each reason is always the same."""

from collections.abc import Mapping
from typing import Any, Final

# Each reason with what to do about it: (explanation, cure).
PLAINLY: Final[Mapping[str, tuple[str, str]]] = {
    "not_connected": (
        "This account is not connected to Microsoft 365 yet.",
        "Enter tenant ID, client ID and client secret under Account-Level Configuration; the letter then leaves.",
    ),
    "no_token": ("Entra gives no token.", "Check the connection under Account-Level Configuration."),
    "recipients": (
        "Microsoft 365 does not accept one of the recipients.",
        "Check the addresses and post a new letter.",
    ),
    "too_large": (
        "The letter with its attachments is larger than the mailbox may send.",
        "Post a new letter with smaller attachments.",
    ),
    "send_as": (
        "Microsoft 365 does not let the app send from this address.",
        "Ask the tenant's admin about Send As rights, or send from another mailbox.",
    ),
    "mailbox": (
        "Microsoft 365 cannot serve this mailbox now: it may have lost its licence, moved or been deleted.",
        "Check the mailbox in the Microsoft 365 admin center, then validate it again under Mailbox Set-up.",
    ),
    "access": (
        "The app may not use this mailbox.",
        "Check the app's permissions and the policy that limits it to some mailboxes. A change takes up to 2 hours.",
    ),
    "quota": (
        "The mailbox is full, or has sent as much as it may for now.",
        "Make room in the mailbox, or wait: the gateway tries again.",
    ),
    "throttled": ("Microsoft 365 asks for patience with this mailbox.", "Nothing to do: the gateway tries again."),
    "unavailable": ("Microsoft 365 has trouble at the moment.", "Nothing to do: the gateway tries again."),
    "unreachable": (
        "Microsoft 365 cannot be reached.",
        "Check the gateway's network. The gateway tries again.",
    ),
    "item_gone": (
        "The letter's draft is not in the mailbox any more.",
        "Nothing to do: the gateway looks whether it was sent.",
    ),
    "headers": (
        "Microsoft 365 does not accept one of the letter's headers.",
        "Names must begin with x-, and there may be five at most. Post a new letter.",
    ),
    "original_gone": (
        "The mail that this letter answers is not in the mailbox any more, so it cannot be answered there.",
        "Post it as a new letter, without in_reply_to.",
    ),
    "budget": (
        "The letter waits its turn: the mailbox has sent as much as Microsoft 365 allows for now.",
        "Nothing to do: it leaves as soon as the limit allows.",
    ),
    "loop": (
        "The letter is held: its recipient answers automatically and has got as many letters within an hour as may be.",
        "Nothing to do: it leaves when the hour has passed. To let it go now, use Try again.",
    ),
    "released": (
        "A person has let this letter go, although its recipient answers automatically.",
        "Nothing to do: it leaves next.",
    ),
    "attachment_damaged": (
        "An attachment in the mailbox is not the file that was posted, also after it was uploaded again.",
        "Look at the draft in the mailbox, then send the letter anew or close it.",
    ),
    "upload_broken": (
        "The upload of an attachment broke off.",
        "Nothing to do: the gateway goes on with it.",
    ),
    "restored": (
        "The database was restored from a backup, so the gateway first looks whether this letter has left since.",
        "Nothing to do: it goes on by itself.",
    ),
    "not_understood": (
        "Microsoft 365 refused the letter for a reason that the gateway does not know.",
        "Look at the code. The letter was not sent; it can be sent anew or closed.",
    ),
    "unexpected": (
        "Microsoft 365 answered in a way that is not documented.",
        "Nothing to do: the gateway tries again. If it lasts, report it with the request id.",
    ),
    "internal": (
        "The gateway stumbled over this letter. This is a fault of the gateway.",
        "Please report it with the letter's id. The gateway tries again.",
    ),
    "interrupted": (
        "The gateway was interrupted while it sent this letter.",
        "Nothing to do: the gateway looks for it in the mailbox.",
    ),
    "not_seen": (
        "Microsoft 365 accepted the letter, but it has not appeared in Sent Items.",
        "Nothing to do: the gateway goes on looking.",
    ),
    "not_found": (
        "The letter was handed to Microsoft 365, but it is neither in Sent Items nor among the drafts.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "accepted_but_draft": (
        "Microsoft 365 accepted the letter, but it is still a draft.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "stays_draft": (
        "The letter was handed to Microsoft 365 several times and is still a draft.",
        "Look at the draft in the mailbox, then send the letter anew or close it.",
    ),
    "cannot_look": (
        "The letter was handed to Microsoft 365, but the mailbox could not be read since to see whether it was sent.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "draft_vanished": (
        "The letter's draft was handed to Microsoft 365 before and has disappeared since.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "mailbox_removed": (
        "The mailbox was removed from the gateway before the letter left.",
        "Post a new letter from another mailbox.",
    ),
    "closed": ("A person closed this letter.", ""),
}


def problem(code: str, *, because: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A reason as it is stored and shown: `code`, `explanation`, `cure`; what is not known is left out.

    `because` is the reason that led to this one.
    """
    explanation, cure = PLAINLY[code]
    cause = None if because is None else {name: value for name, value in because.items() if name != "because"}
    return {
        name: value
        for name, value in {
            "code": code,
            "explanation": explanation,
            "cure": cure or None,
            "because": cause,
            **more,
        }.items()
        if value is not None
    }
