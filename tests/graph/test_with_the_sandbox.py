"""A large file, through the client and the sandbox's Graph, in process."""

import httpx

from gateway.graph import UPLOAD_PIECE, GraphClient
from gateway.sandbox import Sandbox, school
from tests.fakes.clock import FakeClock

from .fakes import GRAPH, Tokens

ADMISSIONS = "admissions@school.example"


async def token_from(http: httpx.AsyncClient, built: school.School) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": built.client_id,
        "client_secret": built.client_secret,
        "scope": f"{GRAPH}/.default",
    }
    return str((await http.post(f"{GRAPH}/{built.tenant_id}/oauth2/v2.0/token", data=form)).json()["access_token"])


async def test_a_file_of_several_pieces_is_attached_to_a_draft():
    clock = FakeClock()
    sandbox = Sandbox(clock=clock)
    built = school.build(sandbox)
    content = bytes(range(256)) * 20_000
    async with sandbox.running(), httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http:
        client = GraphClient(http, Tokens(await token_from(http, built)), GRAPH, clock=clock)
        draft = await client.create_draft(ADMISSIONS, {"subject": "Your enrolment"})
        session = await client.create_upload_session(
            ADMISSIONS, draft.id, name="map.png", content_type="image/png", size=len(content), content_id="map"
        )
        offset: int | None = session.next_offset
        while offset is not None:
            piece = content[offset : offset + UPLOAD_PIECE]
            offset = await client.upload_piece(session.url, piece, offset=offset, total=len(content), user=ADMISSIONS)
        (attached,) = await client.list_attachments(ADMISSIONS, draft.id)
        assert (attached.name, attached.content_type, attached.content_id) == ("map.png", "image/png", "map")
        stored = b"".join([chunk async for chunk in client.attachment_bytes(ADMISSIONS, draft.id, attached.id)])
        assert stored == content
        await client.cancel_upload(session.url)
