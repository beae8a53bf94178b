"""The use cases of reading: where a member stands, and why (rules 1.12).

Reads settle the account to their moment first, in memory: what fell due and is not posted yet is shown as it will be.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import dropwhile
from typing import Any

from club_ledger.items import is_decision_id
from club_ledger.journal import PAGES_AT_ONCE, Journal
from club_ledger.queries import STATEMENT_LIMIT, DecisionsQuery, ExplanationQuery, OutlookQuery, StatementQuery
from club_ledger.store import Store, existing
from club_rules.account import JOURNAL_PAGE, Account, Entry, JournalRow
from club_rules.errors import FieldError, InvalidInput, NotFound, member_not_found
from club_rules.explaining import days_of_lots, explanation, posted_between, rests_on
from club_rules.messages import Messages
from club_rules.outlook import outlook
from club_rules.positions import Position, position_at
from club_rules.programs import Programs
from club_rules.rewards import decode_rewards
from club_rules.settling import settle_wholly
from club_rules.times import format_instant
from club_rules.views import outlook_view, privileges, rewards_view, statement_entry, summary

READ_AT_ONCE = 400
"""So many entries are read for one page of a statement; where too few of them fit, the cursor goes on from there."""

ROWS_AT_ONCE = 2000
"""So many rows of the journal are looked at for one page of a statement: their days tell most of what doesn't fit."""

TOLD_AT_ONCE = 3000
"""So many reasons, and lines of orders, are told on one page: an order has up to 500 of each, and an answer of Lambda's
ends at 6 MB."""

EXPLAINED_AT_ONCE = 4000
"""So many entries an explanation reads: for most members, years."""

JOURNAL_AT_ONCE = 20_000
"""So many rows of the journal it looks back over."""

BATCH = 100
"""DynamoDB's bound for the keys of one BatchGetItem."""

ANCHORS = 10
"""Where nothing was posted in a span, so many entries before it are read to tell where the member stood."""


def read_summary(
    store: Store, programs: Programs, member_id: str, moment: datetime, messages: Messages
) -> dict[str, Any]:
    """The member in every program at ``moment``, by one request. Raises ``NotFound`` and ``Busy``."""
    found = store.all_of_summary(member_id)
    account = existing(found.account)
    settle_wholly(account, programs, moment)
    country, rewards = found.profile.get("country"), decode_rewards(found.rewards)
    return summary(account, programs, moment, found.counts, messages, country=country, rewards=rewards)


