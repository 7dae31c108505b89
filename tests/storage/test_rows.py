"""What is written comes back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import accounts, api_keys, attachments, events, files, messages, outbox, subscriptions, threads
from storage.accounts import TokenState
from storage.api_keys import Scope
from storage.messages import Attachment, BodyType, Direction, Kind, Placement, Recipients
from storage.origins import Origin
from storage.subscriptions import SubscriptionState
from storage.threads import Address
from storage.transaction import Transaction, microseconds, moment
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import a_database
from tests.storage.scene import Scene, a_file, a_message, attached, build, post, subscribe

# SQLite keeps UTF-8, which has no halves of surrogate pairs.
text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
maybe_text = st.none() | text
times = st.integers(0, 2**52).map(moment)
maybe_time = st.none() | times
addresses = st.builds(Address, name=maybe_text, address=text)
people = st.lists(addresses, max_size=3).map(tuple)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(text, json, max_size=3)
attached_items = st.builds(
    Attachment,
    id=maybe_text,
    name=text,
    content_type=text,
    size=st.integers(0, 2**40),
    is_inline=st.booleans(),
    content_id=maybe_text,
    kind=st.sampled_from(["file", "item", "reference"]),
)


@contextmanager
def a_school() -> Iterator[tuple[Transaction, Scene]]:
    with a_database() as tx:
        yield tx, build(tx)


@given(times)
def test_times(at: datetime) -> None:
    assert moment(microseconds(at)) == at


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_of_any_zone_is_the_same_moment_in_utc(at: datetime) -> None:
    assert moment(microseconds(at)) - at == timedelta(0)
    assert moment(microseconds(at)).tzinfo is UTC


@given(to=people, cc=people, bcc=people, reply_to=people)
def test_recipients(**lists: tuple[Address, ...]) -> None:
    recipients = Recipients(**lists)
    assert Recipients.from_json(recipients.to_json()) == recipients


@given(
    changes=st.fixed_dictionaries(
        {
            "direction": st.sampled_from(Direction),
            "kind": st.sampled_from(Kind),
            "placement": st.sampled_from(Placement),
            "graph_id": maybe_text,
            "conversation_id": maybe_text,
            "internet_message_id": maybe_text,
            "subject": text,
            "sender": st.none() | addresses,
            "recipients": st.builds(Recipients, to=people, cc=people, bcc=people, reply_to=people),
            "body_type": st.sampled_from(BodyType),
            "body": text,
            "preview": text,
            "attachments": st.lists(attached_items, max_size=3).map(tuple),
            "evidence": st.none() | documents,
            "created_by": maybe_text,
            "message_at": times,
            "created_at": times,
        }
    )
)
def test_messages(changes: dict[str, Any]) -> None:
    with a_school() as (tx, scene):
        message = a_message(scene, **changes)
        messages.insert(tx, message)
        assert messages.get(tx, scene.account_id, message.id) == message


@given(
    metadata=documents,
    problem=st.none() | documents,
    times_of_it=st.tuples(times, maybe_time, maybe_time),
    attempts=st.integers(0, 1000),
    submits=st.integers(0, 3),
)
def test_letters(
    metadata: dict[str, Any],
    problem: dict[str, Any] | None,
    times_of_it: tuple[datetime, datetime | None, datetime | None],
    attempts: int,
    submits: int,
) -> None:
    with a_school() as (tx, scene):
        tx.origin = Origin(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", request_id="r1")
        posted = post(tx, scene, metadata=metadata)
        assert posted == outbox.get(tx, scene.account_id, "msg_1")
        since, submitted_at, still_draft_at = times_of_it
        letter = replace(
            outbox.get(tx, scene.account_id, "msg_1"),
            state="drafted",
            state_since=since,
            attempts=attempts,
            submits=submits,
            next_attempt_at=since,
            submitted_at=submitted_at,
            still_draft_at=still_draft_at,
            problem=problem,
        )
        outbox.save(tx, letter)
        found = outbox.get(tx, scene.account_id, "msg_1")
        assert found == letter
        assert found.metadata == metadata


@given(
    state=st.sampled_from([SubscriptionState.LIVE, SubscriptionState.SUPERSEDED, SubscriptionState.REMOVING]),
    subscription_id=text,
    digest=st.binary(min_size=32, max_size=32),
    at=times,
    reauthorize=st.booleans(),
    trouble=st.none() | st.tuples(st.integers(1, 99), text),
)
def test_subscriptions(
    state: SubscriptionState,
    subscription_id: str,
    digest: bytes,
    at: datetime,
    reauthorize: bool,
    trouble: tuple[int, str] | None,
) -> None:
    failures, problem = trouble or (0, None)
    with a_school() as (tx, scene):
        subscription = replace(
            subscribe(tx, scene),
            state=state,
            subscription_id=subscription_id,
            client_state_digest=digest,
            expiration_date_time=at,
            next_step_at=at,
            reauthorize=reauthorize,
            failures=failures,
            problem=problem,
        )
        subscriptions.save(tx, subscription)
        assert subscriptions.get(tx, subscription.id) == subscription


@given(data=documents, at=times)
def test_events(data: dict[str, Any], at: datetime) -> None:
    with a_school() as (tx, scene):
        events.record(tx, scene.account_id, "message.sent", thread_id="t", message_id="m", data=data, now=at)
        (event,) = events.after(tx, scene.account_id, 0, limit=10)
        assert (event.type, event.thread_id, event.message_id) == ("message.sent", "t", "m")
        assert (event.data, event.created_at) == (data, at)


@given(scopes=st.frozensets(st.sampled_from(Scope)), name=text)
def test_api_keys(scopes: frozenset[Scope], name: str) -> None:
    with a_school() as (tx, scene):
        value = api_keys.new_value()
        made = api_keys.create(tx, scene.account_id, name=name, scopes=scopes, value=value, now=A_MONDAY)
        assert api_keys.find(tx, value) == made
        assert (made.scopes, made.name) == (scopes, name)


@given(problem=documents)
def test_what_a_token_attempt_showed(problem: dict[str, Any]) -> None:
    with a_school() as (tx, scene):
        assert accounts.record_token(tx, scene.account_id, TokenState.REFUSED, problem=problem, now=A_MONDAY)
        account = accounts.get(tx, scene.account_id)
        assert (account.token_state, account.token_problem) == (TokenState.REFUSED, problem)
        assert account.token_checked_at == A_MONDAY


@given(subject=text, names=st.lists(addresses, min_size=1, max_size=5, unique_by=lambda one: one.address.casefold()))
def test_threads_and_participants(subject: str, names: list[Address]) -> None:
    with a_school() as (tx, scene):
        thread_id = threads.create(tx, scene.account_id, scene.mailbox_id, subject=subject, now=A_MONDAY)
        threads.add_participants(tx, scene.account_id, thread_id, names)
        thread = threads.get(tx, scene.account_id, thread_id)
        assert (thread.subject, thread.mailbox, thread.message_count) == (subject, "office@school.example", 0)
        assert set(threads.participants(tx, thread_id)) == set(names)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_attachments_come_back_byte_for_byte(size: int) -> None:
    content = bytes(n % 256 for n in range(size))
    with a_school() as (tx, scene):
        given_ones = [
            attached(a_file(tx, scene, content), position, name=name, content_id=name)
            for position, name in enumerate(("b", "a"))
        ]
        post(tx, scene, attachments=given_ones)
        found = attachments.of_letter(tx, "msg_1")
        assert found == given_ones
        assert {files.read(tx, one.file_id or "", start=0, length=one.size) for one in found} == {content}
