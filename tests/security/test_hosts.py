"""What a caller says of the host moves nobody anywhere (CVE-2026-48710 and CVE-2026-54282 were of this kind)."""

import pytest

from tests.http.scene import Scene


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example/sign-in?", "evil.example#", "a@evil.example", "evil.example:80/v1/", "[", ""]
)
async def test_no_answer_repeats_a_host_that_the_caller_made_up(scene: Scene, host: str) -> None:
    async with scene.client(key="", host=host) as nobody:
        page = await nobody.get("/settings?validation=1")
        refused = await nobody.get("/v1/messages")
        missing = await nobody.get("/v1/nothing")
    assert page.headers["location"] == "/sign-in?next=%2Fsettings%3Fvalidation%3D1"
    assert (refused.status_code, missing.status_code) == (401, 404)
    for answer in (page, refused, missing):
        assert "evil" not in answer.text + str(answer.headers)
