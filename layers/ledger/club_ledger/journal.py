"""The journal: which entries a member has, in the order of their numbers, with the days on which they were posted.

It saves the table an index by member and number: an account holds the rows of the page that isn't full, the full pages
stand beside it. A row has an entry's days, so that those of a span of time are found without reading any other.
"""

from __future__ import annotations

from collections.abc import Iterator

from club_ledger import items
from club_ledger.store import Store
from club_rules.account import JOURNAL_PAGE, Account, Entry, JournalRow, is_settling, read_journal_row

PAGES_AT_ONCE = 10
"""So many further pages are read by one request: 250 rows."""


class Journal:
    """A member's journal as it was read with the account; older pages are read when they are asked for."""

    def __init__(self, store: Store, account: Account, pages: dict[str, list[str]]) -> None:
        """``account`` as it was read, before anything was settled in memory; ``pages`` those that came with it."""
        self._store = store
        self._member_id = account.member_id
        self._pages = pages
        self._tail = account.journal.copy()
        self._in_pages = account.journal_pages * JOURNAL_PAGE
        self.last = account.seq

    def rows(self, seq: int, at_most: int) -> Iterator[JournalRow]:
        """The rows of the entries ``seq``, ``seq - 1``, …, at most ``at_most`` of them. Raises ``Busy``."""
        for number in range(seq, max(0, seq - at_most), -1):
            yield self.row(number, seq - at_most)

    def row(self, seq: int, lowest: int = 0) -> JournalRow:
        """The row of the entry ``seq``; rows down to ``lowest`` may be asked for as well. Raises ``Busy``."""
        return read_journal_row(self._text(seq, lowest), self._member_id, seq)

    def since(self, day: str, at_most: int) -> list[JournalRow]:
        """The rows, latest first, of all that was posted on the UTC ``day`` or later, and maybe of some days before.

        At most ``at_most`` of them: as many say that there may be more. Raises ``Busy``.
        """
        rows: list[JournalRow] = []
        for row in self.rows(self.last, at_most):
            # what fell due may have been posted out of its turn (an expiry ahead of a review); an event never is:
            # everything before it had been posted by then
            if row.posted < day and not is_settling(row.key):
                break
            rows.append(row)
        return rows

    def entries(self, rows: list[JournalRow]) -> list[Entry]:
        """The entries of ``rows``, in the same order. Raises ``Busy``."""
        found = self._store.entries([row.key for row in rows]) if rows else {}
        return [found[row.key] for row in rows]

    def _text(self, number: int, lowest: int) -> str:
        if number > self._in_pages:
            return self._tail[number - self._in_pages - 1]
        page, place = divmod(number - 1, JOURNAL_PAGE)
        key = items.journal_key(page)
        if key not in self._pages:
            first = max(page - PAGES_AT_ONCE + 1, max(0, lowest) // JOURNAL_PAGE, 0)
            wanted = map(items.journal_key, range(first, page + 1))
            self._pages |= self._store.pages(self._member_id, [each for each in wanted if each not in self._pages])
        return self._pages[key][place]
