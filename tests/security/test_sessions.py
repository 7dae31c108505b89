"""What becomes of a session when somebody signs in."""

from tests.http.scene import Scene
from tests.pages.desk import Desk


async def test_signing_in_makes_a_new_session(stranger: Desk, scene: Scene) -> None:
    """One that somebody else had planted before would be known to them."""
    await stranger.open("/sign-in")
    before = stranger.browser.cookies["selma_session"]
    await stranger.send("/sign-in", key=scene.key)
    after = stranger.browser.cookies["selma_session"]
    assert after != before
    async with scene.client(key="", cookie=f"selma_session={before}") as planted:
        assert (await planted.get("/settings")).status_code == 303
