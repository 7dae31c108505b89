"""What the console makes of each situation: the verdict, why, and what it offers. Nothing is read, nothing is done."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from gateway.backups.keeper import Standing
from gateway.console import judge
from gateway.console.process import Place
from gateway.console.snapshot import Snapshot
from gateway.console.stream import Act, Stream, Verdict, lasting
from gateway.readiness import Part
from gateway.sending.reasons import problem
from gateway.space import Room
from gateway.threads.standing import MissingMail, OpenGap
from storage.accounts import TokenState
from storage.flow import OpenHints, Queue
from storage.folders import WellKnown
from storage.gaps import Reason
from storage.round_trips import State
from storage.search_backlogs import Backlog
from storage.subscriptions import SubscriptionState
from storage.webhooks import WebhookState
from tests.console.calm import (
    ADDRESS,
    CALM,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PLACE,
    TRIP,
    WATCH,
    account,
    box,
    completeness,
    credential,
    folder,
    hook,
    letters,
    subscription,
    trip,
)

SOON: Final = NOW + MINUTE
REFUSED: Final = {"code": "secret_expired", "explanation": "The client secret has expired.", "cure": "Add a new one."}
OUTAGE: Final = {"code": "unreachable", "explanation": "Entra cannot be reached.", "cure": "Check the network."}
MISSING: Final = MissingMail(graph_id="AAMk", folder=WellKnown.INBOX, came_at=None, missing_since=NOW - 2 * HOUR)
GAP: Final = OpenGap(
    folder=WellKnown.INBOX, reason=Reason.PULL_FAILING, began_at=NOW - 2 * HOUR, ended_at=None, unannounced=0
)
UNCONNECTED: Final = replace(CALM, serving=(), expiry=None, boxes=(), hooks=())

STUCK, SLOW, FLOWING, OFF = Verdict.STUCK, Verdict.SLOW, Verdict.FLOWING, Verdict.OFF
Situation = tuple[str, Snapshot, str, Verdict, str, tuple[Act | str, ...]]

SITUATIONS: Final[tuple[Situation, ...]] = (
    ("nothing waits", CALM, "letters", FLOWING, "No letter waits.", ("/settings/letters",)),
    ("letters wait their turn", letters(3), "letters", FLOWING, "Letters leave as they come.", ("/settings/letters",)),
    ("a batch", letters(900, batches=1), "letters", FLOWING, "1 batch under way", ("/settings/letters",)),
    ("some failed", letters(failed=2), "letters", FLOWING, "2 letters could not be sent", ("/settings/letters",)),
    ("not connected", UNCONNECTED, "letters", OFF, "not connected", ("/settings#account",)),
    ("no mailbox", replace(CALM, boxes=()), "letters", OFF, "No mailbox is validated", ("/settings#mailboxes",)),
    (
        "not connected while letters wait",
        replace(UNCONNECTED, letters=letters(2).letters),
        "letters",
        STUCK,
        "2 letters wait.",
        ("/settings#account",),
    ),
    (
        "a credential is refused",
        account(token_state=TokenState.REFUSED, token_problem=REFUSED),
        "letters",
        STUCK,
        "The client secret has expired. Add a new one.",
        ("/settings#account", Act.CHECK_CONNECTION),
    ),
    (
        "the outbox is paused and nothing waits",
        account(token_state=TokenState.UNREACHABLE, token_problem=OUTAGE, outbox_paused_until=SOON),
        "letters",
        SLOW,
        "Entra cannot be reached.",
        (Act.RESUME_OUTBOX, Act.CHECK_CONNECTION),
    ),
    (
        "the outbox is paused and letters wait",
        replace(account(outbox_paused_until=SOON, token_problem=OUTAGE), letters=letters(1).letters),
        "letters",
        STUCK,
        "1 letter waits.",
        (Act.RESUME_OUTBOX, Act.CHECK_CONNECTION),
    ),
    (
        "a pause that is over is none",
        account(outbox_paused_until=NOW),
        "letters",
        FLOWING,
        "No letter waits.",
        ("/settings/letters",),
    ),
    (
        "a mailbox lost its licence",
        box(paused_until=SOON, waiting=4, problem=problem("mailbox")),
        "letters",
        STUCK,
        f"{ADDRESS} is paused. Microsoft 365 cannot serve this mailbox now",
        (Act.RESUME_MAILBOX,),
    ),
    (
        "Microsoft 365 asked for patience: no button hurries it",
        box(paused_until=SOON, waiting=4, problem=problem("throttled")),
        "letters",
        SLOW,
        "asks for patience",
        (),
    ),
    ("nor when nobody knows why", box(paused_until=SOON, waiting=4), "letters", SLOW, "asks for patience", ()),
    (
        "the minute's letters are spent",
        box(next_letter_at=SOON, waiting=70),
        "letters",
        SLOW,
        "has sent as much as Microsoft 365 allows for now: 70 letters wait.",
        (),
    ),
    (
        "letters need a decision",
        letters(undecided=2),
        "letters",
        STUCK,
        "2 letters need a decision",
        ("/settings/letters#review",),
    ),
    ("a machine answers", letters(held=1), "letters", SLOW, "1 letter held", ("/settings/letters#waiting",)),
    (
        "a letter is late and nobody knows why",
        letters(1, oldest_due=NOW - 10 * MINUTE),
        "letters",
        SLOW,
        "due for 10 minutes",
        ("/settings/letters",),
    ),
    (
        "far too late",
        letters(1, oldest_due=NOW - HOUR),
        "letters",
        STUCK,
        "due for 1 hour, and nothing is known to stand in its way",
        ("/settings/letters",),
    ),
    (
        "late because a pause holds it back",
        box(letters(1, oldest_due=NOW - HOUR), paused_until=SOON, waiting=1),
        "letters",
        SLOW,
        "is paused",
        (),
    ),
    ("mail comes in", CALM, "replies", FLOWING, "taken in as it comes", ()),
    ("no mailbox to read", replace(CALM, boxes=()), "replies", OFF, "No mailbox", ("/settings#mailboxes",)),
    (
        "a folder cannot be read",
        folder(problem="Microsoft 365 does not find this mailbox.", failures=3),
        "replies",
        STUCK,
        f"{ADDRESS}: Microsoft 365 does not find this mailbox.",
        (Act.PULL,),
    ),
    ("a hiccup", folder(problem="Cannot be reached.", failures=1), "replies", SLOW, "Cannot be reached.", (Act.PULL,)),
    (
        "nobody looks",
        folder(last_pulled_at=NOW - HOUR, next_pull_at=NOW - 50 * MINUTE),
        "replies",
        STUCK,
        "nobody has looked into Inbox for 1 hour",
        (Act.PULL,),
    ),
    (
        "mail that cannot be taken in",
        box(watches=[replace(WATCH, hints=OpenHints(waiting=Queue(count=2, oldest_at=NOW - HOUR), stubborn=1))]),
        "replies",
        STUCK,
        "1 mail could not be taken in",
        (Act.LOOK_AGAIN,),
    ),
    ("live", CALM, "watching", FLOWING, "1 subscription live, the first for another 5 days", (Act.REPAIR,)),
    (
        "sweeping only",
        replace(CALM, public=False),
        "watching",
        OFF,
        "GATEWAY_PUBLIC_URL is not set): mail is found by looking every 10 minutes",
        (),
    ),
    (
        "a subscription is refused",
        subscription(state=SubscriptionState.CREATING, failures=3, problem="Mail.Read is wanted."),
        "watching",
        STUCK,
        "could not be set up. Mail.Read is wanted. Until that is mended, mail is found by looking every 10 minutes.",
        (Act.REPAIR,),
    ),
    (
        "it has ended",
        subscription(expiration_date_time=NOW),
        "watching",
        STUCK,
        "has ended and could not be renewed",
        (Act.REPAIR,),
    ),
    (
        "being set up",
        subscription(state=SubscriptionState.CREATING, expiration_date_time=None),
        "watching",
        SLOW,
        "being set up",
        (Act.REPAIR,),
    ),
    ("none yet", box(watches=[replace(WATCH, subscription=None)]), "watching", SLOW, "about to be", (Act.REPAIR,)),
    ("an empty tray", CALM, "tray", FLOWING, "No mail waits", ()),
    (
        "mail is held",
        replace(CALM, held_mail=Queue(count=1, oldest_at=NOW - HOUR)),
        "tray",
        SLOW,
        "1 mail waits for a person",
        ("/reviews",),
    ),
    (
        "nobody decides",
        replace(CALM, held_mail=Queue(count=2, oldest_at=NOW - 3 * DAY)),
        "tray",
        STUCK,
        "2 mails wait for a person to decide, the oldest for 3 days",
        ("/reviews",),
    ),
    ("events are taken", CALM, "events", FLOWING, "takes events as they happen", ()),
    ("no webhook", replace(CALM, hooks=()), "events", OFF, "SELMA fetches events by itself", ()),
    (
        "a webhook is down",
        hook(state=WebhookState.DOWN, problem="It answered 500.", next_probe_at=SOON, waiting=5),
        "events",
        STUCK,
        "selma.school.example does not take events. It answered 500. 5 events wait; none is lost.",
        (Act.ENABLE_WEBHOOK,),
    ),
    (
        "a webhook is gone",
        hook(state=WebhookState.DISABLED, problem="It answered 410."),
        "events",
        STUCK,
        "said that it is gone",
        (Act.ENABLE_WEBHOOK,),
    ),
    ("behind", hook(waiting=1), "events", SLOW, "is behind by 1 hour", (Act.ENABLE_WEBHOOK,)),
    ("just happened", hook(waiting=9, since=MINUTE), "events", FLOWING, "takes events", ()),
    ("would not take", hook(refused=(4, 7)), "events", SLOW, "would not take 2 events", (Act.REDELIVER,)),
    ("good for long", CALM, "credential", FLOWING, "in 200 days", (Act.CHECK_CONNECTION,)),
    ("none", UNCONNECTED, "credential", OFF, "not connected", ("/settings#account",)),
    (
        "refused",
        account(token_state=TokenState.REFUSED, token_problem=REFUSED),
        "credential",
        STUCK,
        "has expired. Add a new one.",
        ("/settings#account", Act.CHECK_CONNECTION),
    ),
    (
        "Entra is away",
        account(token_state=TokenState.UNREACHABLE, token_problem=OUTAGE),
        "credential",
        SLOW,
        "Entra cannot be reached.",
        (Act.CHECK_CONNECTION,),
    ),
    (
        "expired",
        credential(expires_at=NOW - DAY),
        "credential",
        STUCK,
        "The client secret expired on",
        ("/settings#account", Act.CHECK_CONNECTION),
    ),
    (
        "ends soon",
        credential(expires_at=NOW + 10 * DAY),
        "credential",
        SLOW,
        "in 10 days",
        ("/settings#account", Act.CHECK_CONNECTION),
    ),
    ("its end is not known", credential(expires_at=None), "credential", FLOWING, "not known when", ()),
    (
        "the one before serves",
        credential(problem={"explanation": "It is wrong."}),
        "credential",
        SLOW,
        "the one before serves. It is wrong.",
        ("/settings#account", Act.CHECK_CONNECTION),
    ),
    ("came back", CALM, "round_trips", FLOWING, "the slowest after 4 seconds", (Act.ROUND_TRIP,)),
    ("never tried", box(trip=None), "round_trips", OFF, "tomorrow morning", (Act.ROUND_TRIP,)),
    (
        "did not come back",
        trip(state=State.FAILED, missed="pulled", threaded_at=None),
        "round_trips",
        STUCK,
        "did not come back. It was not seen being found in the Inbox",
        (Act.ROUND_TRIP,),
    ),
    ("came late", trip(state=State.LATE, missed="sent"), "round_trips", SLOW, "was late", (Act.ROUND_TRIP,)),
    (
        "tried again",
        box(trip=replace(TRIP, state=State.FAILED, missed="sent", threaded_at=None), trying=replace(TRIP, id="rtp_2")),
        "round_trips",
        FLOWING,
        "1 letter under way",
        (),
    ),
    ("nothing missing", CALM, "completeness", FLOWING, "Nothing was missing", (Act.CHECK_COMPLETENESS,)),
    (
        "being compared",
        completeness(is_checking=True),
        "completeness",
        FLOWING,
        "Being compared with Microsoft 365 now",
        (),
    ),
    ("never", completeness(checked_at=None), "completeness", FLOWING, "Not compared yet", (Act.CHECK_COMPLETENESS,)),
    (
        "a mail is missing and does not come",
        completeness(missing_mail=(MISSING,)),
        "completeness",
        STUCK,
        "1 mail in Microsoft 365 and not here",
        (Act.LOOK_AGAIN, Act.CHECK_COMPLETENESS),
    ),
    (
        "it was missed a moment ago",
        completeness(missing_mail=(replace(MISSING, missing_since=NOW - MINUTE),)),
        "completeness",
        SLOW,
        "fetched by itself",
        (Act.CHECK_COMPLETENESS,),
    ),
    (
        "a check broke off",
        completeness(problem="Microsoft 365 cannot be reached."),
        "completeness",
        SLOW,
        "could not be compared: Microsoft 365 cannot be reached.",
        (Act.CHECK_COMPLETENESS,),
    ),
    (
        "none has gone through for days",
        completeness(problem="Refused.", checked_at=NOW - 3 * DAY),
        "completeness",
        STUCK,
        "Refused.",
        (Act.CHECK_COMPLETENESS,),
    ),
    ("too old", completeness(checked_at=NOW - 3 * DAY), "completeness", SLOW, "for 3 days", (Act.CHECK_COMPLETENESS,)),
    ("a gap lasts", completeness(gaps=(GAP,)), "completeness", SLOW, "for 2 hours", (Act.CHECK_COMPLETENESS,)),
    ("read through", CALM, "backfill", FLOWING, "Every mailbox has been read through.", ()),
    ("a new mailbox", folder(last_pulled_at=None), "backfill", FLOWING, "1 folder being read through", ()),
    (
        "held up",
        folder(last_pulled_at=None, problem="Refused.", failures=9),
        "backfill",
        STUCK,
        "cannot be read through: Refused.",
        (Act.PULL,),
    ),
    (
        "takes long",
        folder(round_began_at=NOW - 2 * HOUR),
        "backfill",
        SLOW,
        "has been read for 2 hours and is not through yet",
        (Act.PULL,),
    ),
    ("all can be found", CALM, "search", FLOWING, "All messages can be found.", ()),
    (
        "after an upgrade",
        replace(CALM, backlog=Backlog(account_id="acc_1", after_id="", indexed=5, total=20)),
        "search",
        SLOW,
        "5 of 20",
        (),
    ),
)


def stream(snapshot: Snapshot, name: str, place: Place = PLACE) -> Stream:
    [found] = [one for one in judge(snapshot, place).streams if one.name == name]
    return found


def offered(one: Stream) -> tuple[Act | str, ...]:
    """Everything it offers: first with its troubles, then in any case."""
    actions = [*(action for trouble in one.troubles for action in trouble.actions), *one.actions]
    found = [action.act or action.href or "" for action in actions]
    return tuple(dict.fromkeys(found))


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: f"{one[2]}: {one[0]}")
def test_each_situation_has_its_verdict_its_reason_and_its_cure(situation: Situation) -> None:
    _, snapshot, name, verdict, sentence, wanted = situation
    found = stream(snapshot, name)
    assert found.verdict is verdict
    assert sentence in found.sentence
    assert set(wanted) <= set(offered(found))
    if not wanted:
        assert not any(action.act for trouble in found.troubles for action in trouble.actions)


def test_a_gateway_at_which_all_flows_is_said_to_be_so() -> None:
    console = judge(CALM, PLACE)
    assert console.verdict is FLOWING
    assert console.sentence == "Nothing is stuck: everything that is in use is flowing."
    assert {one.verdict for one in console.streams} == {FLOWING}
    assert len({one.name for one in console.streams}) == len(console.streams) == 14


def test_what_is_stuck_is_named_first_and_decides() -> None:
    console = judge(replace(letters(undecided=1), held_mail=Queue(count=1, oldest_at=NOW)), PLACE)
    assert console.verdict is STUCK
    assert console.sentence == "Stuck: Letters out. To look at: Review tray."


def test_the_worst_of_several_troubles_speaks_for_the_stream_and_none_is_left_out() -> None:
    found = stream(letters(held=1, undecided=1), "letters")
    assert [one.verdict for one in found.troubles] == [STUCK, SLOW]
    assert found.sentence == found.troubles[0].sentence


def test_an_account_that_is_not_set_up_has_nothing_stuck() -> None:
    assert judge(UNCONNECTED, PLACE).verdict is FLOWING


def test_a_webhook_is_never_called_by_what_may_be_secret_in_its_address() -> None:
    assert "token" not in str(judge(hook(refused=(1,), waiting=3), PLACE))


@pytest.mark.parametrize(
    ("place", "name", "verdict", "sentence"),
    [
        (PLACE, "database", FLOWING, "It can be written, and takes 12.0 MB."),
        (
            replace(PLACE, parts=(Part(name="store", ok=False, detail="The disk is full."),)),
            "database",
            STUCK,
            "The disk is full. Make room",
        ),
        (
            replace(PLACE, parts=(Part(name="recovery", ok=False, detail="Being taken up."),)),
            "database",
            SLOW,
            "Being taken up.",
        ),
        (PLACE, "process", FLOWING, "running for 3 days"),
        (PLACE, "disk", FLOWING, "50.0 GB are free"),
        (replace(PLACE, room=Room(free=9, wanted=10, is_low=True)), "disk", STUCK, "Make room on it"),
        (PLACE, "backups", FLOWING, "of 2026-03-02 06:00 UTC"),
        (replace(PLACE, backups=Standing.of_none()), "backups", OFF, "GATEWAY_BACKUPS is not set"),
        (replace(PLACE, backups=Standing(wanted=True)), "backups", SLOW, "no backup yet. One is due every"),
        (replace(PLACE, backups=Standing(wanted=True, newest_at=NOW - 3 * DAY)), "backups", SLOW, "2026-02-27"),
        (replace(PLACE, backups=Standing(wanted=True, failure="It is full.")), "backups", STUCK, "It is full."),
        (replace(PLACE, running_since=None), "process", FLOWING, "gives signs of life"),
        (replace(PLACE, alive_at=NOW - HOUR), "process", STUCK, "no sign of life for 1 hour"),
        (replace(PLACE, alive_at=None, running_since=None), "process", OFF, "No gateway has worked"),
    ],
)
def test_the_process_is_judged_by_its_file_and_its_signs_of_life(
    place: Place, name: str, verdict: Verdict, sentence: str
) -> None:
    found = stream(CALM, name, place)
    assert found.verdict is verdict
    assert sentence in found.sentence


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (MINUTE, "1 minute"),
        (HOUR, "1 hour"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (-DAY, "0 seconds"),
    ],
)
def test_times_are_said_as_people_say_them(time: timedelta, words: str) -> None:
    assert lasting(time) == words
