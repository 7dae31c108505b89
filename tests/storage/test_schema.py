"""What the tables themselves refuse, whoever writes."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from storage import (
    acts,
    answerers,
    api_keys,
    audit,
    batches,
    chores,
    completeness,
    confinements,
    credentials,
    deliveries,
    encryption_certificates,
    ended_sessions,
    erasures,
    events,
    gaps,
    held_reports,
    hints,
    idempotency_keys,
    log_levels,
    mailboxes,
    messages,
    preferences,
    read_marks,
    rich_troubles,
    round_trips,
    snoozes,
    spending,
    threads,
    tombstones,
    validations,
    webhooks,
)
from storage.hints import NewHint
from storage.log_levels import LogLevel
from storage.rich_troubles import RichTrouble
from storage.transaction import Transaction
from storage.vault import MasterKey, unlock
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import a_database
from tests.storage.scene import Scene, a_file, a_message, an_act, attached, build, post, subscribe

KEY = MasterKey.new()


@pytest.fixture(scope="module")
def furnished() -> Iterator[tuple[Transaction, Scene]]:
    """One row in every table."""
    with a_database() as tx:
        yield tx, furnish(tx)


@pytest.fixture
def tx(furnished: tuple[Transaction, Scene]) -> Iterator[Transaction]:
    """Whatever the test does in it is undone."""
    tx, _ = furnished
    tx.execute("SAVEPOINT before")
    yield tx
    tx.execute("ROLLBACK TO before")
    tx.execute("RELEASE before")


@pytest.fixture
def scene(furnished: tuple[Transaction, Scene]) -> Scene:
    return furnished[1]


def furnish(tx: Transaction) -> Scene:
    scene = build(tx)
    unlock(tx, KEY, now=A_MONDAY)
    credentials.replace_client_secret(tx, scene.account_id, "s3cret", expires_at=None, key=KEY, now=A_MONDAY)
    credential = credentials.active(tx, scene.account_id)
    assert credential is not None
    credentials.record_warning(tx, credential, 30, now=A_MONDAY)
    api_keys.create(tx, scene.account_id, name="SELMA", scopes=frozenset(), value=api_keys.new_value(), now=A_MONDAY)
    subscribe(tx, scene)
    file = a_file(tx, scene)
    batch_id = batches.insert(tx, scene.account_id, name=None, created_by=None, letters=1, now=A_MONDAY)
    post(tx, scene, attachments=[attached(file)], batch_id=batch_id, batch_position=0)
    spending.spend(tx, scene.mailbox_id, spending.Spent.LETTERS, 1, width=timedelta(seconds=1), now=A_MONDAY)
    messages.insert(tx, a_message(scene, "msg_2", direction=messages.Direction.IN))
    idempotency_keys.remember(tx, scene.account_id, "key", fingerprint=bytes(32), message_id="msg_1", now=A_MONDAY)
    person = threads.Address(name=None, address="aroha@student.example")
    threads.add_participants(tx, scene.account_id, scene.thread_id, [person])
    threads.add_conversation(
        tx, scene.account_id, scene.thread_id, mailbox_id=scene.mailbox_id, conversation_id="c", now=A_MONDAY
    )
    hint = NewHint(account_id=scene.account_id, folder_id=scene.inbox_id, change_type="created", message_id="m")
    hints.insert(tx, [hint], now=A_MONDAY)
    events.record(tx, scene.account_id, "message.sent", now=A_MONDAY)
    read_marks.mark_read(tx, scene.account_id, scene.thread_id, "Jane Doe", now=A_MONDAY)
    chores.done(tx, scene.account_id, "expiry", next_at=A_MONDAY)
    confinements.choose(tx, scene.account_id, "principal@school.example", now=A_MONDAY)
    gaps.begin(tx, scene.inbox_id, gaps.Reason.PULL_FAILING, A_MONDAY)
    lost = completeness.NewMissing(graph_id="AAMkLost", folder_id=scene.inbox_id, came_at=None)
    completeness.checked(tx, scene.mailbox_id, compared=1, missing=0, which=[lost], now=A_MONDAY)
    answerers.answered_by_machine(tx, scene.account_id, "aroha@student.example", now=A_MONDAY)
    answerers.leaves(tx, scene.account_id, "msg_1", ["aroha@student.example"], now=A_MONDAY)
    held_reports.insert(tx, scene.account_id, "msg_2", "{}")
    acts.insert(tx, an_act(scene, "msg_2"))
    audit.record(tx, scene.account_id, audit.SYSTEM, "review.accept", {}, now=A_MONDAY)
    tx.execute("INSERT INTO search_backlogs (account_id) VALUES (?)", (scene.account_id,))
    encryption_certificates.add(
        tx, scene.account_id, id="c", certificate="MII", private_key="k", not_after=A_MONDAY, key=KEY, now=A_MONDAY
    )
    mailboxes.add_alias(tx, scene.account_id, "enrolments@school.example", of=scene.mailbox_id, now=A_MONDAY)
    nap = snoozes.Snooze(
        account_id=scene.account_id,
        credential_id=credential.id,
        expires_at=A_MONDAY,
        until=A_MONDAY,
        reason="It is ordered.",
        snoozed_by="Jane Doe",
        created_at=A_MONDAY,
    )
    snoozes.save(tx, nap)
    log_levels.set_for_a_while(tx, LogLevel(logger="", level="debug", until=A_MONDAY))
    ended_sessions.end(tx, scene.account_id, "a session", ends_at=A_MONDAY)
    preferences.save(tx, scene.account_id, preferences.Preferences(alert_address="head@school.example"))
    round_trips.insert(
        tx,
        account_id=scene.account_id,
        mailbox_id=scene.mailbox_id,
        message_id="msg_1",
        kind=round_trips.Kind.DAILY,
        recipient=None,
        is_live=True,
        late_at=A_MONDAY,
        ends_at=A_MONDAY,
        now=A_MONDAY,
    )
    validations.insert(tx, scene.account_id, ["enrolments@school.example"], now=A_MONDAY)
    trouble = RichTrouble(folder_id=scene.inbox_id, plain_until=A_MONDAY, reason="Graph refused it.")
    rich_troubles.save(tx, trouble)
    webhook = webhooks.add(
        tx,
        scene.account_id,
        url="https://selma.example/events",
        description=None,
        types=(),
        secret="whsec",
        after=0,
        key=KEY,
        now=A_MONDAY,
    )
    deliveries.insert(tx, webhook.id, events.after(tx, scene.account_id, 0, limit=1), now=A_MONDAY)
    mark = tombstones.Mark(kind=tombstones.Kind.MESSAGE, mailbox_id="", value="<1@school.example>")
    tombstones.put(tx, scene.account_id, [mark], now=A_MONDAY)
    receipt = {"objects": [], "reason": "asked", "done_by": None, "removed": {}}
    erasures.insert(tx, scene.account_id, what=erasures.What.OBJECTS, **receipt, now=A_MONDAY)
    tx.execute("INSERT INTO retention_rules (account_id, what, days) VALUES (?, 'threads', 365)", (scene.account_id,))
    return scene


def tables(tx: Transaction) -> dict[str, str]:
    """But those of the search index, which are SQLite's."""
    rows = tx.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN"
        " (SELECT name FROM pragma_table_list WHERE type IN ('virtual', 'shadow'))"
    )
    return {row["name"]: row["sql"] for row in rows}


