"""How the privilege centre is opened, who is let in, and what the browser keeps it from doing."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.club import MEMBER, Club, settled
from tests.browser.conftest import OpenPage, Watch
from tests.browser.served import HOST

ASK_AGAIN = "Ask again"


def body(page: Any) -> str:
    text: str = page.locator("body").inner_text()
    return text


# ---------------------------------------------------------------- the token


def test_without_a_token_it_says_how_it_is_opened_and_asks_the_api_nothing(
    club: Club, open_page: OpenPage, watch: Watch, picture: Any
) -> None:
    page = open_page()
    page.goto(club.page)
    expect(page.get_by_role("heading", name="Open this page from the shop")).to_be_visible()
    page.get_by_text("For developers").click()
    expect(page.get_by_text("#token=")).to_be_visible()
    assert [url for url in watch.requests if "/members" in url] == []
    picture(page, "no-token")


def test_the_token_leaves_the_address_at_once_and_is_kept_nowhere(
    club: Club, open_page: OpenPage, watch: Watch
) -> None:
    page = open_page()
    page.goto("about:blank")
    page.goto(club.member_link())
    settled(page)
    token = club.token(club.member_id, MEMBER)
    assert page.url == club.page
    assert page.evaluate("location.href + document.documentElement.outerHTML").count(token[:40]) == 0
    assert page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state])"
    ) == ('[{},{},"",null]')
    assert all(token[:40] not in url for url in watch.requests if "#" not in url)
    assert not any(headers.get("referer") for headers in watch.headers)
    page.go_back()
    page.go_forward()
    expect(page.get_by_text("Open this page from the shop")).to_be_visible()


def test_a_token_in_the_query_is_not_taken(club: Club, open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    page.goto(f"{club.page}?token={club.token(club.member_id, MEMBER)}")
    expect(page.get_by_text("Open this page from the shop")).to_be_visible()
    assert [url for url in watch.requests if "/members" in url] == []


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.bnVsbA.c", ""])
def test_what_is_no_token_is_none(club: Club, open_page: OpenPage, token: str) -> None:
    page = open_page()
    page.goto(club.link(token=token))
    expect(page.get_by_text("Open this page from the shop")).to_be_visible()
    assert page.url == club.page


@pytest.mark.refused
def test_an_expired_token_is_said_and_a_new_one_opens_the_page_again(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.link(token=club.token(club.member_id, MEMBER, exp=1)))
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(club.member_link())  # only the fragment changes: the page stays
    settled(page)
    expect(page.locator(".tier-now").first).to_be_visible()
    assert page.url == club.page


@pytest.mark.refused
def test_when_the_token_expires_what_was_shown_is_removed(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.member_link())
    settled(page)

    def with_an_old_one(route: Route) -> None:
        old = club.token(club.member_id, MEMBER, exp=1)
        route.continue_(headers={**route.request.headers, "authorization": f"Bearer {old}"})

    page.route("**/members/**", with_an_old_one)
    page.get_by_role("tab").nth(1).click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    assert "points" not in body(page).split("For developers")[0].replace("your points", "")


# ---------------------------------------------------------------- errors in words


@pytest.mark.refused
@pytest.mark.parametrize(
    ("sub", "scopes", "said"),
    [
        ("stranger", ["club:read"], "There is no such member"),
        ("stranger", ["club:ingest"], "Your sign-in doesn’t cover this"),
    ],
)
def test_a_refusal_is_said_in_words(club: Club, open_page: OpenPage, sub: str, scopes: list[str], said: str) -> None:
    page = open_page()
    page.goto(club.link(token=club.token(sub, scopes)))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(said)
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.refused
def test_a_store_that_fails_is_no_dead_end(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    club.fault(operation="BatchGetItem", kind="throttle", rate=1.0)
    try:
        page.goto(club.member_link())
        expect(page.get_by_role("alert").first).to_contain_text("The club is busy right now", timeout=20_000)
    finally:
        club.fault()
    page.get_by_role("button", name="Try again").first.click()
    settled(page)
    expect(page.locator(".tier-now").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    focus = page.evaluate("document.activeElement !== document.body")
    assert focus, "the focus did not fall out of the page with the button"


@pytest.mark.refused
def test_without_a_network_only_what_was_asked_for_is_missing(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.member_link())
    settled(page)
    page.context.set_offline(True)
    page.get_by_role("tab").nth(1).click()
    panel = page.get_by_role("tabpanel").locator("visible=true")
    expect(panel.get_by_role("alert").first).to_contain_text("The club can’t be reached")
    expect(panel.locator(".tier-now")).to_be_visible()
    page.context.set_offline(False)
    for _ in range(panel.get_by_role("alert").count()):
        panel.get_by_role("button", name="Try again").first.click()
        settled(page)
    expect(panel.get_by_role("alert")).to_have_count(0)
    expect(panel.locator("svg.chart")).to_be_visible()


# ---------------------------------------------------------------- embedded by a host

_HOST_PAGE = """<!doctype html><title>host</title><iframe src="%s" width="1000" height="700"></iframe>
<script>
  window.heard = [];
  addEventListener('message', (event) => {
    heard.push([event.origin, event.data]);
    if (window.answer) event.source.postMessage(window.answer, event.origin);
  });
