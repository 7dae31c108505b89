"""Accounts, credentials, keys, mailboxes, threads: what each of them promises."""

from dataclasses import replace
from datetime import timedelta

import pytest

import storage
from storage import (
    Transaction,
    accounts,
    api_keys,
    credentials,
    feeds,
    identities,
    mailboxes,
    messages,
    outbox,
    subscriptions,
    threads,
)
from storage.accounts import TokenState
from storage.api_keys import Scope
from storage.mailboxes import MailboxState
from storage.messages import Attachment, Direction, Kind, Placement
from storage.subscriptions import SubscriptionState
from storage.threads import Address, Object, ObjectType
from storage.vault import MasterKey
from tests.fakes.clock import A_MONDAY as NOW
from tests.storage.scene import STUDENT, Scene, a_message, build, post, subscribe

KEY = MasterKey.new()
MINUTE = timedelta(minutes=1)


class TestAccounts:
    def test_a_name_is_taken_once(self, tx: Transaction) -> None:
        accounts.add(tx, "SELMA", now=NOW)
        with pytest.raises(storage.AlreadyExists, match="SELMA"):
            accounts.add(tx, "SELMA", now=NOW)

    def test_what_is_not_there_is_not_found(self, tx: Transaction) -> None:
        with pytest.raises(storage.NotFound):
            accounts.get(tx, "acc_of_nobody")
        with pytest.raises(storage.NotFound):
            accounts.get_by_name(tx, "nobody")

    def test_another_app_makes_what_was_known_of_the_token_void(self, tx: Transaction, scene: Scene) -> None:
        settings = {"tenant_id": "t", "client_id": "c", "cloud": "global", "time_zone": "UTC"}
        accounts.configure(tx, scene.account_id, **settings, now=NOW)
        accounts.record_token(tx, scene.account_id, TokenState.OK, now=NOW)
        accounts.configure(tx, scene.account_id, **(settings | {"time_zone": "Pacific/Auckland"}), now=NOW)
        assert accounts.get(tx, scene.account_id).token_state is TokenState.OK
        accounts.configure(tx, scene.account_id, **(settings | {"client_id": "d"}), now=NOW)
        assert accounts.get(tx, scene.account_id).token_state is TokenState.UNKNOWN

    def test_only_what_changes_is_news(self, tx: Transaction, scene: Scene) -> None:
        problem = {"code": "secret_expired"}
        news = [
            accounts.record_token(tx, scene.account_id, state, problem=found, now=NOW)
            for state, found in [
                (TokenState.OK, None),
                (TokenState.OK, None),
                (TokenState.REFUSED, problem),
                (TokenState.REFUSED, problem),
                (TokenState.REFUSED, {"code": "secret_wrong"}),
            ]
        ]
        assert news == [True, False, True, False, True]


class TestCredentials:
    def test_the_newest_is_the_one_in_use(self, tx: Transaction, scene: Scene) -> None:
        assert credentials.active(tx, scene.account_id) is None
        for secret in ("first", "second"):
            credentials.replace_client_secret(tx, scene.account_id, secret, expires_at=NOW, key=KEY, now=NOW)
        credential = credentials.active(tx, scene.account_id)
        assert credential is not None
        assert (credential.open(KEY), credential.hint, credential.expires_at) == ("second", "sec", NOW)

    def test_a_warning_counts_until_the_clock_turns_out_to_have_run_ahead(self, tx: Transaction, scene: Scene) -> None:
        credentials.replace_client_secret(tx, scene.account_id, "s", expires_at=NOW, key=KEY, now=NOW)
        credential = credentials.active(tx, scene.account_id)
        assert credential is not None
        credentials.record_warning(tx, credential, 30, now=NOW + MINUTE)
        assert credentials.warnings_given(tx, credential.id, latest=NOW) == []
        credentials.record_warning(tx, credential, 30, now=NOW)
        assert credentials.warnings_given(tx, credential.id, latest=NOW) == [30]

    def test_a_corrected_date_forgets_the_warnings(self, tx: Transaction, scene: Scene) -> None:
        credentials.replace_client_secret(tx, scene.account_id, "s", expires_at=NOW, key=KEY, now=NOW)
        credential = credentials.active(tx, scene.account_id)
        assert credential is not None
        credentials.record_warning(tx, credential, 30, now=NOW)
        credentials.set_expiry(tx, scene.account_id, NOW + MINUTE)
        assert credentials.warnings_given(tx, credential.id, latest=NOW) == []


