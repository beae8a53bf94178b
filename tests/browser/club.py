"""What the browser's tests and `make screenshots` share: the served club, tokens for it, and the machine's browser."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from local.template import ROOT, Template
from local.tokens import key_path, make_token

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
MEMBER, AGENT = ["club:read"], ["club:support"]
PATIENCE_MS = 20_000  # for a page to be filled, on a machine that does much else


def chromium() -> str | None:
    """The machine's browser: the one that CHROMIUM names, or the first that is found."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the machine's browser, without a window."""
    return playwright.chromium.launch(executable_path=chromium(), args=FLAGS)


@dataclass(frozen=True)
class Club:
    """A served club, and the member whose page shows most."""

    url: str
    member_id: str

    @property
    def page(self) -> str:
        """Where the page is."""
        return f"{self.url}/club"

    def token(self, sub: str, scopes: list[str], **claims: Any) -> str:
        """A token as the club's gateway takes it; `claims` replace what is usual."""
        authorizer = Template(ROOT / "template.yaml").routes_authorizer()
        return make_token(key_path(ROOT), authorizer, sub, scopes, claims)

    def member_link(self, **more: str) -> str:
        """The link that opens the page as the member."""
        return self.link(token=self.token(self.member_id, MEMBER), **more)

    def agent_link(self, **more: str) -> str:
        """The link that opens the page as an agent."""
        return self.link(token=self.token("agent-1", AGENT), **more)

    def link(self, **fragment: str) -> str:
        """A link with this behind its #."""
        return f"{self.page}#{urllib.parse.urlencode(fragment)}"

    def ask(self, path: str, language: str = "en", **query: str | int) -> Any:
        """What the API answers about the member."""
        search = f"?{urllib.parse.urlencode(query)}" if query else ""
        headers = {
            "authorization": f"Bearer {self.token(self.member_id, [*MEMBER, *AGENT])}",
            "accept-language": language,
        }
        return self._json(f"{self.url}/members/{self.member_id}{path}{search}", headers=headers)

    def fault(self, **fault: Any) -> None:
        """Let the store fail from now on, or with nothing given no more."""
        self._json(f"{self.url}/_local/faults", json.dumps(fault).encode(), {"content-type": "application/json"})

    def _json(self, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy: it is this machine
        with opener.open(urllib.request.Request(url, body, headers or {}), timeout=30) as answer:
            return json.load(answer)


@contextmanager
def serving() -> Iterator[Club]:
    """A club in a process of its own. Raises RuntimeError, with what it printed, where it does not start."""
    command = [sys.executable, "-m", "tests.browser.served"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                process.wait(10)
                errors.seek(0)
                raise RuntimeError(f"the club did not start: {errors.read()[-4000:]}")
            yield Club(**json.loads(line))
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def settled(page: Page | Locator) -> None:
    """Wait until nothing loads any more."""
    expect(page.locator("h1").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=PATIENCE_MS)
