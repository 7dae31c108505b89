"""`/subscriptions`: who is told of changes, for how long, after which handshake."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from gateway.sandbox.behaviour import MINIMUM_SUBSCRIPTION
from gateway.sandbox.changes import ChangeType
from gateway.sandbox.clock import parse_timestamp
from gateway.sandbox.graph import entities, errors, odata
from gateway.sandbox.graph.exchange import MAIL_ROLES, Call, Response, Route, split_path
from gateway.sandbox.notifier import HandshakeFailed
from gateway.sandbox.rich import BadCertificate, read_certificate
from gateway.sandbox.subscriptions import Subscription

ANY_ROLE: Final[frozenset[str]] = frozenset()
MOST_PER_MAILBOX: Final = 1000
MOST_CLIENT_STATE: Final = 128
NEVER_SELECTED: Final = frozenset({"body", "uniquebody"})
"""What no notification carries (concepts/outlook-change-notifications-overview)."""
_TLS: Final = frozenset({"v1_0", "v1_1", "v1_2", "v1_3"})
_CREATABLE: Final = frozenset(
    {"changeType", "notificationUrl", "resource", "expirationDateTime", "clientState", "lifecycleNotificationUrl",
     "latestSupportedTlsVersion", "includeResourceData", "encryptionCertificate", "encryptionCertificateId",
     "notificationUrlAppId", "notificationQueryOptions"}
)  # fmt: skip
_UPDATABLE: Final = frozenset(
    {"expirationDateTime", "notificationUrl", "encryptionCertificate", "encryptionCertificateId"}
)
_CERTIFICATE: Final = {
    "encryptionCertificate": "encryption_certificate",
    "encryptionCertificateId": "encryption_certificate_id",
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a subscription is about."""

    mailbox_id: str
    folder_id: str | None
    matches_nothing: bool


async def create_subscription(call: Call) -> Response:
    body = call.json()
    _check_members(body, _CREATABLE)
    subscription = _read(call, body)
    if len([s for s in call.world.subscriptions if s.mailbox_id == subscription.mailbox_id]) >= MOST_PER_MAILBOX:
        raise errors.extension_error(f"The limit of {MOST_PER_MAILBOX} subscriptions is reached.", status=403)
    twin = call.world.subscriptions.twin_of(subscription)
    if twin is not None:
        raise errors.subscription_exists(twin.id)
    for url in (subscription.notification_url, subscription.lifecycle_notification_url):
        if url is not None:
            await _handshake(call, url)
    call.world.subscriptions.add(subscription)
    return _answer(call, subscription, status=201)


async def get_subscription(call: Call) -> Response:
    return _answer(call, _find(call))


async def list_subscriptions(call: Call) -> Response:
    for name in call.request.query:
        if name != "$skiptoken":
            raise errors.bad_request(f"Query option '{name}' is not supported for subscriptions.")
    items = call.world.subscriptions.of_app(call.app.app_id)
    start = odata.number(call.request.query, "$skiptoken", 0)
    size = call.world.behaviour.subscription_page_size
    value = [entities.subscription(each, with_client_state=False) for each in items[start : start + size]]
    has_more = start + size < len(items)
    next_link = odata.link(call, {"$skiptoken": str(start + size)}) if has_more else None
    return Response(status=200, json=odata.collection(call.context("subscriptions"), value, next_link))


async def update_subscription(call: Call) -> Response:
    """Renewal. A new URL must shake hands as at creation."""
    subscription, body = _find(call), call.json()
    _check_members(body, _CREATABLE)
    for name in body:
        if not name.startswith("@") and name not in _UPDATABLE:
            raise errors.bad_request(f"Property '{name}' of a subscription cannot be updated.", "InvalidRequest")
    if "expirationDateTime" in body:
        is_rich = bool(subscription.include_resource_data)
        subscription.expiration_date_time = _expiration(call, body["expirationDateTime"], is_rich, "Update")
    if "notificationUrl" in body:
        url = _url("notificationUrl", body["notificationUrl"])
        await _handshake(call, url)
        subscription.notification_url = url
    if "encryptionCertificate" in body:
        _check_certificate(body["encryptionCertificate"])
    for name, field in _CERTIFICATE.items():
        if name in body:
            setattr(subscription, field, body[name])
    return _answer(call, subscription)


