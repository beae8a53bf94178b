"""The outbox: what the table's stream says was committed, as events for the bus (contract 2.3).

Nothing else announces anything, so what is not committed is never announced. An event's id comes from what it
announces: on every repeat it is the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from club_ledger import items
from club_ledger.items import unpack
from club_rules.account import receipt_id
from club_rules.money import format_money
from club_rules.programs import Programs

SOURCE = "buyers-club"

Announcement = tuple[str, dict[str, Any]]
"""A detail type and its detail."""


def announcements(record: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    """The events that one record of the table's stream stands for; most records stand for none.

    ``record`` is as Lambda delivers it: images in DynamoDB's JSON, binary in base64.
    """
    change = record["dynamodb"]
    pk = change["Keys"]["pk"]["S"]
    if record["eventName"] == "INSERT" and pk.startswith(items.entry_key("")):
        yield from _of_entry(body_of(change["NewImage"]), programs)
    elif record["eventName"] == "INSERT" and pk.startswith(items.decision_key("")):
        yield from _of_decision(body_of(change["NewImage"]))
    elif record["eventName"] != "REMOVE" and pk.startswith(items.sweep_key("")):
        yield from _of_sweep(change)


def body_of(image: dict[str, Any]) -> dict[str, Any]:
    """What is packed into an item, from its image in a stream record."""
    packed = image["body"]["B"]
    body: dict[str, Any] = unpack(base64.b64decode(packed))
    return body


def _of_entry(entry: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    for program_id, part in entry["parts"].items():
        common = {"member_id": entry["member_id"], "occurred_at": entry["posted_at"], "program": program_id}
        if part["kind"] == "expiry":
            expired = -sum(delta for _, delta in part.get("lots", ()))
            if expired > 0:
                program = programs.versions(program_id)[0]
                amount = (
                    {"spend": format_money(expired, program.currency)}
                    if program.measures_spend
                    else {"points": expired}
                )
                yield (
                    "points.expired",
                    {
                        "event_id": f"{entry['entry_id']}~{program_id}~expired",
                        **common,
                        **amount,
                        "entry_id": entry["entry_id"],
                    },
                )
        if "receipt" in part:
            receipt = part["receipt"]
            yield (
                "tier.changed",
                {
                    "event_id": f"{entry['entry_id']}~{program_id}~tier",
                    **common,
                    "from": receipt["from"],
                    "to": receipt["to"],
                    "on": receipt["on"],
                    "receipt_id": receipt_id(entry, program_id),
                    "entry_id": entry["entry_id"],
                    "cause": part["kind"],
                },
            )


def _of_decision(decision: dict[str, Any]) -> Iterator[Announcement]:
    if decision["decision"] != "approved":
        return
    common = {
        "event_id": decision["decision_id"],
        "member_id": decision["member_id"],
        "occurred_at": decision["decided_at"],
        "decision_id": decision["decision_id"],
        "order_id": decision["order_id"],
        "dispute_id": decision["dispute_id"],
        "program": decision["program"],
        "tier": decision["tier"],
    }
    if "payout" in decision:
        yield "refund.expedited", {**common, "payout": decision["payout"]}
    else:
        due = decision["review_due_at"]
        yield "dispute.accelerated", {**common, "queue": decision["queue"], "review_due_at": due}


def _of_sweep(change: dict[str, Any]) -> Iterator[Announcement]:
    """A run has finished when the last of its shards has."""
    image = change["NewImage"]
    was_open = int(change["OldImage"]["open_shards"]["N"]) if "OldImage" in change else 1
    if int(image["open_shards"]["N"]) > 0 or was_open == 0:
        return
    run = body_of(image)
    if run["dry_run"]:
        return
    yield (
        "sweep.finished",
        {
            "event_id": run["run_id"],
            "occurred_at": run["scheduled_at"],
            "sweep": run["sweep"],
            "scheduled_at": run["scheduled_at"],
            "counts": {name: int(image[name]["N"]) for name in ("members", "entries", "tier_changes") if name in image},
        },
    )
