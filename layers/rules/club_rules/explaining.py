"""Why a member's measure and tier changed between two moments (rules 1.9, 1.12, contract 2.1).

The answer is arithmetic over ledger entries: opening, plus what each cause did, is closing. It is given as things were
known: an entry counts from the moment it was posted, and one that was posted later than it occurred says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from club_rules.account import CAUSES, Entry, Part, receipt_id
from club_rules.messages import Messages
from club_rules.positions import Position
from club_rules.programs import Program
from club_rules.times import parse_instant
from club_rules.views import amount, number, statement_entry

ENTRIES_SHOWN = 100
"""So many entries are listed for one cause, the latest ones; its sum is always that of all."""


def posted_between(entries: Sequence[Entry], program_id: str, after: datetime, until: datetime) -> list[Entry]:
    """The entries with a part in the program that were posted after ``after``, up to and including ``until``."""
    return [
        entry
        for entry in entries
        if program_id in entry["parts"] and after < parse_instant(entry["posted_at"]) <= until
    ]


def explanation(
    program: Program, messages: Messages, opening: Position, entries: Sequence[Entry], known: Sequence[Entry]
) -> dict[str, Any]:
    """The difference that ``entries`` made, in the contract's shape but for the two moments themselves.

    ``entries`` are those posted in between (``posted_between``), in the order of their numbers, ``opening`` is where
    the member stood before them. ``known`` are entries that the receipts may rest on.
    """
    sums: dict[str, int] = {}
    for entry in entries:
        part = entry["parts"][program.id]
        if part["points"]:
            sums[CAUSES[part["kind"]]] = sums.get(CAUSES[part["kind"]], 0) + part["points"]
    changes = [entry for entry in entries if "receipt" in entry["parts"][program.id]]
    tier = changes[-1]["parts"][program.id]["tier"][1] if changes else opening.tier
    closing = Position(opening.measure + sum(sums.values()), tier)
    ends = [{"measure": each.measure, "tier": program.codes[each.tier]} for each in (opening, closing)]
    return {
        "opening": _end(program, opening),
        "causes": [_cause(program, messages, kind, points, entries) for kind, points in sums.items()],
        "closing": _end(program, closing),
        "receipts": [receipt(program, messages, entry, known) for entry in changes],
        "text": messages.difference(program, ends[0], ends[1], sums),
    }


def _end(program: Program, position: Position) -> dict[str, Any]:
    return {**amount(program, position.measure), "tier": program.codes[position.tier]}


def _cause(program: Program, messages: Messages, kind: str, points: int, entries: Sequence[Entry]) -> dict[str, Any]:
    found = [entry for entry in entries if _is_cause(entry["parts"][program.id], kind)]
    views = [
        {**statement_entry(entry, program, messages), "recorded_later": recorded_later(entry, program)}
        for entry in found
    ]
    later = any(view["recorded_later"] for view in views)
    return {
        "kind": kind,
        **amount(program, points),
        "text": messages.cause(program, kind, points, later),
        "recorded_later": later,
        "entries_in_all": len(views),
        "entries": views[-ENTRIES_SHOWN:],
    }


def _is_cause(part: Part, kind: str) -> bool:
    return part["points"] != 0 and CAUSES[part["kind"]] == kind


def recorded_later(entry: Entry, program: Program) -> bool:
    """Whether an entry was posted on a later local day than that on which it occurred."""
    return program.day_of(parse_instant(entry["posted_at"])) > program.day_of(parse_instant(entry["occurred_at"]))


def rests_on(entry: Entry, program_id: str) -> set[int]:
    """The numbers of the entries, of any program, that the receipt in ``entry`` rests on."""
    stored = entry["parts"][program_id]["receipt"]
    numbers = {*range(stored["since_seq"] + 1, entry["seq"] + 1), *stored.get("also", ())}
    return numbers.difference(stored.get("without", ()))


def receipt(program: Program, messages: Messages, entry: Entry, known: Sequence[Entry]) -> dict[str, Any]:
    """The receipt of the tier change that ``entry`` brought (rules 1.9).

    ``known``: entries in the order of their numbers, those among them that it rests on are listed by their causes;
    what makes up a lot that expired is told where the entries of its day are among them.
    """
    part = entry["parts"][program.id]
    stored = part["receipt"]
    numbers = rests_on(entry, program.id)
    causal = [each for each in known if each["seq"] in numbers and program.id in each["parts"]]
    trigger = _trigger(part, causal, program)
    version = stored["version"]
    return {
        "receipt_id": receipt_id(entry, program.id),
        "entry_id": entry["entry_id"],
        "seq": entry["seq"],
        "program": program.id,
        "program_version": version,
        "on": stored["on"],
        "from": stored["from"],
        "to": stored["to"],
        "before": number(program, stored["before"]),
        "after": number(program, stored["after"]),
        "causes": [
            {
                "kind": kind,
                **amount(program, points),
                "entries": [_reference(each, program) for each in causal if _is_cause(each["parts"][program.id], kind)][
                    -ENTRIES_SHOWN:
                ],
            }
            for kind, points in stored["causes"].items()
        ],
        "threshold": {
            "tier": program.codes[max(part["tier"])],
            "from": number(program, stored["threshold"]),
        },
        "window": {"from": stored["window"][0], "to": stored["window"][1]},
        "way_back": number(program, stored["way_back"]) if "way_back" in stored else None,
        "rests_on": {
            "after_seq": stored["since_seq"],
            "through_seq": entry["seq"],
            "also": stored.get("also", []),
            "without": stored.get("without", []),
        },
        "text": messages.receipt(program, stored, trigger, lots_of(trigger, known, program)),
    }


def _reference(entry: Entry, program: Program) -> dict[str, Any]:
    return {
        "entry_id": entry["entry_id"],
        "seq": entry["seq"],
        "posted_at": entry["posted_at"],
        **amount(program, entry["parts"][program.id]["points"]),
    }


def _trigger(part: Part, causal: Sequence[Entry], program: Program) -> list[dict[str, Any]]:
    """The reasons that brought a tier change: the entry's own, or those of the expiry that a review follows."""
    reasons: list[dict[str, Any]] = part["reasons"]
    if part["kind"] != "tier_review" or any(reason["code"] == "demotion_undone" for reason in reasons):
        return reasons
    expiries = [each["parts"][program.id] for each in causal if each["parts"][program.id]["kind"] == "expiry"]
    latest: list[dict[str, Any]] = expiries[-1]["reasons"] if expiries else []
    return [*latest, *reasons]


