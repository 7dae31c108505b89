"""Reports in prose, as mail systems write them that know no RFC 3464, and as people read them.

A machine must have written it, and it must say that something was not delivered: neither alone is enough, for people
forward such notices, and machines write much else.
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.threads.reports.fields import (
    ADDRESS,
    ENHANCED,
    LONGEST_DIAGNOSTIC,
    LONGEST_VALUE,
    blocks_of,
    deliveries_of,
)
from gateway.threads.reports.model import Action, Delivery, Nature, Report

OPENING: Final = 6000  # characters in which a notice has said what it is about
MOST_MENTIONED: Final = 50
MACHINES: Final = re.compile(
    r"^(?:mailer[-._]?daemon|p(?:oo|o)st[-_.]?master|mail[-._]?delivery|mdaemon|.*-?mailer-daemon)"
    r"|postmaster$|(?:^|\.)delivery\.system$|^no-?reply$|^sysadmin|administrator$",
    re.I,
)
NOT_DELIVERED: Final = re.compile(
    r"undeliver(?:able|ed)"
    r"|(?:could ?n[o']t|can ?not|can'?t|unable|failed|not able|wasn't able|error(?: occurred)?)(?: \w+){0,4} "
    r"(?:to |in |while |attempting |trying )*(?:be )?(?:re|)(?:deliver|send|sent|transport|relay|complet|process)\w*"
    r"|deliver(?:y|ing)(?: \w+){0,6} (?:fail|error|has failed|not possible|unsuccessful)"
    r"|(?:fail\w*|error\w*)(?: \w+){0,3} deliver"
    r"|(?:mail|message|delivery|permanent) (?:delivery )?(?:failed|failure|error)|failed delivery"
    r"|failure (?:notice|delivery)"
    r"|fail\w* permanently|permanent(?:ly)? (?:fatal )?(?:error|failure|failed)"
    r"|return(?:ed|ing) (?:mail|message|to sender)"
    r"|did not reach|not reach the following|(?:were|was|been|be) rejected by|has been blocked|message you sent blocked"
    r"|(?:were|was|is|are) (?:not|un)[ -]?(?:delivered|deliverable|successfully)|not been delivered|delivery status"
    r"|transcript of session follows|user unknown|unknown user|(?:could|can) not send (?:mail|message)"
    r"|returned mail|following recipients? (?:was|were|failed)|failed recipients?|not accepted for delivery"
    r"|(?:error|problem) (?:sending|delivering|with) (?:your|the) (?:mail|message)"
    # The same in the other tongues that corpora of reports show, in a sentence of their own.
    r"|送信できません|配信できません|配信されません|送信に失敗|メールエラー通知|投稿する権限がない"
    r"|не может быть доставлено|не доставлено|недоставленное|zugestellt werden|distribu(?:é|er)|退信|无法(?:送达|投递)",
    re.I,
)
LATE: Final = re.compile(
    r"\bdelayed\b|\(delay\)|still being retried|will (?:be retried|continue to (?:try|be)|keep trying|retry)"
    r"|do(?:es)? not need to resend|not yet been delivered|this is a warning message only|has not been delivered yet"
    r"|could not send (?:mail|message) for past",
    re.I,
)
GIVEN_UP: Final = re.compile(
    r"permanent|giv(?:en|ing) up|has failed|failed to|undeliver|returned mail|fatal|expired|\(failure\)", re.I
)
SMTP: Final = re.compile(r"(?<![\d.])([45])[0-5]\d(?=[ -])")
# What people say without a code, and the code that means it: RFC 3463 section 3.
WORDS: Final = tuple(
    (re.compile(words, re.I), detail)
    for words, detail in (
        (r"(?:mailbox|quota|inbox|account).{0,40}(?:full|exceed)|over ?quota|exceed.{0,30}quota|disk quota", "2.2"),
        (r"(?:disabled|inactive|suspended|deactivated)", "2.1"),
        (
            r"host (?:unknown|not found)|unknown host|domain.{0,30}(?:not found|not exist)|no such domain|name lookup",
            "1.2",
        ),
        (r"user.{0,20}unknown|unknown (?:user|recipient)|no such (?:user|mailbox|address|person|recipient)", "1.1"),
        (
            r"(?:does ?n[o']t|not) exist|user.{0,10}not (?:found|known)|not (?:recognized|listed)|invalid recipient",
            "1.1",
        ),
        (r"too (?:large|big|long)|size.{0,20}exceed|exceed.{0,30}size", "3.4"),
        (r"spam|blocked|black ?list|blocklist|policy|denied|not authori[sz]ed|not allowed|dmarc|spf", "7.1"),
        (r"timed? ?out|expired|too long|for past \d|retry (?:time|limit)|cannot send message for", "4.7"),
        (r"connection refused|connect(?:ion)?.{0,20}fail|unreachable|not respond", "4.1"),
        (r"too many hops|loop", "4.6"),
    )
)
RETURNED: Final = frozenset(
    {
        *("received", "return-path", "from", "to", "subject", "date", "message-id", "mime-version", "dkim-signature"),
        *("x-mailer", "content-type", "delivered-to", "x-originating-ip", "user-agent", "sender", "reply-to"),
    }
)


def is_machine(sender: str) -> bool:
    """Whether a `From` is a mail system's. Some leave it empty, or name no address."""
    sender = sender[:LONGEST_VALUE]
    found = ADDRESS.search(sender)
    local_part = (found[0] if found else sender).strip("< >").partition("@")[0].strip('"')
    return local_part == "" or MACHINES.search(local_part) is not None


