"""The outbox: what the table's stream says was committed, as events for the bus (contract 2.3).

Nothing else announces anything, so what is not committed is never announced. An event's id comes from what it
announces: on every repeat it is the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any

from club_ledger import items
from club_ledger.items import unpack
from club_rules.account import Account, Entry, decode_account, receipt_id
from club_rules.money import format_money
from club_rules.outlook import fall_after
from club_rules.programs import Programs
from club_rules.settling import settle_wholly
from club_rules.tallying import report
from club_rules.times import format_instant, parse_instant
from club_rules.views import amount, keep_view, reward_view
from club_rules.warnings import given_between, given_through

SOURCE = "buyers-club"

ENTRIES_KEPT = 128
"""So many entries are unpacked once for all who look at a batch; a batch is smaller, unless somebody sets it higher."""

Announcement = tuple[str, dict[str, Any]]
"""A detail type and its detail."""


def announcements(record: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    """The events that one record of the table's stream stands for; most records stand for none.

    ``record`` is as Lambda delivers it: images in DynamoDB's JSON, binary in base64.
    """
    change = record["dynamodb"]
    pk, sk = change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"]
    entry = new_entry(record)
    if entry is not None:
        yield from _of_entry(entry, programs)
    elif record["eventName"] == "MODIFY" and sk == items.ACCOUNT:
        yield from _of_account(change, programs)
    elif record["eventName"] == "INSERT" and pk.startswith(items.decision_key("")):
        yield from _of_decision(body_of(change["NewImage"]))
    elif record["eventName"] == "INSERT" and pk.startswith(items.ALERT):
        yield from _of_alert(change)
    elif record["eventName"] != "REMOVE" and pk.startswith(items.rewards_key("")):
        yield from _of_rewards(change, programs)
    elif record["eventName"] != "REMOVE" and pk.startswith(items.sweep_key("")) and sk == items.SINGLE:
        yield from _of_sweep(change, programs)


def body_of(image: dict[str, Any], attribute: str = "body") -> dict[str, Any]:
    """What is packed into an item, from its image in a stream record."""
    return _unpacked(image[attribute]["B"])


def new_entry(record: dict[str, Any]) -> Entry | None:
    """The ledger entry that a record of the table's stream shows to be written; ``None`` for any other record.

    Several look at the same batch of records, and all get the same entry: nobody may change it.
    """
    change = record["dynamodb"]
    if record["eventName"] != "INSERT" or not change["Keys"]["pk"]["S"].startswith(items.entry_key("")):
        return None
    return _entry_in(change["NewImage"]["body"]["B"])


def _unpacked(packed: str) -> dict[str, Any]:
    body: dict[str, Any] = unpack(base64.b64decode(packed))
    return body


_entry_in = lru_cache(ENTRIES_KEPT)(_unpacked)


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


def _of_account(change: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    """The warnings that a change of an account has given: of its lots that are about to expire."""
    account = _account_in(change["NewImage"])
    given = given_between(_account_in(change["OldImage"]), account, programs)
    moment = given_through(account)
    if not given or moment is None:
        return
    settle_wholly(account, programs, moment)  # a review that is due and not posted yet
    for warning in given:
        program = programs.at(warning.program_id, moment)
        lot, on = (date.fromordinal(day).isoformat() for day in (warning.lot, warning.expires_on))
        keep = fall_after(account, programs, program.id, moment, warning.expires_on)
        yield (
            "points.expiring",
            {
                "event_id": f"expiring~{account.member_id}~{program.id}~{lot}~{warning.days_before}",
                "member_id": account.member_id,
                "occurred_at": format_instant(program.start_of(warning.due_on)),
                "program": program.id,
                **amount(program, warning.points),
                "lot": lot,
                "on": on,
                "days_before": warning.days_before,
                "tier": program.codes[account.program(program.id).tier],
                "keep": keep and keep_view(program, keep),
            },
        )


def _account_in(image: dict[str, Any]) -> Account:
    account = decode_account(items.member_of(image["pk"]["S"]), int(image["version"]["N"]), body_of(image))
    account.warned = parse_instant(image["warned"]["S"]) if "warned" in image else None
    return account


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


def _of_alert(change: dict[str, Any]) -> Iterator[Announcement]:
    """A member is told of a price that dropped; a chunk of watchers that is done is told to nobody."""
    event_id, member_id = change["Keys"]["pk"]["S"].removeprefix(items.ALERT), change["Keys"]["sk"]["S"]
    if not member_id.startswith(items.WORKED):
        facts = body_of(change["NewImage"])
        yield "price.alert", {"event_id": f"{event_id}~{member_id}~alert", "member_id": member_id, **facts}


def _of_rewards(change: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    """What a member has been granted: whatever is issued now, and was not before."""
    member_id = items.member_of(change["Keys"]["pk"]["S"])
    before = body_of(change["OldImage"]).get("issued", ()) if "OldImage" in change else ()
    known = {issued["id"] for issued in before}
    for issued in body_of(change["NewImage"]).get("issued", ()):
        if issued["id"] not in known:
            view = reward_view(issued, member_id, programs)
            common = {"member_id": member_id, "occurred_at": issued["at"]}
            yield "reward.granted", {"event_id": f"{view['reward_id']}~granted", **common, **view}


def _of_sweep(change: dict[str, Any], programs: Programs) -> Iterator[Announcement]:
    """A run has finished when the last of its shards has; it is halted once."""
    image, old = change["NewImage"], change.get("OldImage")
    halts = "halted" in image and (old is None or "halted" not in old)
    finishes = int(image["open_shards"]["N"]) == 0 and (old is None or int(old["open_shards"]["N"]) > 0)
    if not (halts or finishes):
        return
    run = body_of(image)
    if run["dry_run"]:
        return
    common = {"occurred_at": run["scheduled_at"], "sweep": run["sweep"], "scheduled_at": run["scheduled_at"]}
    if halts:
        yield (
            "sweep.halted",
            {"event_id": f"{run['run_id']}~halted", "run_id": run["run_id"], **common, **body_of(image, "halted")},
        )
    if finishes:
        names = ("members", "entries", "tier_changes", "rewards")
        tallied = {name: int(number["N"]) for name, number in image.get("tally", {"M": {}})["M"].items()}
        yield (
            "sweep.finished",
            {
                "event_id": run["run_id"],
                "run_id": run["run_id"],
                **common,
                "halted": "halted" in image,
                "counts": {name: int(image[name]["N"]) for name in names if name in image},
                "programs": report(tallied, programs),
            },
        )
