"""`make screenshots`: the picture of the privilege centre in the README, docs/images/club.png."""

import sys

from playwright.sync_api import sync_playwright

from local.template import ROOT
from tests.browser.club import chromium, launch, serving, settled

PICTURE = ROOT / "docs" / "images" / "club.png"


def main() -> int:
    """Take it of a replayed member; gives the process's exit status."""
    if chromium() is None:
        print("There is no browser: install chromium, or name one with CHROMIUM=", file=sys.stderr)  # noqa: T201 - a command
        return 2
    with serving() as club, sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1200, "height": 1250}, locale="en-GB")
        page.goto(club.member_link())
        settled(page)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KB")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
