"""The two documents, put together once per process from the files in this folder, and the headers they go out with."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent

LANGUAGES = ("en", "ru")

SCRIPTS = ("basics.js", "session.js", "api.js", "charts.js", "parts.js", "buyer.js", "agent.js", "main.js")
"""In this order: each uses what stands before it."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")

# Nothing but what the page brings with it runs, is shown or is asked; API texts are never markup (trusted types).
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'{hosts}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "public, max-age=300",  # neither document holds anything of anybody's
}


class Document(NamedTuple):
    """A document: its text, and the headers that every answer with it has, its ``etag`` among them."""

    body: str
    headers: dict[str, str]

    def is_known(self, request: Mapping[str, str]) -> bool:
        """Whether the caller has this very version (RFC 9110, 13.1.2), by the request's ``if-none-match``."""
        known = [tag.strip().removeprefix("W/") for tag in request.get("if-none-match", "").split(",")]
        return "*" in known or self.headers["etag"] in known


@cache
def of(route: str) -> Document:
    """The document of ``GET /club`` or ``GET /openapi.json``. Raises ``KeyError`` for any other route."""
    return _MAKERS[route]()


def hosts(text: str) -> list[str]:
    """The origins in a list with commas between them, as the template's ``ClubPageHosts`` has it."""
    return [host for host in (part.strip() for part in text.split(",")) if host]


def _page() -> Document:
    allowed = hosts(os.environ["CLUB_PAGE_HOSTS"])
    style = _read("club.css")
    # One scope of its own for all of them: nothing of the page is in reach of what else might run in the window.
    script = "(() => {\n'use strict';\n" + "\n".join(map(_read, SCRIPTS)) + "})();\n"
    slots = {
        "style": style,
        "script": script,
        "hosts": html.escape(" ".join(allowed)),
        "texts": _as_data({language: json.loads(_read(f"texts.{language}.json")) for language in LANGUAGES}),
    }
    body = _SLOT.sub(lambda match: slots[match[1]], _read("club.html"))
    policy = _POLICY.format(script=_hash(script), style=_hash(style), hosts="".join(f" {host}" for host in allowed))
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    return _document(body, headers)


def _openapi() -> Document:
    return _document(_read("openapi.json"), {"content-type": "application/json"})


_MAKERS = {"GET /club": _page, "GET /openapi.json": _openapi}


def _document(body: str, headers: dict[str, str]) -> Document:
    # The policy is no part of the body, but a caller that has an older one must not keep it.
    tag = hashlib.sha256(json.dumps([body, headers]).encode()).hexdigest()[:32]
    return Document(body, {**headers, **_SAFE, "etag": f'"{tag}"'})


def _as_data(content: object) -> str:
    """JSON that can stand in a script element: nothing in it ends one or opens a comment."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8")