</script>"""


def host(page: Page, club: Club, origin: str) -> Page:
    """A host application at an origin, with the page embedded in it."""
    if origin.startswith("https:"):
        page.context.grant_permissions(["local-network-access"], origin=origin)
    address = f"{origin}/host.html"
    page.route(address, lambda route: route.fulfill(body=_HOST_PAGE % club.page, content_type="text/html"))
    page.goto(address)
    return page


def tell(page: Page, message: Any) -> None:
    page.evaluate("(said) => frames[0].postMessage(said, '*')", message)


@pytest.fixture
def outside(browser: Any, club: Club) -> Any:
    """A page of somebody else's, which is not watched: it is they who load the club."""
    context = browser.new_context(locale="en-GB")
    yield context.new_page()
    context.close()


def test_an_allowed_host_is_asked_and_hands_over_the_token(club: Club, outside: Page) -> None:
    page = host(outside, club, HOST)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("The shop has been asked to sign you in")).to_be_visible()
    assert page.evaluate("heard") == [[club.url, {"type": "club:ready"}]]
    tell(page, {"type": "club:token", "token": club.token(club.member_id, MEMBER), "language": "ru"})
    settled(inside.locator("body"))
    expect(inside.locator(".tier-now").first).to_be_visible()
    expect(inside.locator("html")).to_have_attribute("lang", "ru")


def test_a_host_opens_the_page_for_an_agent_at_a_member(club: Club, outside: Page) -> None:
    page = host(outside, club, HOST)
    expect(page.frame_locator("iframe").get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    token = club.token("agent-1", ["club:support"])
    tell(page, {"type": "club:token", "token": token, "member_id": club.member_id})
    inside = page.frame_locator("iframe")
    member = inside.get_by_role("heading", name=f"Member {club.member_id}")
    expect(member).to_be_visible()
    # the same agent goes on there with a fresh token, another one starts with the search
    tell(page, {"type": "club:token", "token": club.token("agent-1", ["club:support"], jti="2")})
    settled(inside.locator("body"))
    expect(member).to_be_visible()
    tell(page, {"type": "club:token", "token": club.token("agent-2", ["club:support"])})
    expect(inside.get_by_text("Search for a member")).to_be_visible()
    expect(member).to_have_count(0)


def test_when_a_token_has_expired_the_host_is_asked_again(club: Club, outside: Page) -> None:
    page = host(outside, club, HOST)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    tell(page, {"type": "club:token", "token": club.token(club.member_id, MEMBER, exp=1)})
    expect(inside.get_by_role("heading", name="Your session has ended")).to_be_visible()
    assert len(page.evaluate("heard")) == 2
    fresh = {"type": "club:token", "token": club.token(club.member_id, MEMBER)}
    page.evaluate("(answer) => { window.answer = answer; }", fresh)
    inside.get_by_role("button", name=ASK_AGAIN).click()
    expect(inside.locator(".tier-now").first).to_be_visible()


def test_a_later_token_takes_the_place_of_an_earlier_one(club: Club, outside: Page) -> None:
    page = host(outside, club, HOST)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    tell(page, {"type": "club:token", "token": club.token("agent-1", ["club:support"])})
    expect(inside.get_by_role("heading", name="Member support")).to_be_visible()
    tell(page, {"type": "club:token", "token": club.token(club.member_id, MEMBER)})
    expect(inside.get_by_role("heading", level=1, name="Privilege centre")).to_be_visible()
    expect(inside.locator(".tier-now").first).to_be_visible()


def test_no_other_host_can_embed_it(club: Club, outside: Page) -> None:
    complaints: list[str] = []
    outside.on("console", lambda message: complaints.append(message.text))
    page = host(outside, club, "https://evil.example")
    page.wait_for_timeout(300)
    assert page.evaluate("heard") == []
    assert page.frame_locator("iframe").locator("main").count() == 0
    assert "frame-ancestors" in " ".join(complaints)


def test_a_token_from_an_origin_that_is_not_allowed_is_passed_over(club: Club, outside: Page) -> None:
    """The page's own origin may frame it ('self'), and is no host that the deployment names."""
    page = host(outside, club, club.url)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tell(page, {"type": "club:token", "token": club.token(club.member_id, MEMBER), "language": "ru"})
    page.wait_for_timeout(400)
    expect(inside.get_by_role("heading", name="Open this page from the shop")).to_be_visible()
    assert asked == []


@pytest.mark.parametrize(
    "message",
    [
        None,
        "club:token",
        {"type": "club:token"},
        {"type": "club:token", "token": 7},
        {"type": "token", "token": "GOOD"},
    ],
)
def test_a_message_of_another_shape_changes_nothing(club: Club, outside: Page, message: Any) -> None:
    page = host(outside, club, HOST)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    if isinstance(message, dict) and message.get("token") == "GOOD":
        message = {**message, "token": club.token(club.member_id, MEMBER)}
    tell(page, message)
    page.wait_for_timeout(200)
    expect(inside.get_by_role("heading", name="Open this page from the shop")).to_be_visible()


def test_only_the_parent_itself_is_heard(club: Club, outside: Page) -> None:
    """A frame beside it, of the very same origin, is not the host."""
    page = host(outside, club, HOST)
    expect(page.frame_locator("iframe").get_by_role("button", name=ASK_AGAIN)).to_be_visible()
    token = club.token(club.member_id, MEMBER)
    page.route(f"{HOST}/other.html", lambda route: route.fulfill(body="<p>other", content_type="text/html"))
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('iframe'), {src: '/other.html', name: 'other'}))"
    )
    page.wait_for_timeout(300)
    other = page.frame("other")
    assert other is not None
    other.evaluate("(said) => parent.frames[0].postMessage(said, '*')", {"type": "club:token", "token": token})
    page.wait_for_timeout(300)
    inside = page.frame_locator("iframe").first
    expect(inside.get_by_role("heading", name="Open this page from the shop")).to_be_visible()


