"""What strangers put into mail, on the real page: nothing comes of it. `python -m tests.corpora xss` has thousands."""

from playwright.async_api import Browser, Page, Route, expect

from gateway.demo import Demo
from tests.browser.stage import Happened, shown
from tests.threads.test_html import HOSTILE

# What only shows in a frame that is alive: what loads, moves, covers, or waits for a hand.
LIVELY = [
    "<img src='https://outside.example/pixel' width=1 height=1>",
    "<img src='//outside.example/pixel'><img src=http://outside.example/p><img src=x onerror=alert(1)>",
    "<p style='background:url(https://outside.example/x);color:red'>styled</p>",
    "<p style=\"background-image:image-set('https://outside.example/x' 1x)\">styled</p>",
    "<div style='position:fixed;inset:0;z-index:9;background:red'>over everything</div>",
    "<style>@import 'https://outside.example/x.css'; * { background: url(https://outside.example/y) }</style>",
    "<link rel=stylesheet href=https://outside.example/x><link rel=preconnect href=https://outside.example>",
    "<link rel=dns-prefetch href=https://outside.example><link rel=prefetch href=https://outside.example/x>",
    "<meta http-equiv=refresh content='0;url=https://outside.example/'>",
    "<base href=https://outside.example/ target=_top><a href=x>link</a><img src=y>",
    "<form action=https://outside.example/ target=_top><input name=password autofocus onfocus=alert(1)></form>",
    "<a href=javascript:alert(1) autofocus tabindex=0 onfocus=alert(1) onmouseover=alert(1)>link</a>",
    "<video autoplay src=https://outside.example/v poster=https://outside.example/p onloadstart=alert(1)></video>",
    "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "<iframe src=https://outside.example/></iframe><iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<object data=https://outside.example/x></object><embed src=https://outside.example/x>",
    "<table background=https://outside.example/x><tr><td background=https://outside.example/y>cell</table>",
    "</main></body></html><script>alert(1)</script>",
    "</div></article></details><script>alert(1)</script>",
    "<details open ontoggle=alert(1)>x</details><marquee onstart=alert(1)>x</marquee>",
    "<p id=threads name=threads class=mail-frame>clobbers</p><img name=getElementById>",
    "<a href='https://school.example/' target=_top ping=https://outside.example/ping>link</a>",
    "<img srcset='https://outside.example/1 1x' loading=eager><picture><source srcset=https://outside.example/2></picture>",
    "<input type=image src=https://outside.example/x><isindex><keygen autofocus onfocus=alert(1)>",
]


async def test_nothing_comes_of_hostile_mail(page: Page, school: Demo) -> None:
    happened = Happened(origin=school.url)
    happened.watch(page.context, page)
    await shown(school, page, happened, "S1001", [*LIVELY, *HOSTILE])
    assert happened.frames > len(LIVELY)
    assert happened.nothing, happened


async def test_even_what_the_allow_list_let_through_could_not_do_anything(chromium: Browser, school: Demo) -> None:
    """The second wall alone: the frame's sandbox and policy, with raw mail put into it."""
    context = await chromium.new_context()
    page = await context.new_page()
    happened = Happened(origin=school.url)
    happened.watch(context, page)
    raw = "".join(one for one in LIVELY if "inset:0" not in one)

    async def unclean(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=(await answer.text()).replace("</main>", f"{raw}</main>"))

    left: list[str] = []

    async def leave(route: Route) -> None:
        left.append(route.request.url)
        await route.abort()

    # A request that a policy stops is still told of by the browser, but never gets as far as here.
    await page.route("https://outside.example/**", leave)
    await page.route("**/body?**", unclean)
    await page.goto(school.page("/objects"))
    await shown(school, page, Happened(origin=school.url), "S1002", ["<b>bold</b>"])
    frame = page.frame_locator("iframe").first
    await expect(frame.get_by_text("clobbers")).to_be_visible()
    await frame.get_by_text("link").first.hover()
    assert happened.dialogs == []
    assert left == []
    assert all(one.url.startswith(f"{school.url}/objects/student/") for one in page.main_frame.child_frames)
    assert page.url.startswith(f"{school.url}/objects/student/S1002/events/threads/")
    await context.close()