def test_every_table_is_strict(tx: Transaction) -> None:
    assert [name for name, sql in tables(tx).items() if not re.search(r"\) STRICT(, WITHOUT ROWID)?$", sql)] == []


def test_every_row_carries_its_account(tx: Transaction) -> None:
    """But the accounts themselves, whose id it is, the vault, which is the file's, the process's own log levels, and
    what is empty between two transactions."""
    without = {
        name
        for name in tables(tx)
        if ("account_id", 1) not in {(row["name"], row["notnull"]) for row in tx.execute(f"PRAGMA table_info({name})")}
    }
    assert without == {"accounts", "entering", "log_levels", "vault"}


def test_every_account_named_is_one_that_exists(tx: Transaction) -> None:
    naming = {
        name
        for name in tables(tx)
        if any(
            row["from"] == "account_id" and row["table"] == "accounts"
            for row in tx.execute(f"PRAGMA foreign_key_list({name})")
        )
    }
    assert naming == set(tables(tx)) - {"accounts", "entering", "log_levels", "vault"}


NONSENSE = [
    # accounts
    ("accounts", {"name": ""}),
    ("accounts", {"cloud": "moon"}),
    ("accounts", {"tenant_id": "t"}),
    ("accounts", {"client_id": "c"}),
    ("accounts", {"token_state": "ok"}),
    ("accounts", {"token_state": "refused", "token_checked_at": 1}),
    ("accounts", {"token_state": "ok", "token_checked_at": 1, "token_problem": "{}"}),
    ("accounts", {"token_state": "refused", "token_checked_at": 1, "token_problem": "no json"}),
    ("accounts", {"created_at": "yesterday"}),
    # credentials
    ("credentials", {"hint": "Zk8Q"}),
    ("credentials", {"kind": "password"}),
    ("credentials", {"state": "lost"}),
    ("credentials", {"ciphertext": "text"}),
    ("credentials", {"account_id": "acc_of_nobody"}),
    ("credentials", {"state": "retired"}),
    ("credentials", {"ciphertext": b""}),
    ("credentials", {"kind": "certificate"}),
    ("credentials", {"problem": "{}"}),
    ("credentials", {"problem": "no json", "refused_at": 1}),
    ("credential_warnings", {"days_left": -1}),
    ("confinements", {"address": ""}),
    ("confinements", {"state": "lost"}),
    ("confinements", {"state": "refused"}),
    ("api_keys", {"digest": b"short"}),
    ("api_keys", {"scopes": "no json"}),
    # mailboxes
    ("mailboxes", {"address": ""}),
    ("mailboxes", {"state": "lost"}),
    ("mailboxes", {"user_id": None}),
    ("mailboxes", {"validated_at": None}),
    ("mailboxes", {"state": "refused"}),
    ("mailboxes", {"problem": "{}"}),
    ("mailboxes", {"state": "refused", "problem": "no json"}),
    ("mailbox_aliases", {"address": ""}),
    ("mailbox_aliases", {"mailbox_id": "mbx_of_nobody"}),
    ("snoozes", {"reason": ""}),
    # the log, and what followed through it
    ("log_levels", {"level": "loud"}),
    ("log_levels", {"logger": "x" * 201}),
    ("outbox", {"traceparent": "00-x"}),
    ("outbox", {"request_id": ""}),
    ("events", {"request_id": "x" * 129}),
    ("hints", {"traceparent": "00-x"}),
    ("ended_sessions", {"session_hash": b"short"}),
    ("snoozes", {"snoozed_by": ""}),
    ("threads", {"self_test": 2}),
    ("preferences", {"self_test": 2}),
    ("preferences", {"alert_address": ""}),
    ("round_trips", {"kind": "weekly"}),
    ("round_trips", {"recipient": ""}),
    ("round_trips", {"state": "passed"}),
    ("round_trips", {"ended_at": 1}),
    ("round_trips", {"pulled_at": 1}),
    ("round_trips", {"missed": "luck"}),
    ("round_trips", {"is_live": 2}),
    ("validations", {"account_id": "acc_of_nobody"}),
    ("validation_items", {"address": ""}),
    ("validation_items", {"position": -1}),
    ("validation_items", {"outcome": "validated"}),
    ("validation_items", {"outcome": "lost", "done_at": 1}),
    ("validation_items", {"checks": "no json"}),
    # folders
    ("folders", {"well_known": "drafts"}),
    ("folders", {"bounded_items": -1}),
    ("folders", {"is_whole": 2}),
    ("folders", {"lease_owner": "me"}),
    ("folders", {"lease_ends_at": 1}),
    ("folders", {"failures": -1, "problem": "x"}),
    ("folders", {"failures": 1}),
    ("folders", {"problem": "x"}),
    # subscriptions
    ("subscriptions", {"state": "lost"}),
    ("subscriptions", {"state": "live"}),
    ("subscriptions", {"state": "live", "subscription_id": "s"}),
    ("subscriptions", {"state": "removing", "expiration_date_time": 1}),
    ("subscriptions", {"state": "gone"}),
    ("subscriptions", {"next_step_at": None}),
    ("subscriptions", {"client_state_digest": b"short"}),
    ("subscriptions", {"reauthorize": 2}),
    ("subscriptions", {"failures": 1}),
    # hints
    ("hints", {"outcome": "stored"}),
    ("hints", {"closed_at": 1}),
    ("hints", {"outcome": "lost", "closed_at": 1}),
    ("hints", {"attempts": -1}),
    # threads and what hangs on them
    ("threads", {"message_count": -1}),
    ("threads", {"last_direction": "up"}),
    ("threads", {"has_attachments": 2}),
    ("conversations", {"conversation_id": ""}),
    ("thread_objects", {"type": "teacher"}),
    ("thread_objects", {"object_id": ""}),
    # messages
    ("messages", {"direction": "up"}),
    ("messages", {"kind": "fax"}),
    ("messages", {"placement": "lost"}),
    ("messages", {"body_type": "rtf"}),
    ("messages", {"recipients": "no json"}),
    ("messages", {"attachments": "no json"}),
    ("messages", {"evidence": "no json"}),
    # outbox
    ("outbox", {"send_uid": "UPPER"}),
    ("outbox", {"importance": "urgent"}),
    ("outbox", {"metadata": "no json"}),
    ("outbox", {"state": "lost"}),
    ("outbox", {"next_attempt_at": None}),
    ("outbox", {"state": "cancelled"}),
    ("outbox", {"state": "sent", "next_attempt_at": None}),
    ("outbox", {"sent_at": 1}),
    ("outbox", {"state": "failed", "next_attempt_at": None}),
    ("outbox", {"state": "needs_review", "next_attempt_at": None}),
    ("outbox", {"state": "failed", "next_attempt_at": None, "problem": "no json"}),
    ("outbox", {"state": "submitting"}),
    ("outbox", {"state": "unknown"}),
    ("outbox", {"attempts": -1}),
    ("outbox", {"submits": -1}),
    ("outbox", {"lease_owner": "me"}),
    ("outbox", {"lease_ends_at": 1}),
    ("outbox", {"headers": "no json"}),
    ("outbox", {"recipients": 0}),
    ("outbox", {"batch_id": None}),
    ("outbox", {"in_reply_to": "msg_of_nobody"}),
    # what is attached, and in which company
    ("files", {"name": ""}),
    ("files", {"size": None}),
    ("files", {"sha256": b"short"}),
    ("file_pieces", {"position": -1}),
    ("file_pieces", {"starts_at": -1}),
    ("file_pieces", {"content": b""}),
    ("letter_attachments", {"size": -1}),
    ("letter_attachments", {"sha256": b"short"}),
    ("letter_attachments", {"file_id": "fil_of_nobody"}),
    ("letter_attachments", {"upload_offset": -1}),
    ("batches", {"letters": 0}),
    ("batches", {"told_percent": 101}),
    ("spending", {"kind": "money"}),
    ("spending", {"amount": 0}),
    # who answers by machine, and what went to whom
    ("answerers", {"recipient": b"short"}),
    ("answerers", {"in_a_row": 0}),
    ("departures", {"recipient": b"short"}),
    ("departures", {"message_id": "msg_of_nobody"}),
    # reports that wait for a person
    ("held_reports", {"report": "no json"}),
    ("held_reports", {"before": "no json"}),
    ("held_reports", {"after": "no json"}),
    ("held_reports", {"letter_id": "msg_of_nobody", "before": "{}", "after": "{}"}),
    ("held_reports", {"letter_id": "msg_1"}),
    # keys and events
    ("idempotency_keys", {"fingerprint": b"short"}),
    ("idempotency_keys", {"message_id": "msg_of_nobody"}),
    ("idempotency_keys", {"message_id": None}),
    ("events", {"data": "no json"}),
    ("read_marks", {"reader": ""}),
    ("read_marks", {"seq": -1}),
    ("read_marks", {"by_hand": 2}),
    ("vault", {"id": 2}),
    # what people decided
    ("acts", {"kind": "forward"}),
    ("acts", {"asked": "no json"}),
    ("acts", {"placement": "lost"}),
    ("acts", {"from_placement": "lost"}),
    ("acts", {"from_placement": "placed"}),
    ("acts", {"thread_id": "thr_of_nobody"}),
    ("acts", {"done_by": ""}),
    ("acts", {"undone_by": "Jane Doe"}),
    ("acts", {"undone_at": 1}),
    ("audit", {"staff": "Somebody else"}),
    # gaps and checks
    ("gaps", {"reason": "bad luck"}),
    ("gaps", {"closed_at": 2**60}),
    ("gaps", {"ended_at": 1}),
    ("gaps", {"unannounced": -1}),
    ("completeness", {"missing": 1}),
    ("completeness", {"checked_at": None}),
    ("completeness", {"compared": -1}),
    ("completeness", {"problem": ""}),
    ("completeness", {"conversations_done": -1}),
    ("missing_mail", {"graph_id": ""}),
    # privacy
    ("tombstones", {"hash": b"short"}),
    ("tombstone_keys", {"key": b"short"}),
    ("tombstone_keys", {"account_id": "acc_of_nobody"}),
    ("erasures", {"what": "everything"}),
    ("erasures", {"objects": "no json"}),
    ("erasures", {"reason": ""}),
    ("erasures", {"removed": "no json"}),
    ("erasures", {"proof": "{}"}),
    ("retention_rules", {"what": "mailboxes"}),
    ("retention_rules", {"days": 0}),
    # search
    ("searched", {"message_id": "another"}),
    ("search_backlogs", {"indexed": -1}),
    ("search_backlogs", {"total": -1}),
    # rich notifications
    ("encryption_certificates", {"private_key": "text"}),
    ("encryption_certificates", {"account_id": "acc_of_nobody"}),
    ("rich_troubles", {"unopened": 1}),
    ("rich_troubles", {"reason": None}),
    ("rich_troubles", {"reason": ""}),
    ("hints", {"opened": 2}),
    # webhooks
    ("webhooks", {"url": ""}),
    ("webhooks", {"state": "tired"}),
    ("webhooks", {"state": "down"}),
    ("webhooks", {"state": "disabled"}),
    ("webhooks", {"old_secret": b"sealed"}),
    ("webhooks", {"failures": -1}),
    ("webhooks", {"types": "no json"}),
    ("deliveries", {"state": "lost"}),
    ("deliveries", {"state": "delivered"}),
    ("deliveries", {"state": "failed", "next_attempt_at": None}),
    ("deliveries", {"attempts": -1}),
    ("deliveries", {"seq": 99}),
]