class TestApiKeys:
    def test_a_key_is_found_by_its_value_until_it_is_revoked(self, tx: Transaction, scene: Scene) -> None:
        value = api_keys.new_value()
        made = api_keys.create(tx, scene.account_id, name="SELMA", scopes=frozenset({Scope.SEND}), value=value, now=NOW)
        assert api_keys.find(tx, value) == api_keys.find_by_id(tx, made.id) == made
        assert api_keys.find(tx, value.upper()) is None
        api_keys.revoke(tx, scene.account_id, made.id, now=NOW)
        assert api_keys.find(tx, value) is None
        assert api_keys.find_by_id(tx, made.id) is None
        assert api_keys.list_keys(tx, scene.account_id) == [replace(made, revoked_at=NOW)]

    def test_a_key_is_revoked_by_its_own_account_and_once(self, tx: Transaction, scene: Scene) -> None:
        other = build(tx, "another school")
        made = api_keys.create(
            tx, scene.account_id, name="SELMA", scopes=frozenset(), value=api_keys.new_value(), now=NOW
        )
        with pytest.raises(storage.NotFound):
            api_keys.revoke(tx, other.account_id, made.id, now=NOW)
        api_keys.revoke(tx, scene.account_id, made.id, now=NOW)
        with pytest.raises(storage.NotFound):
            api_keys.revoke(tx, scene.account_id, made.id, now=NOW)

    def test_the_value_is_not_kept(self, tx: Transaction, scene: Scene) -> None:
        value = api_keys.new_value()
        api_keys.create(tx, scene.account_id, name="SELMA", scopes=frozenset(), value=value, now=NOW)
        row = tuple(tx.execute("SELECT * FROM api_keys").fetchone())
        assert value[api_keys.HINT_LENGTH :] not in str(row)
        assert len(value) - api_keys.HINT_LENGTH > 32


class TestMailboxes:
    def test_an_address_is_the_same_in_any_case(self, tx: Transaction, scene: Scene) -> None:
        assert mailboxes.get_by_address(tx, scene.account_id, "Office@School.Example").id == scene.mailbox_id
        with pytest.raises(storage.AlreadyExists):
            mailboxes.add(tx, scene.account_id, "OFFICE@school.example", now=NOW)

    def test_two_accounts_may_have_the_same_address(self, tx: Transaction, scene: Scene) -> None:
        other = build(tx, "another school")
        assert other.mailbox_id != scene.mailbox_id

    def test_one_that_was_removed_and_added_again_is_the_same_mailbox(self, tx: Transaction, scene: Scene) -> None:
        mailboxes.mark_removed(tx, scene.mailbox_id)
        assert mailboxes.find(tx, scene.account_id, "office@school.example") is None
        again = mailboxes.add(tx, scene.account_id, "OFFICE@school.example", now=NOW + MINUTE)
        assert (again.id, again.state) == (scene.mailbox_id, MailboxState.ADDED)
        with pytest.raises(storage.AlreadyExists):
            mailboxes.add(tx, scene.account_id, "office@school.example", now=NOW)


