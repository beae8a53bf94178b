"""What is held about a member, as it is handed out (contract 2.1: data protection). Pure."""

from __future__ import annotations

from typing import Any

from club_rules.account import Entry
from club_rules.events import EVENT_TYPES, wire_data
from club_rules.explaining import receipt
from club_rules.messages import Messages
from club_rules.programs import Programs
from club_rules.views import by_whom, statement_entry


def exported_entry(entry: Entry, programs: Programs, messages: Messages) -> dict[str, Any]:
    """A ledger entry with what was sent, and with its part in every program as a statement shows it."""
    latest = [programs.versions(program_id)[-1] for program_id in entry["parts"]]
    return {
        "entry_id": entry["entry_id"],
        "seq": entry["seq"],
        "type": entry.get("type"),
        "event_id": entry.get("event_id"),
        "occurred_at": entry["occurred_at"],
        "posted_at": entry["posted_at"],
        "data": _sent(entry, messages),
        "parts": [statement_entry(entry, program, messages) for program in latest],
        "receipts": [
            receipt(program, messages, entry, [entry]) for program in latest if "receipt" in entry["parts"][program.id]
        ],
    }


def _sent(entry: Entry, messages: Messages) -> dict[str, Any]:
    """What stood in the event, as it was sent; of an adjustment why it was made."""
    if entry.get("type") not in EVENT_TYPES:
        return by_whom(entry["data"], messages) if entry.get("type") == "adjustment" else entry.get("data", {})
    return wire_data(entry["data"])


def exported_item(item_id: str, watched: dict[str, list[Any]]) -> dict[str, Any]:
    """An item of the marketplace that the member put on a list or took off it; ``null`` for a list it never was on."""
    lists = {
        name: {"listed": watched[name][1], "at": watched[name][0]} if name in watched else None
        for name in ("wishlist", "cart")
    }
    return {"item_id": item_id, **lists}