async def delete_subscription(call: Call) -> Response:
    call.world.subscriptions.remove(_find(call).id)
    return Response(status=204)


async def reauthorize(call: Call) -> Response:
    _find(call)
    return Response(status=204)


def _read(call: Call, body: Mapping[str, Any]) -> Subscription:
    """The subscription a body asks for. Raises GraphError."""
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise errors.bad_request(f"Property '{name}' is required for a subscription.", "InvalidRequest")
    is_rich = body.get("includeResourceData") or None
    client_state = body.get("clientState")
    if client_state is not None and (not isinstance(client_state, str) or len(client_state) > MOST_CLIENT_STATE):
        raise errors.bad_request("The clientState must be a string of at most 128 characters.", "InvalidRequest")
    tls = body.get("latestSupportedTlsVersion") or "v1_2"
    if tls not in _TLS:
        raise errors.bad_request(f"latestSupportedTlsVersion '{tls}' is not supported.", "InvalidRequest")
    resource = _resource(call, body["resource"])
    lifecycle = body.get("lifecycleNotificationUrl")
    if is_rich:
        _check_rich(body)
    return Subscription(
        id=call.world.identities.guid(),
        app_id=call.app.app_id,
        creator_id=call.app.object_id,
        resource=body["resource"],
        mailbox_id=resource.mailbox_id,
        folder_id=resource.folder_id,
        change_types=_change_types(body["changeType"]),
        notification_url=_url("notificationUrl", body["notificationUrl"]),
        lifecycle_notification_url=None if lifecycle is None else _url("lifecycleNotificationUrl", lifecycle),
        client_state=client_state,
        expiration_date_time=_expiration(call, body["expirationDateTime"], bool(is_rich), "Create"),
        latest_supported_tls_version=tls,
        immutable_ids=call.immutable_ids,
        matches_nothing=resource.matches_nothing,
        include_resource_data=is_rich,
        encryption_certificate=body.get("encryptionCertificate"),
        encryption_certificate_id=body.get("encryptionCertificateId"),
    )


def _check_rich(body: Mapping[str, Any]) -> None:
    """What resource data needs. Raises GraphError."""
    if not ("$select" in body["resource"] and body.get("encryptionCertificate")):
        raise errors.extension_error("Resource data needs $select and an encryptionCertificate.")
    _check_certificate(body["encryptionCertificate"])


def _check_certificate(text: Any) -> None:
    try:
        read_certificate(text)
    except BadCertificate as error:
        raise errors.extension_error(f"The encryptionCertificate is invalid: {error}.") from error


def _resource(call: Call, text: str) -> Resource:
    """`users/{id}/messages` or `users/{id}/mailFolders('inbox')/messages`; a display name is no folder id."""
    path, _, query = text.partition("?")
    segments = split_path(path)
    names = [segment.lower() for segment in segments]
    if names[:1] == ["me"]:
        raise errors.no_permissions()
    is_mailbox = len(names) == 3 and names[0] == "users" and names[2] == "messages"
    is_folder = len(names) == 5 and names[0] == "users" and names[2] == "mailfolders" and names[4] == "messages"
    if not (is_mailbox or is_folder):
        raise _invalid_resource(text)
    given = call.roles | (MAIL_ROLES if call.app.scoped_mailboxes is not None else frozenset())
    if not given & call.world.behaviour.subscription_permissions:
        raise errors.extension_error(
            "The caller does not have the permission that is needed to subscribe to this resource.", status=403
        )
    user = call.world.directory.find(segments[1])
    if user is None:
        raise errors.extension_error("The requested user is invalid.", status=404)
    mailbox = call.enter(user)
    folder = mailbox.folder(segments[3]) if is_folder else None
    if is_folder and folder is None:
        raise _invalid_resource(text)
    options = dict(parse_qsl(query))
    for name in options:
        if name not in ("$select", "$filter", "$expand"):
            raise _invalid_resource(text)
    if NEVER_SELECTED & {name.strip().lower() for name in options.get("$select", "").split(",")}:
        raise _invalid_resource(text)
    return Resource(
        mailbox_id=user.id,
        folder_id=folder.id if folder else None,
        matches_nothing="singlevalueextendedproperties" in options.get("$filter", "").lower(),
    )


