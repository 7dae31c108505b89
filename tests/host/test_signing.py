"""Signed as the specification says: its own vector, and its own library as the judge."""

from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from gateway.clock import SystemClock
from gateway.host.signing import body_of, headers_of, new_secret
from storage.events import Event

EVENT = Event(
    seq=7,
    account_id="acc_1",
    type="reply.received",
    thread_id="thr_1",
    message_id="msg_1",
    data={"kind": "mail"},
    created_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
)


def test_the_published_vector() -> None:
    """https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries"""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, UTC)
    signature = Webhook(secret).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_librarys_own_check_takes_it() -> None:
    old, new = new_secret(), new_secret()
    body = body_of(EVENT)
    headers = headers_of(EVENT, body, [new, old], SystemClock().now())
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers)["data"] == {
            "id": "7",
            "thread_id": "thr_1",
            "message_id": "msg_1",
            "kind": "mail",
        }


def test_secrets_are_fresh_and_of_the_right_length() -> None:
    assert new_secret() != new_secret()
    assert len(Webhook(new_secret())._whsecret) == 32
