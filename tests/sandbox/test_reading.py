"""Lists, filters, folders, users, permissions: strict where Graph is strict."""

from datetime import timedelta

import httpx
import pytest

from gateway.sandbox import Address, Sandbox
from gateway.sandbox.school import School

from .conftest import ManualClock, at, token_for

SINCE = "receivedDateTime ge 2026-01-01T00:00:00Z"
OFFICE = "office@school.example"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def mail(sandbox: Sandbox, pupils: School, clock: ManualClock) -> list[str]:
    """Twelve mails, one an hour; their subjects in order."""
    subjects = [f"Mail {number}" for number in range(12)]
    for subject in subjects:
        clock.advance(timedelta(minutes=1))
        sandbox.world.deliver(OFFICE, from_=Address(name="A'Bee", address="a@b.example"), subject=subject)
    return subjects


async def test_a_list_has_ten_to_a_page_latest_first_and_a_link_to_the_rest(
    graph: httpx.AsyncClient, office: str, mail: list[str]
) -> None:
    first = (await graph.get(f"{office}/mailFolders/inbox/messages?$select=subject")).json()
    assert [m["subject"] for m in first["value"]] == mail[:1:-1]
    rest = (await graph.get(first["@odata.nextLink"])).json()
    assert [m["subject"] for m in rest["value"]] == ["Mail 1", "Mail 0", "Lost jacket, Room 4"]
    assert "@odata.nextLink" not in rest


FOUND = [
    ("subject eq 'Mail 3'", ["Mail 3"]),
    ("startswith(subject,'Lost')", ["Lost jacket, Room 4"]),
    ("from/emailAddress/address eq 'A@B.example' and contains(subject, ' 11')", ["Mail 11"]),
    ("from/emailAddress/name eq 'A''Bee' and subject eq 'Mail 3'", ["Mail 3"]),
    ("receivedDateTime ge 2026-11-24T02:11:00Z and isRead eq false", ["Mail 11", "Mail 10"]),
    ("receivedDateTime gt 2026-11-24T02:11:00Z", ["Mail 11"]),
    ("receivedDateTime lt 2026-11-24T02:01:00Z", ["Lost jacket, Room 4"]),
    ("(subject eq 'Mail 1' or subject eq 'Mail 2') and not (subject eq 'Mail 2')", ["Mail 1"]),
    ("isDraft eq true", []),
]


@pytest.mark.parametrize(("text", "subjects"), FOUND, ids=[text for text, _ in FOUND])
async def test_a_filter_finds(
    graph: httpx.AsyncClient, office: str, mail: list[str], text: str, subjects: list[str]
) -> None:
    answer = await graph.get(f"{office}/mailFolders/inbox/messages", params={"$filter": text})
    assert [m["subject"] for m in answer.json()["value"]] == subjects


REFUSED = [
    ({"$filter": "colour eq 'green'"}, "ErrorInvalidUrlQueryFilter"),
    ({"$filter": "isRead eq 'false'"}, "ErrorInvalidUrlQueryFilter"),
    ({"$filter": "subject eq 'open"}, "ErrorInvalidUrlQueryFilter"),
    ({"$filter": "conversationId eq 'AAQk'", "$orderby": "receivedDateTime"}, "InefficientFilter"),
    ({"$filter": f"isRead eq false and {SINCE}", "$orderby": "receivedDateTime"}, "InefficientFilter"),
    ({"$select": "subject,colour"}, "RequestBroker--ParseUri"),
    ({"$expand": "singleValueExtendedProperties"}, "ErrorInvalidUrlQuery"),
    ({"$expand": "friends"}, "RequestBroker--ParseUri"),
    ({"$top": "0"}, "ErrorInvalidUrlQuery"),
    ({"$top": "1001"}, "ErrorInvalidUrlQuery"),
    ({"$apply": "groupby"}, "BadRequest"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "expected"), REFUSED, ids=[str(p) for p, _ in REFUSED])
async def test_a_list_is_refused_for(
    graph: httpx.AsyncClient, office: str, params: dict[str, str], expected: str
) -> None:
    assert code(await graph.get(f"{office}/messages", params=params)) == (400, expected)


async def test_what_is_sorted_and_filtered_in_the_same_order_is_answered(
    graph: httpx.AsyncClient, office: str, mail: list[str]
) -> None:
    params = {"$filter": "receivedDateTime ge 2026-11-24T02:11:00Z", "$orderby": "receivedDateTime asc"}
    answer = await graph.get(f"{office}/messages", params=params)
    assert [m["subject"] for m in answer.json()["value"]] == ["Mail 10", "Mail 11"]


async def test_folders_have_constant_ids_well_known_names_and_counts(
    graph: httpx.AsyncClient, office: str, mail: list[str]
) -> None:
    by_name = (await graph.get(f"{office}/mailFolders('INBOX')")).json()
    by_id = (await graph.get(f"{office}/mailFolders/{at(by_name['id'])}")).json()
    assert by_name["id"] == by_id["id"]
    assert (by_id["totalItemCount"], by_id["unreadItemCount"]) == (13, 13)
    assert code(await graph.get(f"{office}/mailFolders/Sent%20Items")) == (400, "ErrorInvalidIdMalformed")


