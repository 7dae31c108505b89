"""Graph's answers about subscriptions, as the keeper hears them: over the client itself, with canned answers."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.connections import NotConnected
from gateway.graph import CredentialRefused, EntraUnavailable, GraphClient, TokenErrorKind
from gateway.subscribing import ClientSubscriptions, SubscriptionSource
from subscriptions.graph import (
    GraphBusy,
    GraphSource,
    SubscribingFailed,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
)
from tests.graph.fakes import A_MONDAY, Setting, Tokens, answer, failure, sample

URL = "https://mail.school.example/graph/notifications"


class Connected:
    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    async def graph(self, account_id: str) -> GraphClient:
        return self._setting.client


class Unconnected:
    async def graph(self, account_id: str) -> GraphClient:
        raise NotConnected(account_id)


class NoTokens(Tokens):
    """Entra says no."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def token(self, *, refused: str | None = None) -> str:
        raise self._error


def told(status: int, code: str, message: str, **headers: str) -> httpx.Response:
    return answer(status, {"error": {"code": code, "message": message}}, **headers)


async def create(setting: Setting) -> Any:
    return await ClientSubscriptions(setting.client).create(
        resource="users/u1/mailFolders('inbox')/messages",
        change_type="created",
        notification_url=URL,
        lifecycle_notification_url="https://mail.school.example/graph/lifecycle",
        expiration_date_time=A_MONDAY + timedelta(days=6),
        client_state="secretClientValue",
    )


async def why_not(setting: Setting) -> SubscribingFailed:
    with pytest.raises(SubscribingFailed) as caught:
        await create(setting)
    return caught.value


async def test_all_calls_reach_graph_and_their_answers_the_keeper() -> None:
    source: GraphSource = SubscriptionSource(
        Connected(
            Setting(
                answer(201, sample("subscription-create.response")),
                answer(200, sample("subscription-update.response")),
                answer(204),
                answer(200, sample("subscription-create.response")),
                answer(200, sample("subscription-list.response")),
                answer(204),
            )
        )
    )
    graph = await source.subscriptions("acc_1")
    made = await graph.create(
        resource="r",
        change_type="created",
        notification_url=URL,
        lifecycle_notification_url=URL,
        expiration_date_time=A_MONDAY,
        client_state="s",
    )
    assert made.subscription_id == "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
    assert (await graph.renew(made.subscription_id, A_MONDAY)).isoformat() == "2016-11-22T18:23:45.935691+00:00"
    await graph.reauthorize(made.subscription_id)
    assert await graph.get(made.subscription_id) == made
    [listed] = await graph.list_all()
    assert listed.resource == "Users"
    await graph.delete(made.subscription_id)


async def test_an_account_that_is_not_connected_is_told_what_to_enter() -> None:
    with pytest.raises(SubscriptionRefused) as caught:
        await SubscriptionSource(Unconnected()).subscriptions("acc_1")
    assert "client secret" in caught.value.reason


@pytest.mark.parametrize(
    ("recorded", "word"),
    [
        ("error-subscription-validation", "something else answers"),
        ("error-subscription-validation-timeout", "10 seconds"),
    ],
)
async def test_a_failed_handshake_as_users_report_it(recorded: str, word: str) -> None:
    error = await why_not(Setting(answer(400, sample(recorded))))
    assert isinstance(error, SubscriptionRefused)
    assert URL in error.reason
    assert word in error.reason


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("Subscription validation request failed. The remote certificate is invalid.", "certificate"),
        ("Subscription validation request failed. Could not establish trust for the SSL/TLS channel.", "certificate"),
        ("Subscription validation request failed. The remote name could not be resolved.", "DNS"),
        ("Subscription validation request timed out.", "firewall"),
        ("Response must exactly match validationToken query parameter.", "proxy pass it on untouched"),
        ("Notification endpoint must respond with 200 OK to validation request.", "without a login"),
        ("Subscription validation request failed. Unable to connect to the remote server.", "connected to"),
        ("Subscription validation request failed. Notification endpoint could not be reached.", "connected to"),
        ("Subscription validation request failed.", "Graph does not say"),
    ],
)
async def test_each_failed_handshake_has_its_cure(message: str, word: str) -> None:
    assert word in (await why_not(Setting(told(400, "ValidationError", message)))).reason


async def test_a_missing_permission_names_the_one_to_grant() -> None:
    error = await why_not(Setting(told(403, "ExtensionError", "Operation: Create; Exception: Forbidden")))
    assert isinstance(error, SubscriptionRefused)
    assert "Mail.Read beside Mail.ReadWrite" in error.reason


async def test_a_mailbox_with_too_many_subscriptions_is_told_apart() -> None:
    error = await why_not(Setting(told(403, "Forbidden", "The subscription limit of 1000 was reached.")))
    assert "as many subscriptions as Graph allows" in error.reason


async def test_a_life_that_is_too_long_points_at_the_clock() -> None:
    error = await why_not(Setting(answer(400, sample("error-subscription-expiration"))))
    assert "clock" in error.reason


async def test_a_resource_that_graph_does_not_like_is_no_handshake() -> None:
    error = await why_not(Setting(answer(400, sample("error-subscription-resource"))))
    assert isinstance(error, SubscriptionRefused)
    assert URL not in error.reason
    assert "ExtensionError" in error.reason


async def test_a_double_is_told_apart() -> None:
    assert isinstance(await why_not(Setting(answer(409, sample("error-subscription-duplicate")))), SubscriptionExists)


async def test_a_mailbox_that_is_not_there_is_no_lost_subscription() -> None:
    error = await why_not(Setting(failure(404, "ResourceNotFound")))
    assert isinstance(error, SubscriptionRefused)
    assert "mailbox" in error.reason


async def test_one_that_is_gone_is_told_by_renewal() -> None:
    setting = Setting(answer(404, sample("error-subscription-gone")))
    with pytest.raises(SubscriptionGone):
        await ClientSubscriptions(setting.client).renew("7f105c7d", A_MONDAY)


async def test_patience_that_graph_asks_for_is_passed_on() -> None:
    error = await why_not(Setting(failure(429, "TooManyRequests", Retry_After="300")))
    assert isinstance(error, GraphBusy)
    assert error.retry_after == timedelta(seconds=300)


@pytest.mark.parametrize("trouble", [httpx.ConnectError("no"), httpx.ReadTimeout("late"), failure(500), failure(503)])
async def test_what_may_pass_by_itself_is_busy(trouble: httpx.Response | Exception) -> None:
    assert isinstance(await why_not(Setting(trouble)), GraphBusy)


async def test_a_refused_secret_says_what_to_do() -> None:
    tokens = NoTokens(CredentialRefused("AADSTS7000222", kind=TokenErrorKind.SECRET_EXPIRED))
    error = await why_not(Setting(answer(201), tokens=tokens))
    assert isinstance(error, SubscriptionRefused)
    assert "client secret has expired" in error.reason


async def test_an_entra_that_is_away_is_busy() -> None:
    tokens = NoTokens(EntraUnavailable(kind=TokenErrorKind.TRANSIENT, retry_after=timedelta(seconds=9)))
    error = await why_not(Setting(answer(201), tokens=tokens))
    assert isinstance(error, GraphBusy)
    assert error.retry_after == timedelta(seconds=9)


async def test_graphs_own_words_are_not_for_the_log() -> None:
    error = await why_not(Setting(told(403, "ErrorAccessDenied", "Access to ada@school.example is denied.")))
    assert "ada" not in error.reason + str(error.details)
    assert error.details["status"] == 403
