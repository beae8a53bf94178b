"""The use cases of reading: where a member stands, and why (rules 1.12).

Reads settle the account to their moment first, in memory: what fell due and is not posted yet is shown as it will be.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from club_ledger import items
from club_ledger.store import Store
from club_rules.account import JOURNAL_PAGE, Account, Entry
from club_rules.errors import FieldError, InvalidInput, NotFound, member_not_found, pointer_token
from club_rules.programs import Programs
from club_rules.settling import settle
from club_rules.times import parse_day, parse_instant
from club_rules.views import statement_entry, summary

LOOKED_AT_ONCE = 400
"""So many entries are looked at for one answer; where too few of them fit, the cursor goes on from there."""

LIMIT, LIMIT_AT_MOST = 50, 100

PARAMETERS = ("program", "from", "to", "limit", "cursor")

CURSOR_CHARS_AT_MOST = 128
"""No cursor of ours is longer."""


def read_summary(store: Store, programs: Programs, member_id: str, moment: datetime) -> dict[str, Any]:
    """The member in every program at ``moment``, by one request. Raises ``NotFound`` and ``Busy``."""
    account = store.account(member_id, consistent=True)
    if account is None:
        raise member_not_found()
    _settle_wholly(account, programs, moment)
    return summary(account, programs, moment)


def read_statement(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str]
) -> dict[str, Any]:
    """One page of a program's statement, newest first, by two requests for a first page.

    ``query``: ``program``, and maybe ``from``, ``to`` (an instant or a day; what was posted from then on, and before
    then, or through that day), ``limit`` and ``cursor``. Raises ``InvalidInput`` naming every parameter at fault,
    ``NotFound`` and ``Busy``.
    """
    wanted = _StatementQuery(programs, member_id, query)
    account, pages = store.account_and_journal(member_id, LIMIT // JOURNAL_PAGE)
    if account is None:
        raise member_not_found()
    journal = _Journal(store, account, pages)
    pending = _settle_wholly(account, programs, moment)
    found = [entry for entry in reversed(pending) if wanted.shows(entry)]
    seq = journal.last if wanted.before is None else min(journal.last, wanted.before - 1)
    lowest = max(0, seq - LOOKED_AT_ONCE)
    while seq > lowest and len(found) < wanted.limit:
        # a page's worth at least: where few entries fit, a small limit must not mean a request for each
        keys = journal.keys(seq, min(max(wanted.limit - len(found), JOURNAL_PAGE), seq - lowest))
        entries = store.entries(keys)
        found += [entries[key] for key in keys if wanted.shows(entries[key])]
        seq -= len(keys)
    if len(found) > wanted.limit:
        seq = found[wanted.limit]["seq"]
        found = found[: wanted.limit]
    program = programs.versions(wanted.program)[-1]
    views = [statement_entry(entry, program) for entry in found]
    return {"entries": views, "cursor": wanted.cursor(seq + 1) if seq > 0 else None}


def read_decision(store: Store, decision_id: str) -> dict[str, Any]:
    """A stored decision. Raises ``NotFound`` and ``Busy``."""
    found = store.decision(decision_id) if len(decision_id) <= 64 else None
    if found is None:
        raise NotFound("decision_not_found", "there is no such decision")
    return found[0]


def _settle_wholly(account: Account, programs: Programs, moment: datetime) -> list[Entry]:
    """Settles ``account`` in memory, however much fell due; returns the entries of it."""
    entries: list[Entry] = []
    while True:
        some = settle(account, programs, moment)
        if not some:
            return entries
        entries += some


class _Journal:
    """The keys of a member's posted entries by their numbers, from the account's own list and from the full pages."""

    def __init__(self, store: Store, account: Account, pages: dict[str, list[str]]) -> None:
        self._store = store
        self._member_id = account.member_id
        self._pages = pages
        self._tail = account.journal.copy()
        self._in_pages = account.journal_pages * JOURNAL_PAGE
        self.last = account.seq

    def keys(self, seq: int, count: int) -> list[str]:
        """The keys of the entries ``seq``, ``seq - 1``, …, at most ``count`` of them. Raises ``Busy``."""
        numbers = range(seq, max(0, seq - count), -1)
        missing = {
            items.journal_key((number - 1) // JOURNAL_PAGE) for number in numbers if number <= self._in_pages
        } - self._pages.keys()
        if missing:
            self._pages |= self._store.pages(self._member_id, sorted(missing))
        return [self._key(number) for number in numbers]

    def _key(self, number: int) -> str:
        if number > self._in_pages:
            return self._tail[number - self._in_pages - 1]
        page, place = divmod(number - 1, JOURNAL_PAGE)
        return self._pages[items.journal_key(page)][place]


class _StatementQuery:
    """The parameters of a statement, checked."""

    def __init__(self, programs: Programs, member_id: str, query: dict[str, str]) -> None:
        errors = [
            FieldError(f"/query/{pointer_token(name)}", "unknown_field", "is not known here")
            for name in query
            if name not in PARAMETERS
        ]
        self._member_id = member_id
        self.program = query.get("program", "")
        if self.program not in programs.ids:
            expected = f"expected one of {', '.join(programs.ids)}"
            errors.append(FieldError("/query/program", "invalid_value" if self.program else "missing", expected))
        self._from = _instant(query, "from", programs, self.program, errors)
        self._to = _instant(query, "to", programs, self.program, errors)
        self.limit = _limit(query, errors)
        self.before: int | None = None
        if "cursor" in query:
            self.before = self._read_cursor(query["cursor"])
            if self.before is None:
                errors.append(
                    FieldError(
                        "/query/cursor",
                        "invalid_cursor",
                        "expected the cursor of an earlier answer, untouched",
                    )
                )
        if errors:
            raise InvalidInput(errors)

    def shows(self, entry: Entry) -> bool:
        """Whether the entry belongs on this statement."""
        if self.program not in entry["parts"] or (self.before is not None and entry["seq"] >= self.before):
            return False
        posted_at = parse_instant(entry["posted_at"])
        return (self._from is None or posted_at >= self._from) and (self._to is None or posted_at < self._to)

    def cursor(self, before: int) -> str:
        """An opaque cursor that goes on with the entries numbered below ``before``."""
        content = json.dumps([before, self._check(before)])
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    def _read_cursor(self, text: str) -> int | None:
        if len(text) > CURSOR_CHARS_AT_MOST:
            return None
        try:
            padded = text + "=" * (-len(text) % 4)
            before, check = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, TypeError, binascii.Error):
            return None
        good = type(before) is int and before > 0 and check == self._check(before) and text == self.cursor(before)
        return before if good else None

    def _check(self, before: int) -> str:
        """Ties a cursor to its statement. It guards against mistakes, not against malice: it opens nothing else."""
        return hashlib.sha256(f"{self._member_id}/{self.program}/{before}".encode()).hexdigest()[:16]


def _instant(
    query: dict[str, str], name: str, programs: Programs, program: str, errors: list[FieldError]
) -> datetime | None:
    """An instant, or a day in the program's time zone: its beginning for ``from``, its end for ``to``."""
    text = query.get(name)
    if text is None:
        return None
    try:
        if len(text) > 10:
            return parse_instant(text.replace(" ", "+"))  # a plus that was not encoded arrives as a space
        day = parse_day(text) + timedelta(days=1 if name == "to" else 0)
    except (ValueError, OverflowError):
        errors.append(FieldError(f"/query/{name}", "invalid_instant", "expected an RFC 3339 instant, or a day"))
        return None
    return programs.versions(program)[0].start_of(day.toordinal()) if program in programs.ids else None


def _limit(query: dict[str, str], errors: list[FieldError]) -> int:
    text = query.get("limit", str(LIMIT))
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= LIMIT_AT_MOST:
        return int(text)
    errors.append(FieldError("/query/limit", "out_of_range", f"expected a whole number from 1 to {LIMIT_AT_MOST}"))
    return LIMIT