def _invalid_resource(text: str) -> errors.GraphError:
    return errors.extension_error(f"The value '{text}' of parameter 'Resource' is invalid.")


def _change_types(text: str) -> tuple[ChangeType, ...]:
    try:
        return tuple(dict.fromkeys(ChangeType(part.strip().lower()) for part in text.split(",")))
    except ValueError as error:
        raise errors.bad_request(f"Invalid changeType '{text}'.", "InvalidRequest") from error


def _expiration(call: Call, text: Any, is_rich: bool, operation: str) -> datetime:
    """When it ends: too late is refused, too early raised to 45 minutes (resources/subscription)."""
    now = call.world.clock.now()
    try:
        wanted = parse_timestamp(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise errors.wrong_type("expirationDateTime", "Edm.DateTimeOffset") from error
    if wanted <= now:
        raise errors.bad_request("Subscription expirationDateTime must be in the future.", "InvalidRequest")
    behaviour = call.world.behaviour
    most = behaviour.max_rich_subscription_minutes if is_rich else behaviour.max_subscription_minutes
    if wanted > now + timedelta(minutes=most):
        reason = f"Subscription expiration can only be {most} minutes in the future."
        raise errors.extension_error(reason, operation=operation)
    return max(wanted, now + MINIMUM_SUBSCRIPTION)


def _url(name: str, value: Any) -> str:
    """HTTPS, or plain HTTP to this machine. Raises GraphError."""
    parts = urlsplit(value if isinstance(value, str) else "")
    if parts.scheme == "https" and parts.hostname:
        return str(value)
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return str(value)
    raise errors.bad_request(f"The {name} must be an HTTPS URL.", "InvalidRequest")


async def _handshake(call: Call, url: str) -> None:
    try:
        await call.notifier.handshake(url)
    except HandshakeFailed as failed:
        raise errors.bad_request(str(failed), failed.code) from failed


def _check_members(body: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in body:
        if not name.startswith("@") and name not in known:
            raise errors.unknown_property(name, "subscription")


def _find(call: Call) -> Subscription:
    found = call.world.subscriptions.find(call.params["subscription"])
    if found is None or found.app_id != call.app.app_id:
        raise errors.subscription_gone()
    return found


def _answer(call: Call, subscription: Subscription, *, status: int = 200) -> Response:
    json = entities.subscription(subscription, with_client_state=True)
    return Response(status=status, json={"@odata.context": call.context("subscriptions/$entity"), **json})


ROUTES: Final = (
    Route(method="POST", path="/subscriptions", handler=create_subscription, roles=ANY_ROLE),
    Route(method="GET", path="/subscriptions", handler=list_subscriptions, roles=ANY_ROLE),
    Route(method="GET", path="/subscriptions/{subscription}", handler=get_subscription, roles=ANY_ROLE),
    Route(method="PATCH", path="/subscriptions/{subscription}", handler=update_subscription, roles=ANY_ROLE),
    Route(method="DELETE", path="/subscriptions/{subscription}", handler=delete_subscription, roles=ANY_ROLE),
    Route(method="POST", path="/subscriptions/{subscription}/reauthorize", handler=reauthorize, roles=ANY_ROLE),
)
