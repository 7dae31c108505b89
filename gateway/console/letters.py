"""Letters on their way out."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from gateway.console.snapshot import Box, Snapshot
from gateway.console.stream import Act, Action, Flow, Stream, Trouble, counted, judged, lasting, link, off, slow, stuck
from gateway.sending.machine import LOOP
from gateway.sending.reasons import PLAINLY
from storage.accounts import TokenState

NAME: Final = "letters"
TITLE: Final = "Letters out"
PAGE: Final = "/settings/letters"
SETTINGS: Final = "/settings#account"
LATE: Final = timedelta(minutes=5)
FAR_TOO_LATE: Final = timedelta(minutes=30)
# Microsoft 365 has said how long to wait, or the mailbox has sent what it may: a person must not hurry that.
PATIENT: Final = frozenset({"throttled", "budget", LOOP})

RENEW: Final = link("Renew the credential", SETTINGS)
CHECK: Final = Action(label="Check the connection", act=Act.CHECK_CONNECTION)


def judge(s: Snapshot) -> Stream:
    """Whether letters leave."""
    if not s.is_connected and not s.letters.waiting.count:
        why = PLAINLY["not_connected"][0]
        return off(NAME, TITLE, why=why, taken_at=s.now, actions=[link("Connect it", SETTINGS)])
    if not s.boxes and not s.letters.waiting.count:
        return off(NAME, TITLE, why="No mailbox is validated yet.", taken_at=s.now, actions=[MAILBOXES])
    waiting = s.letters.waiting
    return judged(
        NAME,
        TITLE,
        well=_well(s),
        troubles=[*_of_account(s), *_of_boxes(s), *_of_letters(s)],
        flow=Flow(
            noun="letter",
            last_hour=s.happened.hour.get("message.sent", 0),
            last_day=s.happened.day.get("message.sent", 0),
            at_least=not s.happened.is_whole,
            waiting=waiting.count,
            oldest_at=waiting.oldest_at,
        ),
        actions=[link("Letters", PAGE)],
        taken_at=s.now,
    )


MAILBOXES: Final = link("Mailbox Set-up", "/settings#mailboxes")


def _well(s: Snapshot) -> str:
    told = "Letters leave as they come." if s.letters.waiting.count else "No letter waits."
    if s.letters.batches:
        told = f"{counted(s.letters.batches, 'batch', 'batches')} under way, as fast as allowed."
    if s.letters.failed:
        told += f" Of those posted within a day, {counted(s.letters.failed, 'letter')} could not be sent."
    return told


def _of_account(s: Snapshot) -> Iterator[Trouble]:
    """What keeps every letter of the account."""
    wait = _they_wait(s.letters.waiting.count)
    until = s.account.outbox_paused_until
    paused = until is not None and until > s.now
    if not s.is_connected:
        yield stuck(f"{PLAINLY['not_connected'][0]} {wait}", link("Connect it", SETTINGS))
        return
    problem = s.account.token_problem or {}
    if s.account.token_state is TokenState.REFUSED:
        yield stuck(
            " ".join(filter(None, [problem.get("explanation", PLAINLY["no_token"][0]), problem.get("cure"), wait])),
            RENEW,
            CHECK,
            until=until if paused else None,
        )
    elif paused:
        told = f"{problem.get('explanation', PLAINLY['no_token'][0])} {wait}".strip()
        again = Action(label="Try again now", act=Act.RESUME_OUTBOX)
        yield (stuck if s.letters.waiting.count else slow)(told, again, CHECK, until=until)


def _of_boxes(s: Snapshot) -> Iterator[Trouble]:
    for box in s.boxes:
        until = box.mailbox.paused_until
        if until is not None and until > s.now:
            yield _paused(box)
        elif box.mailbox.next_letter_at is not None and box.mailbox.next_letter_at > s.now and box.waiting:
            told = f"{box.mailbox.address} has sent as much as Microsoft 365 allows for now: {_waits(box.waiting)}"
            yield slow(told, until=box.mailbox.next_letter_at)


def _paused(box: Box) -> Trouble:
    """By what its letters met. Where Microsoft 365 asked for patience there is no button: hurry makes it worse."""
    problem = box.problem or {}
    code = problem.get("code", "throttled")
    explanation, cure = problem.get("explanation", PLAINLY["throttled"][0]), problem.get("cure")
    told = " ".join(filter(None, [f"{box.mailbox.address} is paused.", explanation, cure, _they_wait(box.waiting)]))
    if code in PATIENT:
        return slow(told, until=box.mailbox.paused_until)
    resume = Action(label="Try again now", act=Act.RESUME_MAILBOX, target=box.mailbox.id, about=box.mailbox.address)
    return (stuck if box.waiting else slow)(told, resume, until=box.mailbox.paused_until)


def _of_letters(s: Snapshot) -> Iterator[Trouble]:
    """What single letters wait for."""
    if s.letters.undecided:
        needs = f"{counted(s.letters.undecided, 'letter')} {'needs' if s.letters.undecided == 1 else 'need'} a decision"
        yield stuck(f"{needs}: whether a letter left is not known, and it is not sent twice.", DECIDE)
    if s.letters.held:
        yield slow(f"{counted(s.letters.held, 'letter')} held: {PLAINLY[LOOP][0]}", link("Letters", f"{PAGE}#waiting"))
    late = timedelta(0) if s.letters.oldest_due is None else s.now - s.letters.oldest_due
    if late > LATE and not any(_is_excused(one, s) for one in s.boxes) and not list(_of_account(s)):
        told = f"A letter has been due for {lasting(late)}, and nothing is known to stand in its way."
        if late > FAR_TOO_LATE:
            yield stuck(f"{told} Look whether the gateway runs, and into its log.", link("Letters", PAGE))
        else:
            yield slow(told, link("Letters", PAGE))


DECIDE: Final = link("Decide", f"{PAGE}#review")


def _is_excused(box: Box, s: Snapshot) -> bool:
    """Whether it is known why letters of this mailbox wait."""
    return any(until is not None and until > s.now for until in (box.mailbox.paused_until, box.mailbox.next_letter_at))


def _waits(letters: int) -> str:
    return f"{counted(letters, 'letter')} {'waits' if letters == 1 else 'wait'}."


def _they_wait(letters: int) -> str:
    return _waits(letters) if letters else ""