# ---------------------------------------------------------------- the policy holds


def added(tag: str, properties: str) -> str:
    return f"document.body.append(Object.assign(document.createElement('{tag}'), {properties}))"


@pytest.fixture
def opened(club: Club, browser: Any) -> Any:
    """The page, opened as a buyer; here the browser's complaints are what is wanted."""
    context = browser.new_context()
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.goto(club.member_link())
    settled(page)
    yield page
    context.close()


@pytest.mark.parametrize(
    ("act", "directive"),
    [
        ("fetch('https://elsewhere.example/').catch(() => {})", "connect-src"),
        ("fetch(location.origin.replace(/\\d+$/, '9')).catch(() => {})", "connect-src"),
        (added("img", "{src: 'https://elsewhere.example/x.png'}"), "img-src"),
        (added("link", "{rel: 'stylesheet', href: '/x.css'}"), "style-src"),
        (added("style", "{textContent: 'body{display:none}'}"), "style-src"),
        ("document.body.setAttribute('style', 'display:none')", "style-src"),
        (added("iframe", "{src: '/club'}"), "default-src"),
        (added("base", "{href: 'https://elsewhere.example/'}"), "base-uri"),
        ("document.body.setAttribute('onclick', 'window.hurt = 1')", "TrustedScript"),
        ("document.body.innerHTML = '<p>x</p>'", "TrustedHTML"),
        ("setTimeout(() => eval('window.hurt = 1'))", "TrustedScript"),
        ("setTimeout('window.hurt = 1')", "TrustedScript"),
        (added("script", "{text: 'window.hurt = 1'}"), "TrustedScript"),
    ],
)  # fmt: skip
def test_the_browser_keeps_the_page_from(opened: Any, act: str, directive: str) -> None:
    opened.evaluate(f"(async () => {{ try {{ await ({act}); }} catch (error) {{ console.error(String(error)); }} }})()")
    opened.wait_for_timeout(150)
    assert directive in " ".join(opened.complaints)
    assert opened.evaluate("window.hurt") is None
    assert opened.evaluate("getComputedStyle(document.body).display") != "none"


def test_it_asks_for_nothing_but_itself_and_the_api(club: Club, open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    page.goto(club.member_link())
    settled(page)
    kinds = {
        url.removeprefix(club.url).split("?")[0].split("#")[0] for url in watch.requests if not url.startswith("data:")
    }
    assert "/club" in kinds
    assert all(path == "/club" or path.startswith("/members/") for path in kinds), kinds