def read_statement(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
) -> dict[str, Any]:
    """One page of a program's statement, newest first, by two requests for a first page.

    ``query``: ``program``, and maybe ``from``, ``to`` (an instant or a day; what was posted from then on, and before
    then, or through that day), ``limit`` and ``cursor``. Raises ``InvalidInput`` naming every parameter at fault,
    ``NotFound`` and ``Busy``.
    """
    wanted = StatementQuery(programs, member_id, query)
    account, journal = _account_and_journal(store, member_id, STATEMENT_LIMIT // JOURNAL_PAGE)
    pending = settle_wholly(account, programs, moment)
    found = [entry for entry in reversed(pending) if wanted.shows(entry)]
    seq = _find_posted(journal, wanted, found)
    shown = min(wanted.limit, fitting(len(entry["parts"][wanted.program]["reasons"]) for entry in found))
    if len(found) > shown:
        seq = found[shown]["seq"]
        found = found[:shown]
    program = programs.versions(wanted.program)[-1]
    views = [statement_entry(entry, program, messages) for entry in found]
    return {"entries": views, "cursor": wanted.cursor(seq + 1) if seq > 0 else None}


def fitting(weights: Iterable[int]) -> int:
    """How many entries fit on a page, by what each has to tell: one at least, and what is told in all is bounded."""
    told = shown = 0
    for weight in weights:
        told += weight
        if shown and told > TOLD_AT_ONCE:
            break
        shown += 1
    return shown


def _find_posted(journal: Journal, wanted: StatementQuery, found: list[Entry]) -> int:
    """Adds posted entries to ``found`` until there are enough; returns the number to go on with (0: no more)."""
    seq = journal.last if wanted.before is None else min(journal.last, wanted.before - 1)
    lowest = max(0, seq - ROWS_AT_ONCE)
    read = 0
    while seq > lowest and len(found) < wanted.limit and read < READ_AT_ONCE:
        # a page's worth at least: where few entries fit, a small limit must not mean a request for each
        size = max(wanted.limit - len(found), JOURNAL_PAGE)
        fitting: list[JournalRow] = []
        for row in journal.rows(seq, seq - lowest):
            if wanted.is_past(row):
                lowest = seq = 0
                break
            seq = row.seq - 1
            if wanted.may_show(row):
                fitting.append(row)
                if len(fitting) == size:
                    break
        read += len(fitting)
        found += [entry for entry in journal.entries(fitting) if wanted.shows(entry)]
    return seq


def read_privileges(
    store: Store, programs: Programs, member_id: str, moment: datetime, messages: Messages
) -> dict[str, Any]:
    """Every privilege of every program, granted or locked, by one request. Raises ``NotFound`` and ``Busy``."""
    account = _settled_account(store, programs, member_id, moment)
    return {
        "member_id": member_id,
        "as_of": format_instant(moment),
        "privileges": privileges(account, programs, moment, messages),
    }


def read_rewards(
    store: Store, programs: Programs, member_id: str, moment: datetime, messages: Messages
) -> dict[str, Any]:
    """The coupons and gifts that were issued to the member, newest first, by one request.

    Raises ``NotFound`` and ``Busy``.
    """
    account, rewards = store.account_and_rewards(member_id)
    existing(account)
    return {
        "member_id": member_id,
        "as_of": format_instant(moment),
        "rewards": rewards_view(decode_rewards(rewards), member_id, programs, moment, messages),
    }


def read_outlook(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
) -> dict[str, Any]:
    """The calendar ahead in one program, by one request.

    ``query``: ``program``, and maybe ``days``. Raises ``InvalidInput`` naming every parameter at fault, ``NotFound``
    and ``Busy``.
    """
    wanted = OutlookQuery(programs, query)
    account = _settled_account(store, programs, member_id, moment)
    found = outlook(account, programs, wanted.program, account.not_before(moment), wanted.days)
    view = outlook_view(programs.at(wanted.program, moment), messages, found)
    return {"member_id": member_id, "program": wanted.program, "as_of": format_instant(moment), **view}


def read_explanation(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
) -> dict[str, Any]:
    """The difference between two moments in one program (rules 1.12), by two requests where a hundred entries tell it.

    ``query``: ``program``, and maybe ``from`` and ``to``. Raises ``InvalidInput`` naming every parameter at fault,
    ``NotFound`` and ``Busy``.
    """
    wanted = ExplanationQuery(programs, moment, query)
    account, journal = _account_and_journal(store, member_id, PAGES_AT_ONCE)
    pending = settle_wholly(account, programs, moment)
    known = _Known(journal, pending)
    known.read_span(wanted)
    opening = known.opening(wanted)
    between = posted_between(known.entries, wanted.program, wanted.after, wanted.until)
    known.read_receipts(between, wanted.program)
    program = programs.versions(wanted.program)[-1]
    found = explanation(program, messages, opening, between, known.entries)
    found["opening"] = {"at": format_instant(wanted.opened_at), **found["opening"]}
    found["closing"] = {"at": format_instant(wanted.closed_at), **found["closing"]}
    return {"member_id": member_id, "program": wanted.program, "as_of": format_instant(moment), **found}


class _Known:
    """The entries that an explanation has read so far, by their numbers; what is not posted yet is among them."""

    def __init__(self, journal: Journal, pending: list[Entry]) -> None:
        """``pending``: what fell due and is not posted yet, settled in memory."""
        self._journal = journal
        self._pending = pending
        self._by_seq = {entry["seq"]: entry for entry in pending}
        self._lowest = journal.last + 1  # the number of the first entry of the stretch that has been read

    @property
    def entries(self) -> list[Entry]:
        """What has been read, in the order of the numbers."""
        return [self._by_seq[seq] for seq in sorted(self._by_seq)]

    def read_span(self, wanted: ExplanationQuery) -> None:
        """Reads what was posted in the span, and so many before it as the same request can bring.

        Raises ``InvalidInput`` where the journal is too long since then, and ``Busy``.
        """
        rows = self._journal.since(wanted.after.date().isoformat(), JOURNAL_AT_ONCE)
        if len(rows) == JOURNAL_AT_ONCE:
            detail = f"more than {JOURNAL_AT_ONCE} entries were posted since that day: name a later one"
            raise InvalidInput([FieldError("/query/from", "too_many", detail)])
        if rows:
            self._lowest = rows[-1].seq
        last = wanted.until.date().isoformat()
        if all(entry["posted_at"][:10] > last for entry in self._pending):
            # what was posted later is not asked for, unless something earlier was posted behind it, out of its turn
            rows = list(dropwhile(lambda row: row.posted > last, rows))
        if len(rows) > EXPLAINED_AT_ONCE:
            detail = f"more than {EXPLAINED_AT_ONCE} entries were posted on these days: choose a shorter span"
            raise InvalidInput([FieldError(f"/query/{name}", "too_many", detail) for name in ("from", "to")])
        before = self._journal.rows(self._lowest - 1, -len(rows) % BATCH if rows else ANCHORS)
        self._read_stretch([*rows, *before])

    def opening(self, wanted: ExplanationQuery) -> Position:
        """Where the member stood before the span. Raises ``Busy``."""
        return self.position(wanted.program, wanted.after)

    def position(self, program_id: str, moment: datetime) -> Position:
        """Where the member stood at an instant: goes back until an entry of the program tells. Raises ``Busy``."""
        while True:
            found = position_at(self.entries, program_id, moment)
            if found is not None or self._lowest <= 1:
                return found or Position(0, 0)
            self._read_stretch(list(self._journal.rows(self._lowest - 1, BATCH)))

    def read_receipts(self, between: list[Entry], program: str) -> None:
        """Reads what the receipts in ``between`` rest on, and what made up the lots that brought them about.

        No more than a batch of each, the latest ones. Raises ``Busy``.
        """
        changes = [entry for entry in between if "receipt" in entry["parts"][program]]
        numbers = {seq for entry in changes for seq in rests_on(entry, program)}.difference(self._by_seq)
        self._read([self._journal.row(seq) for seq in sorted(numbers, reverse=True)[:BATCH]])
        days = {day for entry in changes for day in days_of_lots(entry, program, self.entries)}
        if days:
            self._read(self._made_on(days)[:BATCH])

    def _made_on(self, days: set[str]) -> list[JournalRow]:
        """The rows of what occurred on one of the program's local ``days`` and has not been read yet."""
        wanted = {near for day in days for near in _days_around(day)}  # a local day touches two or three UTC days
        rows = self._journal.since(min(wanted), JOURNAL_AT_ONCE)
        return [row for row in rows if row.occurred in wanted and row.seq not in self._by_seq]

    def _read_stretch(self, rows: list[JournalRow]) -> None:
        self._read(rows)
        if rows:
            self._lowest = min(self._lowest, rows[-1].seq)

    def _read(self, rows: list[JournalRow]) -> None:
        self._by_seq |= {entry["seq"]: entry for entry in self._journal.entries(rows)}


def tier_held(store: Store, programs: Programs, account: Account, program_id: str, moment: datetime) -> int:
    """The tier, by its place on the ladder, that a member held at a past UTC instant, all that fell due at it included.

    ``account`` as it was read, which may have moved on since; it is left as it is. Raises ``Busy``.
    """
    settled = account.clone()
    pending = settle_wholly(settled, programs, moment)
    if account.as_of is None or account.as_of <= moment:
        return settled.program(program_id).tier
    return _Known(Journal(store, account, {}), pending).position(program_id, moment).tier


def _days_around(day: str) -> tuple[str, ...]:
    middle = date.fromisoformat(day)
    return tuple((middle + timedelta(days=off)).isoformat() for off in (-1, 0, 1))


def read_decisions(store: Store, member_id: str, query: dict[str, str]) -> dict[str, Any]:
    """A page of the decisions on a member, latest first, by three requests.

    ``query``: maybe ``limit`` and ``cursor``. Raises ``InvalidInput`` naming every parameter at fault, ``NotFound``
    where there is neither a decision nor the member, or the member is erased, and ``Busy``.
    """
    wanted = DecisionsQuery(member_id, query)
    made = store.decisions(member_id, wanted.before, wanted.limit + 1)
    account = store.account(member_id, consistent=True)
    if (account is None and not made) or (account is not None and account.erased):
        raise member_not_found()
    shown = made[: wanted.limit]
    cursor = wanted.cursor(shown[-1][0]) if len(made) > len(shown) else None
    return {"member_id": member_id, "decisions": [decision for _, decision in shown], "cursor": cursor}


def read_decision(store: Store, decision_id: str) -> dict[str, Any]:
    """A stored decision. Raises ``NotFound`` and ``Busy``."""
    found = store.decision(decision_id) if is_decision_id(decision_id) else None
    if found is None:
        raise NotFound("decision_not_found", "there is no such decision")
    return found[0]


def _account_and_journal(store: Store, member_id: str, pages: int) -> tuple[Account, Journal]:
    found, read = store.account_and_journal(member_id, pages)
    account = existing(found)
    return account, Journal(store, account, read)


def _settled_account(store: Store, programs: Programs, member_id: str, moment: datetime) -> Account:
    account = existing(store.account(member_id, consistent=True))
    settle_wholly(account, programs, moment)
    return account