@pytest.mark.parametrize(
    ("table", "change"), NONSENSE, ids=lambda value: value if isinstance(value, str) else str(value)
)
def test_nonsense_is_refused(tx: Transaction, scene: Scene, table: str, change: dict[str, Any]) -> None:
    where = "message_id = 'msg_1'" if table == "outbox" else "true"
    assert tx.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0] > 0
    assignments = ", ".join(f"{column} = :{column}" for column in change)
    with pytest.raises(sqlite3.IntegrityError):
        tx.execute(f"UPDATE {table} SET {assignments} WHERE {where}", change)


def test_every_table_is_tried_with_nonsense_but_those_that_have_nothing_to_refuse(tx: Transaction) -> None:
    without = {"participants", "chores", "audit_door", "entering"}
    assert set(tables(tx)) - {table for table, _ in NONSENSE} == without


TWINS = [
    ("accounts", "name"),
    ("credentials", "account_id"),
    ("credential_warnings", "credential_id, days_left"),
    ("api_keys", "digest"),
    ("mailboxes", "account_id, address"),
    ("folders", "mailbox_id, well_known"),
    ("subscriptions", "folder_id"),
    ("conversations", "mailbox_id, conversation_id"),
    ("thread_objects", "account_id, type, object_id, thread_id"),
    ("participants", "thread_id, address"),
    ("outbox", "send_uid"),
    ("file_pieces", "file_id, position"),
    ("letter_attachments", "message_id, position"),
    ("spending", "mailbox_id, kind, bucket"),
    ("idempotency_keys", "account_id, key"),
    ("chores", "account_id, name"),
    ("read_marks", "thread_id, reader"),
    ("gaps", "folder_id, reason"),
    ("completeness", "mailbox_id"),
    ("missing_mail", "mailbox_id, graph_id"),
    ("search_backlogs", "account_id"),
    ("deliveries", "webhook_id, seq"),
]


@pytest.mark.parametrize(("table", "same"), TWINS)
def test_there_is_no_second_one_with_the_same(tx: Transaction, scene: Scene, table: str, same: str) -> None:
    """Copies a row with all but the named columns changed where they must be unique."""
    columns = [row["name"] for row in tx.execute(f"PRAGMA table_info({table})")]  # generated columns are not in it
    kept = {name.strip() for name in same.split(",")}
    new_key = {"id": "'other'"} if "id" not in kept else {}
    if table == "outbox":
        new_key = {"message_id": "'msg_2'"}
    values = ", ".join(new_key.get(column, column) for column in columns)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        tx.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}")


def test_one_mail_item_is_one_message(tx: Transaction, scene: Scene) -> None:
    messages.insert(tx, a_message(scene, "msg_3", graph_id="AAMk1"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        messages.insert(tx, a_message(scene, "msg_4", graph_id="AAMk1"))
    messages.insert(tx, a_message(scene, "msg_5", graph_id="aamk1"))  # Graph's ids differ by case


def test_what_others_hang_on_cannot_be_deleted(tx: Transaction, scene: Scene) -> None:
    for table in ("accounts", "mailboxes", "folders", "threads", "messages", "outbox"):
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            tx.execute(f"DELETE FROM {table}")
