"""The use case "export": everything that is held about a member, as JSON (contract 2.1).

The ledger's entries hold all that was ever sent about them; orders, caps and the account follow from these.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from club_ledger import watching
from club_ledger.journal import PAGES_AT_ONCE, Journal
from club_ledger.queries import EXPORTED, ExportQuery
from club_ledger.reading import fitting, read_rewards, read_summary
from club_ledger.store import Store, existing
from club_rules.account import Entry
from club_rules.exports import exported_entry, exported_item
from club_rules.messages import Messages
from club_rules.programs import Programs
from club_rules.times import format_instant

Row = tuple[str, dict[str, Any]]
"""What a list goes on behind, and what is given out."""


def read_export(
    store: Store, programs: Programs, member_id: str, moment: datetime, query: dict[str, str], messages: Messages
) -> dict[str, Any]:
    """One page of everything that is held about a member.

    ``query``: maybe ``limit`` (of the rows of all lists together) and ``cursor``. The first page has the profile, the
    programs and the rewards; then come the lists, one after the other: what is watched, the decisions, latest first,
    and the entries, oldest first. Raises ``InvalidInput`` naming every parameter at fault, ``NotFound`` and ``Busy``.
    """
    wanted = ExportQuery(member_id, query)
    found, pages = store.account_and_journal(member_id, PAGES_AT_ONCE if wanted.place else 1)
    journal = Journal(store, existing(found), pages)
    page: dict[str, Any] = {"member_id": member_id, "as_of": format_instant(moment), "profile": None, "programs": None}
    page["rewards"] = []
    if wanted.place is None:
        page["profile"] = store.profile(member_id)
        page["programs"] = read_summary(store, programs, member_id, moment, messages)["programs"]
        page["rewards"] = read_rewards(store, programs, member_id, moment, messages)["rewards"]
    page |= {name: [] for name in EXPORTED} | {"cursor": None}
    current, behind = wanted.place or (EXPORTED[0], "")
    left = wanted.limit
    for name in EXPORTED[EXPORTED.index(current) :]:
        rows = _rows(store, programs, member_id, journal, messages, name, behind, left)
        page[name] = [row for _, row in rows]
        left -= len(rows)
        # of entries there may be more than fit on a page; of the others no more may come: then the next page says so
        if rows and (int(rows[-1][0]) < journal.last if name == "entries" else left == 0):
            page["cursor"] = wanted.cursor(name, rows[-1][0])
            break
        behind = ""
    return page


def _rows(
    store: Store,
    programs: Programs,
    member_id: str,
    journal: Journal,
    messages: Messages,
    name: str,
    behind: str,
    limit: int,
) -> list[Row]:
    """At most ``limit`` rows of a list, those ``behind`` the one that was given last ("" where none was)."""
    if name == "watched":
        items = watching.export_watched(store, member_id, behind or None, limit)
        return [(item_id, exported_item(item_id, watched)) for item_id, watched in items]
    if name == "decisions":
        return store.decisions(member_id, behind or None, limit)
    first = int(behind or "0") + 1
    last = min(first + limit - 1, journal.last)
    found = journal.entries(list(journal.rows(last, last - first + 1)))[::-1]
    shown = found[: fitting(map(_told, found))]
    return [(str(entry["seq"]), exported_entry(entry, programs, messages)) for entry in shown]


def _told(entry: Entry) -> int:
    """How much an entry has to tell: the lines that were sent, and the reasons in every program."""
    reasons = sum(len(part["reasons"]) for part in entry["parts"].values())
    return reasons + len(entry.get("data", {}).get("lines", ()))