async def test_a_body_comes_as_text_if_that_is_preferred(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    message = sandbox.world.deliver(
        OFFICE, from_="a@b.example", html="<p>Kia&nbsp;ora</p><script>alert(1)</script><p>Ka kite</p>"
    )
    text = {"Prefer": 'IdType="ImmutableId", outlook.body-content-type="text"'}
    answer = await graph.get(f"{office}/messages/{at(message.id)}", headers=text)
    assert answer.headers["preference-applied"] == 'outlook.body-content-type="text"'
    assert answer.json()["body"] == {"contentType": "text", "content": "Kia\xa0ora\r\nKa kite"}
    assert answer.json()["id"] == message.immutable_id
    unsafe = (await graph.get(f"{office}/messages/{at(message.id)}")).json()["body"]["content"]
    assert "script" not in unsafe


async def test_users_are_found_by_id_and_principal_name_and_show_a_basic_profile(
    sandbox: Sandbox, graph: httpx.AsyncClient
) -> None:
    by_name = (await graph.get("/v1.0/users/office@school.example")).json()
    by_id = (await graph.get(f"/v1.0/users/{by_name['id']}?$select=mail")).json()
    assert by_id["mail"] == OFFICE
    assert "accountEnabled" not in by_name
    filtered = await graph.get("/v1.0/users", params={"$filter": "mail eq 'OFFICE@school.example'", "$top": "5"})
    assert [user["id"] for user in filtered.json()["value"]] == [by_name["id"]]
    refused = await graph.get("/v1.0/users/office@school.example?$select=accountEnabled")
    assert code(refused) == (403, "Authorization_RequestDenied")


MAILBOXES = [
    ("nobody@school.example", "", (404, "Request_ResourceNotFound")),
    ("nobody@school.example", "/mailFolders/inbox", (404, "ErrorInvalidUser")),
    ("principal@school.example", "/mailFolders/inbox", (404, "MailboxNotEnabledForRESTAPI")),
]


@pytest.mark.parametrize(("user", "rest", "expected"), MAILBOXES)
async def test_a_mailbox_that_is_none_says_so(
    graph: httpx.AsyncClient, user: str, rest: str, expected: tuple[int, str]
) -> None:
    assert code(await graph.get(f"/v1.0/users/{user}{rest}")) == expected


PERMISSIONS = [
    ("User.ReadBasic.All", "GET", "/users/office@school.example", "Authorization_RequestDenied"),
    ("Mail.ReadWrite", "GET", "/users/office@school.example/messages", "ErrorAccessDenied"),
    ("Mail.ReadWrite", "POST", "/users/office@school.example/messages", "ErrorAccessDenied"),
    ("Mail.Send", "POST", "/users/office@school.example/sendMail", "ErrorAccessDenied"),
]


@pytest.mark.parametrize(("missing", "method", "path", "expected"), PERMISSIONS)
async def test_without_a_permission_there_is_no_way_in(
    sandbox: Sandbox, pupils: School, anyone: httpx.AsyncClient, missing: str, method: str, path: str, expected: str
) -> None:
    app = sandbox.world.directory.apps[pupils.client_id]
    app.roles -= {missing}
    headers = {"Authorization": f"Bearer {await token_for(anyone, pupils)}"}
    answer = await anyone.request(method, f"/v1.0{path}", json={} if method == "POST" else None, headers=headers)
    assert code(answer) == (403, expected)


async def test_an_access_policy_keeps_the_app_out_of_other_mailboxes(
    sandbox: Sandbox, pupils: School, graph: httpx.AsyncClient
) -> None:
    sandbox.world.restrict(sandbox.world.directory.apps[pupils.client_id], ["office@school.example"])
    assert (await graph.get("/v1.0/users/office@school.example/mailFolders/inbox")).status_code == 200
    refused = await graph.get("/v1.0/users/admissions@school.example/mailFolders/inbox")
    assert code(refused) == (403, "ErrorAccessDenied")
    assert refused.json()["error"]["message"] == "Access to OData is disabled."


async def test_a_token_is_needed_whole_and_in_its_time(
    graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    good = graph.headers["authorization"]
    for bad in ("", "Bearer nonsense", good[:-4] + "AAAA", good.replace(".", "..", 1)):
        answer = await graph.get(f"{office}/messages", headers={"Authorization": bad})
        assert code(answer) == (401, "InvalidAuthenticationToken"), bad
    clock.advance(timedelta(seconds=3598))
    assert (await graph.get(f"{office}/messages")).status_code == 200
    clock.advance(timedelta(seconds=2))
    assert code(await graph.get(f"{office}/messages")) == (401, "InvalidAuthenticationToken")


async def test_me_is_nobody_for_an_app(graph: httpx.AsyncClient) -> None:
    assert code(await graph.get("/v1.0/me/messages")) == (401, "NoPermissionsInAccessToken")


async def test_every_answer_names_its_request_and_repeats_the_clients_own_id(graph: httpx.AsyncClient) -> None:
    own = {"client-request-id": "5d1f2c3e-0000-4000-8000-000000000001"}
    answer = await graph.get("/v1.0/users/nobody@school.example", headers=own)
    inner = answer.json()["error"]["innerError"]
    assert inner["client-request-id"] == answer.headers["client-request-id"] == own["client-request-id"]
    assert inner["request-id"] == answer.headers["request-id"]


async def test_a_path_that_is_none_and_a_method_that_does_not_fit(graph: httpx.AsyncClient, office: str) -> None:
    assert code(await graph.get(f"{office}/calendar")) == (400, "BadRequest")
    assert (await graph.put(f"{office}/messages")).status_code == 405