def days_of_lots(entry: Entry, program_id: str, known: Sequence[Entry]) -> set[str]:
    """The local days ("2026-02-03") of the lots whose expiry brought the tier change in ``entry``."""
    numbers = rests_on(entry, program_id)
    parts = [each["parts"][program_id] for each in known if each["seq"] in numbers and program_id in each["parts"]]
    expiries = [part for part in parts if part["kind"] == "expiry"][-1:]
    return {reason["ref"] for part in expiries for reason in part["reasons"] if reason["code"] == "expired"}


def lots_of(
    reasons: Sequence[dict[str, Any]], known: Sequence[Entry], program: Program
) -> dict[str, list[dict[str, Any]]]:
    """What the lots in ``reasons`` that expired were made of, by their days.

    A lot that ``known`` doesn't tell is left out. A part of one is told as ``rule``, ``points`` and maybe ``ref``; what
    was gained and taken back again is netted.
    """
    lots: dict[str, list[dict[str, Any]]] = {}
    for reason in reasons:
        if reason["code"] != "expired":
            continue
        day = date.fromisoformat(reason["ref"]).toordinal()
        made: dict[tuple[str, str | None], int] = {}
        for entry in known:
            part = entry["parts"].get(program.id)
            if part is None or part["kind"] == "expiry" or not any(lot == day for lot, _ in part.get("lots", ())):
                continue
            for each in part["reasons"]:
                of = (each["rule"], each.get("ref") if each["rule"] in _NAMED else None)
                made[of] = made.get(of, 0) + each["points"]
        if sum(made.values()) == -reason["points"]:
            lots[reason["ref"]] = [
                {"rule": rule, "points": points, **({} if ref is None else {"ref": ref})}
                for (rule, ref), points in made.items()
                if points
            ]
    return lots


_NAMED = frozenset({"purchase", "spend", "review", "post", "contribution", "promotion"})
"""The rules whose accruals have a name of their own; of daily points a part may be taken back for any order."""
