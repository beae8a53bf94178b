"""What must not get out (architecture 3.6): canaries to plant, and a net that finds them again in any dress."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

BIRTHDAY, REGISTERED_ON, COUNTRY = "1931-07-13", "1999-05-17", "TV"
WORD = "kanarie"
"""Stands in every text that a sender may choose."""

NUMBER = 31071913
"""Stands where a number may, or may not."""

# What tells how the inside is made. Titles such as "Internal Server Error" are words, and no class's name.
_INTERNALS = re.compile(
    r"Traceback|File \"|\.py\b|line \d+, in |0x[0-9a-f]{6,}|arn:aws|amazonaws|sqs\.|https?://|[Dd]ynamo|boto|[Pp]ynamo"
    r"|\b[A-Z]\w*(?:Error|Exception)\b|/var/|/opt/|functions/|layers/|club_(?:rules|ledger|http)"
)


def found(text: str, secrets: Iterable[str]) -> list[str]:
    """Which of the secrets stand in a text: as they are, escaped for a URL, or in base64 at any place of it."""
    return [secret for secret in secrets if any(form in text for form in _forms(secret)) or _is_country(text, secret)]


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < 4:  # a country's code stands in many a word
        return
    yield secret
    yield quote(secret, safe="")
    raw = secret.encode()
    for shift in range(3):
        # the characters that don't depend on what stands before and behind
        packed = base64.b64encode(b"\0" * shift + raw).decode()
        yield packed[-(-8 * shift // 6) : (8 * (shift + len(raw))) // 6]


def _is_country(text: str, secret: str) -> bool:
    return len(secret) < 4 and re.search(rf"\b{secret}\b", text) is not None


def internals(text: str) -> list[str]:
    """What in a text tells of the inside: traces, paths, names of classes, tables and services."""
    return _INTERNALS.findall(text)


def spoilt(value: Any) -> Iterator[Any]:
    """A JSON value with a canary in the place of one of its parts, one after the other, in each of three shapes."""
    for canary in (f"{WORD} {BIRTHDAY}!", [f"{WORD}!", NUMBER], {"x": f"{WORD} {BIRTHDAY}"}, NUMBER / 7):
        yield from _replaced(value, canary)


def _replaced(value: Any, canary: Any) -> Iterator[Any]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, part in items:
        whole: Any = dict(value) if isinstance(value, dict) else list(value)
        for each in (canary, *_replaced(part, canary)):
            yield _with(whole, place, each)


def _with(whole: Any, place: Any, part: Any) -> Any:
    changed = whole.copy()
    changed[place] = part
    return changed