class TestOtherAccounts:
    """An id of another account is as good as none."""

    def test_threads_messages_and_letters_of_another_account_are_not_found(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        stranger = build(tx, "another school").account_id
        with pytest.raises(storage.NotFound):
            threads.get(tx, stranger, scene.thread_id)
        with pytest.raises(storage.NotFound):
            messages.get(tx, stranger, "msg_1")
        with pytest.raises(storage.NotFound):
            outbox.get(tx, stranger, "msg_1")
        assert feeds.letters(tx, stranger, limit=10) == []

    def test_the_same_student_number_elsewhere_is_another_student(self, tx: Transaction, scene: Scene) -> None:
        stranger = build(tx, "another school")
        assert [one.id for one in threads.of_object(tx, scene.account_id, STUDENT, limit=10)] == [scene.thread_id]
        assert [one.id for one in threads.of_object(tx, stranger.account_id, STUDENT, limit=10)] == [stranger.thread_id]

    def test_tags_and_message_ids_are_looked_for_at_home(self, tx: Transaction, scene: Scene) -> None:
        uid = "7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41"
        post(tx, scene, send_uid=uid)
        messages.insert(tx, a_message(scene, "msg_2", internet_message_id="<a@b>"))
        stranger = build(tx, "another school").account_id
        assert outbox.by_send_uid(tx, stranger, uid) is None
        assert identities.by_internet_message_id(tx, stranger, "<a@b>") == []
        assert identities.named_by(tx, stranger, ["<a@b>"]) == []
        found = outbox.by_send_uid(tx, scene.account_id, uid.upper())
        assert found is not None
        assert found.message_id == "msg_1"
        assert [one.id for one in identities.named_by(tx, scene.account_id, ["<x@y>", "<a@b>"])] == ["msg_2"]


class TestThreads:
    def test_a_summary_tells_of_what_is_placed_only(self, tx: Transaction, scene: Scene) -> None:
        attachment = Attachment(id="1", name="a", content_type="b/c", size=1, is_inline=False, content_id=None)
        said = [
            a_message(scene, "msg_1", preview="ours", message_at=NOW),
            a_message(scene, "msg_2", preview="theirs", direction=Direction.IN, message_at=NOW + MINUTE),
            a_message(
                scene,
                "msg_3",
                preview="held",
                placement=Placement.HELD,
                message_at=NOW + 2 * MINUTE,
                attachments=(attachment,),
            ),
        ]
        for message in said:
            messages.insert(tx, message)
        threads.summarise(tx, scene.thread_id)
        thread = threads.get(tx, scene.account_id, scene.thread_id)
        assert (thread.message_count, thread.preview, thread.has_attachments) == (2, "theirs", False)
        assert (thread.last_message_at, thread.unanswered) == (NOW + MINUTE, True)

    def test_an_automatic_reply_is_the_last_message_but_not_the_last_word(self, tx: Transaction, scene: Scene) -> None:
        messages.insert(tx, a_message(scene, "msg_1", message_at=NOW))
        away = a_message(
            scene, "msg_2", kind=Kind.AUTOMATIC, direction=Direction.IN, preview="away", message_at=NOW + MINUTE
        )
        messages.insert(tx, away)
        threads.summarise(tx, scene.thread_id)
        thread = threads.get(tx, scene.account_id, scene.thread_id)
        assert (thread.message_count, thread.last_message_at) == (2, NOW + MINUTE)
        assert not thread.unanswered

    def test_a_thread_without_messages_is_as_old_as_it_is(self, tx: Transaction, scene: Scene) -> None:
        threads.summarise(tx, scene.thread_id)
        thread = threads.get(tx, scene.account_id, scene.thread_id)
        assert (thread.message_count, thread.last_message_at, thread.unanswered) == (0, NOW, False)

    def test_a_conversation_stays_in_the_thread_it_came_to_first(self, tx: Transaction, scene: Scene) -> None:
        second = threads.create(tx, scene.account_id, scene.mailbox_id, subject="", now=NOW)
        for thread_id in (scene.thread_id, second):
            threads.add_conversation(
                tx, scene.account_id, thread_id, mailbox_id=scene.mailbox_id, conversation_id="AAQk", now=NOW
            )
        assert threads.by_conversation(tx, scene.mailbox_id, "AAQk") == scene.thread_id
        assert threads.by_conversation(tx, scene.mailbox_id, "aaqk") is None
        assert threads.get(tx, scene.account_id, scene.thread_id).conversation_id == "AAQk"

    def test_linking_twice_is_linking_once(self, tx: Transaction, scene: Scene) -> None:
        enrolment = Object(type=ObjectType.ENROLMENT, id="E77")
        threads.link(tx, scene.account_id, scene.thread_id, [enrolment, STUDENT])
        threads.link(tx, scene.account_id, scene.thread_id, [enrolment])
        assert threads.objects_of(tx, scene.thread_id) == [enrolment, STUDENT]

    def test_a_later_name_of_a_participant_replaces_an_earlier_one_but_none_replaces_nothing(
        self, tx: Transaction, scene: Scene
    ) -> None:
        for name in ("Aroha", "Aroha Ngata", None):
            person = Address(name=name, address="aroha@student.example")
            threads.add_participants(tx, scene.account_id, scene.thread_id, [person])
        assert threads.participants(tx, scene.thread_id) == [
            Address(name="Aroha Ngata", address="aroha@student.example")
        ]


class TestMessages:
    def test_which_item_a_letter_is_can_be_written_down_later(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        identities.identify(tx, "msg_1", graph_id="AAMk1", conversation_id="AAQk", internet_message_id="<a@b>")
        message = messages.get(tx, scene.account_id, "msg_1")
        assert (message.graph_id, message.conversation_id, message.internet_message_id) == ("AAMk1", "AAQk", "<a@b>")
        assert (message.message_at, message.status) == (NOW, "accepted")
        assert identities.by_graph_id(tx, scene.mailbox_id, "AAMk1") == message
        assert identities.by_graph_id(tx, scene.mailbox_id, "aamk1") is None

    def test_a_thread_shows_what_is_placed_in_the_order_of_time(self, tx: Transaction, scene: Scene) -> None:
        for name, minutes, placement in (
            ("msg_1", 2, Placement.PLACED),
            ("msg_2", 1, Placement.PLACED),
            ("msg_3", 0, Placement.DISMISSED),
        ):
            at = NOW + minutes * MINUTE
            messages.insert(tx, a_message(scene, name, message_at=at, placement=placement))
        assert [message.id for message in feeds.of_thread(tx, scene.thread_id)] == ["msg_2", "msg_1"]


class TestSubscriptions:
    def test_a_folder_is_unwatched_until_a_subscription_is_under_way(self, tx: Transaction, scene: Scene) -> None:
        assert subscriptions.unwatched_folders(tx) == [scene.inbox_id]
        subscription = subscribe(tx, scene)
        assert subscriptions.unwatched_folders(tx) == []
        gone = replace(subscription, state=SubscriptionState.GONE, next_step_at=None)
        subscriptions.save(tx, gone)
        assert subscriptions.unwatched_folders(tx) == [scene.inbox_id]

    def test_one_that_is_gone_is_not_found_and_in_time_forgotten(self, tx: Transaction, scene: Scene) -> None:
        live = replace(
            subscribe(tx, scene), state=SubscriptionState.LIVE, subscription_id="sub-1", expiration_date_time=NOW
        )
        subscriptions.save(tx, live)
        assert subscriptions.find(tx, "sub-1") == live
        subscriptions.save(tx, replace(live, state=SubscriptionState.GONE, next_step_at=None))
        assert subscriptions.find(tx, "sub-1") is None
        assert subscriptions.prune(tx, NOW) == 0
        assert subscriptions.prune(tx, NOW + MINUTE) == 1

    def test_what_needs_a_step_is_asked_for_by_time(self, tx: Transaction, scene: Scene) -> None:
        subscription = subscribe(tx, scene, now=NOW)
        assert subscriptions.due(tx, NOW - MINUTE) == []
        assert subscriptions.due(tx, NOW) == [subscription]