def split_at_returned(text: str) -> tuple[str, str]:
    """What the mail system says, and the letter that it sends back: from the first paragraph that begins as one."""
    paragraphs = re.split(r"(\n[ \t]*\n)", text)
    for number in range(0, len(paragraphs), 2):
        names = set().union(*(block.keys() for block in blocks_of(paragraphs[number][:2000])))
        if len(names & RETURNED) >= 2 and not names & {"action", "final-recipient", "diagnostic-code"}:
            return "".join(paragraphs[:number]), "".join(paragraphs[number:])
    return text, ""


def read_notice(subject: str, said: str, *, failed: Iterable[str], own: Iterable[str]) -> Report | None:
    """A notice that a machine wrote; None when it is about something else.

    `failed`: the addresses of X-Failed-Recipients. `own`: who it is addressed to, no recipient of the letter then.
    """
    subject = subject[:LONGEST_VALUE]
    named, opening = tuple(failed), f"{subject}\n{said[:OPENING]}"
    words = " ".join(opening.split())
    formal = deliveries_of(blocks_of(said[:OPENING]))
    if not named and not formal and NOT_DELIVERED.search(words) is None and LATE.search(words) is None:
        return None
    late = not named and LATE.search(words) is not None and (LATE.search(subject) or not GIVEN_UP.search(words))
    nature = Nature.DELAYED if late else Nature.FAILED
    if any(one.addresses for one in formal):
        gravest = Nature.DELAYED if all(one.action is Action.DELAYED for one in formal) else Nature.FAILED
        return Report(nature=gravest, deliveries=formal, is_formal=True)
    action = Action.DELAYED if late else Action.FAILED
    excluded = {one.casefold() for one in own}
    mentioned = named or _addresses(said[:OPENING], excluded)
    found = _deliveries(mentioned, said[:OPENING], action)
    return Report(nature=nature, deliveries=found, is_formal=bool(named))


def _addresses(said: str, excluded: set[str]) -> tuple[str, ...]:
    found = (one.strip(".!?") for one in ADDRESS.findall(said))
    kept = (one for one in found if one.casefold() not in excluded and not is_machine(one))
    return tuple(dict.fromkeys(kept))[:MOST_MENTIONED]


def _deliveries(addresses: Iterable[str], said: str, action: Action) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(addresses=(address,), action=action, status=status_in(near, action), diagnostic=_answer(near))
        for address in addresses
        for near in (_after(said, address),)
    ) or (Delivery(addresses=(), action=action, status=status_in(said, action), diagnostic=_answer(said)),)


def _after(said: str, address: str) -> str:
    """What stands behind an address, where notices say why, up to where the next one may begin; else all of it."""
    at = said.casefold().find(address.casefold())
    near = said[max(at, 0) :][:1500]
    return near if SMTP.search(near) or ENHANCED.search(near) else said


def status_in(said: str, action: Action) -> str | None:
    """By a code that stands there, else by what it says in words."""
    kind = "4" if action is Action.DELAYED else "5"
    codes = [code for code in ENHANCED.findall(said) if code[0] != "2"]
    exact = [code for code in codes if not code.endswith(".0.0")]
    if exact or codes:
        return str((exact or codes)[0])
    for words, detail in WORDS:
        if words.search(said):
            return f"{kind}.{detail}"
    found = SMTP.search(said)
    return f"{found[1]}.0.0" if found else None


def _answer(said: str) -> str | None:
    """The other system's answer: the line with a code in it."""
    for line in said.splitlines():
        if (SMTP.search(line) or ENHANCED.search(line)) and line.strip():
            return " ".join(line.split())[:LONGEST_DIAGNOSTIC]
    return None
