"""One member with a plain dictionary for a store: what the tests of the rules drive the engine with."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from club_rules.account import Account
from club_rules.adjustments import parse_adjustment
from club_rules.events import ActivityEvent, parse_event
from club_rules.posting import adjust, names_order, post, release_parked
from club_rules.programs import Programs, load_programs
from club_rules.settling import settle

PROGRAMS = load_programs()
SHIPPED: dict[str, dict[str, Any]] = {name: PROGRAMS.versions(name)[-1].data for name in PROGRAMS.ids}
"""The content of the shipped program files, by program."""

Did = dict[str, tuple[int, list[str]]]
Lines = list[dict[str, Any]]


def changed(program: str, **changes: Any) -> dict[str, Any]:
    """The content of a shipped program file with other fields; ``demotion`` and ``earning`` are completed."""
    data = copy.deepcopy(SHIPPED[program])
    for name, value in changes.items():
        data[name] = {**data[name], **value} if name in ("demotion", "earning") else value
    return data


def noon(day: str | date) -> datetime:
    """Twelve o'clock UTC of a day."""
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime.combine(day, time(12), tzinfo=UTC)


def after(day: str, days: int) -> str:
    """The day that comes so many days after another."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def line(price: str, *, item: str = "i-1", seller: str = "s-1", quantity: int = 1, category: str | None = None) -> Any:
    """A line of an order."""
    found: dict[str, Any] = {"item_id": item, "seller_id": seller, "unit_price": price, "quantity": quantity}
    return found if category is None else {**found, "category": category}


class Engine:
    """The rules of the club over a dictionary: settles before it posts, and lets what was parked follow its order."""

    def __init__(self, member_id: str = "m-1", programs: Programs = PROGRAMS) -> None:
        self.programs = programs
        self.account = Account(member_id)
        self.orders: dict[str, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.seen: set[str] = set()
        self.marks: list[str] = []

    def settle(self, moment: datetime, **how: Any) -> None:
        """Settles to a moment, in as many steps as it takes."""
        while entries := settle(self.account, self.programs, moment, **how):
            self._keep(entries)

    def post(self, event: ActivityEvent, moment: datetime) -> None:
        """Posts an event; one whose id has been seen is a duplicate."""
        self.settle(moment)
        if event.event_id in self.seen:
            return
        self.seen.add(event.event_id)
        order = self.orders.get(event.data["order_id"]) if names_order(event.type) else None
        posting = post(self.account, self.programs, event, moment, order, self.marks)
        self._keep(posting.entries)
        if posting.order is not None:
            self.orders[posting.order["order_id"]] = posting.order
            while "lines" in posting.order and posting.order.get("parked"):
                self._keep(release_parked(self.account, self.programs, moment, posting.order, self.marks).entries)

    def take(self, raw: dict[str, Any], moment: datetime) -> None:
        """What stands in a random history, as it stands there: an event, or an adjustment."""
        if raw["type"] == "adjustment":
            self.adjust(raw["event_id"], moment, **raw["data"])
        else:
            self.post(parse_event(raw, now=moment, programs=self.programs), moment)

    def adjust(self, adjustment_id: str, moment: datetime, *, reason: str = "a slip", **amount: Any) -> None:
        """Posts an adjustment: ``program`` and ``points`` or ``spend``; one whose id has been seen is a duplicate."""
        self.settle(moment)
        if adjustment_id in self.seen:
            return
        self.seen.add(adjustment_id)
        body = {"adjustment_id": adjustment_id, "reason": reason, **amount}
        wanted = parse_adjustment(body, self.account.member_id, self.programs)
        self._keep([adjust(self.account, self.programs, wanted, moment, "op-1")])

    def entry_of(self, event_id: str) -> dict[str, Any]:
        """The last entry that an event, or an adjustment, brought."""
        names = (event_id, f"adjustment~~{event_id}")
        return [each for each in self.entries if each.get("event_id", each["entry_id"]) in names][-1]

    def _keep(self, entries: list[dict[str, Any]]) -> None:
        self.entries += entries
        for page in self.account.filled_marks.values():
            self.marks += page
        self.account.filled_marks.clear()

    def copy(self) -> Engine:
        """The same member once more, to be settled apart."""
        other = Engine(self.account.member_id, self.programs)
        other.account = self.account.clone()
        other.entries = list(self.entries)
        return other

    def view(self) -> dict[str, dict[str, Any]]:
        """Measure, tier and since when, per program, in the words of the second implementation."""
        shown = {}
        for program_id in self.programs.ids:
            state, program = self.account.program(program_id), self.programs.versions(program_id)[-1]
            shown[program_id] = {
                "spend" if program.measures_spend else "points": state.points,
                "tier": program.codes[state.tier],
                "tier_since": None if state.since is None else date.fromordinal(state.since).isoformat(),
            }
        return shown

    def receipts(self, program: str) -> list[dict[str, Any]]:
        """The receipts of a program's tier changes, in the order of the entries."""
        parts = [entry["parts"].get(program, {}) for entry in self.entries]
        return [part["receipt"] for part in parts if "receipt" in part]


class Member(Engine):
    """A member whose days a test tells: what occurs, on which day, and maybe posted on a later one."""

    def __init__(self, programs: Programs = PROGRAMS) -> None:
        super().__init__("m-1", programs)
        self.clock = noon("2026-01-01")
        self.written = 0

    def does(
        self,
        event_type: str,
        data: dict[str, Any] | None = None,
        on: str | datetime | None = None,
        posted: str | datetime | None = None,
    ) -> Did:
        """Posts an event that occurred ``on`` a day (noon UTC) or at an instant; by default, on the last one.

        ``posted`` is the day or the instant of posting where that is a later one. Returns what ``did`` returns.
        """
        occurred = self.clock if on is None else noon(on) if isinstance(on, str) else on
        moment = noon(posted) if isinstance(posted, str) else posted or max(occurred, self.clock)
        self.clock = max(self.clock, moment)
        self.written += 1
        event_id = f"e-{self.written}"
        raw = {
            "event_id": event_id,
            "type": event_type,
            "member_id": self.account.member_id or None,
            "occurred_at": occurred.isoformat(),
            "data": data or {},
        }
        self.post(parse_event(raw, now=self.clock, programs=self.programs), self.clock)
        return self.did(event_id)

    def buys(
        self,
        order_id: str,
        *lines: str | dict[str, Any],
        on: str | datetime | None = None,
        posted: str | datetime | None = None,
        flags: Iterable[str] = (),
    ) -> Did:
        """Completes an order; a line that is only a price is one of its own item and its own seller."""
        full = [
            line(each, item=f"i-{order_id}-{n}", seller=f"s-{order_id}-{n}") if isinstance(each, str) else each
            for n, each in enumerate(lines)
        ]
        data = {"order_id": order_id, "currency": self.programs.currency, "lines": full, "flags": list(flags)}
        return self.does("order.completed", data, on, posted)

    def returns(self, order_id: str, on: str | None = None, **units: int) -> Did:
        """A refund of so many units of items; an item's id is written with ``_`` for ``-``."""
        lines = [{"item_id": item.replace("_", "-"), "quantity": quantity} for item, quantity in units.items()]
        return self.does("order.refunded", {"order_id": order_id, "lines": lines}, on)

    def gets_back(self, order_id: str, amount: str, on: str | None = None) -> Did:
        """A refund of an amount."""
        data = {"order_id": order_id, "amount": amount, "currency": self.programs.currency}
        return self.does("order.refunded", data, on)

    def gets_all_back(self, order_id: str, on: str | None = None) -> Did:
        """A full refund."""
        return self.does("order.refunded", {"order_id": order_id, "full": True}, on)

    def is_given(self, points: int, program: str = "club", on: str | None = None, posted: str | None = None) -> Did:
        """Points of a promotion: any number of them, in a program that measures points."""
        data = {"campaign_id": "spring", "points": points, "program": program}
        return self.does("promotion.awarded", data, on, posted)

    def adjusts(self, program: str, amount: int | str, on: str) -> None:
        """An operator's correction: points, or spend as money."""
        self.clock = max(self.clock, noon(on))
        self.written += 1
        given = {"points": amount} if isinstance(amount, int) else {"spend": amount}
        self.adjust(f"a-{self.written}", self.clock, program=program, **given)

    def did(self, event_id: str) -> Did:
        """What an event's last entry did: per program its points, and the codes of the reasons without points."""
        entry = [entry for entry in self.entries if entry.get("event_id") == event_id][-1]
        return {
            name: (part["points"], [reason["code"] for reason in part["reasons"] if not reason["points"]])
            for name, part in entry["parts"].items()
        }

    def on(self, day: str) -> Member:
        """This member, settled to noon of a day."""
        self.clock = max(self.clock, noon(day))
        self.settle(self.clock)
        return self

    def points(self, program: str = "club") -> int:
        """The ledger's sum."""
        return self.account.program(program).points

    def tier(self, program: str = "club") -> str:
        """The code of the held tier."""
        return self.programs.versions(program)[-1].codes[self.account.program(program).tier]

    def since(self, program: str = "club") -> str | None:
        """The day since which the tier is held."""
        since = self.account.program(program).since
        return None if since is None else date.fromordinal(since).isoformat()

    def why(self, program: str) -> list[tuple[str, int, str]]:
        """The reasons of the last entry in a program: rule, points, code."""
        return [
            (reason["rule"], reason["points"], reason["code"])
            for reason in self.entries[-1]["parts"][program]["reasons"]
        ]


def reconcile(entries: list[dict[str, Any]], programs: Programs = PROGRAMS) -> int:
    """Checks a member's entries by themselves, from the first on; returns how many receipts were checked.

    Every balance is the sum so far, every reason's points are in the entry's, every tier follows on the one before,
    every lot's points go as they came. A receipt starts where the last one of its program ended and names exactly
    the entries that changed the measure in between: with a number above ``since_seq`` and ``also``, but for
    ``without``.
    """
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert len({entry["entry_id"] for entry in entries}) == len(entries)
    return sum(_reconcile_program(entries, program, programs) for program in programs.ids)


def _reconcile_program(entries: list[dict[str, Any]], program: str, programs: Programs) -> int:
    parts = {entry["seq"]: entry["parts"][program] for entry in entries if program in entry["parts"]}
    codes = programs.versions(program)[-1].codes
    balance = tier = measure = last = receipts = 0
    lots: dict[int, int] = {}
    explained: set[int] = set()
    for seq, part in parts.items():
        balance += part["points"]
        assert part["balance"] == balance
        assert sum(reason["points"] for reason in part["reasons"]) == part["points"]
        assert part["tier"][0] == tier
        tier = part["tier"][1]
        if part["kind"] in ("accrual", "clawback", "adjustment"):
            assert sum(points for _, points in part.get("lots", ())) == part["points"]
        for day, points in part.get("lots", ()):
            assert part["kind"] != "expiry" or points == -lots[day]  # a lot expires as one, and once
            lots[day] = lots.get(day, 0) + points
        receipt = part.get("receipt")
        assert (receipt is not None) == (part["tier"][0] != part["tier"][1])
        if receipt is None:
            continue
        receipts += 1
        named = {n for n in parts if receipt["since_seq"] < n <= seq} | set(receipt.get("also", ()))
        named = {n for n in named - set(receipt.get("without", ())) if parts[n]["points"]}
        assert (receipt["before"], receipt["since_seq"]) == (measure, last)
        assert receipt["before"] + sum(receipt["causes"].values()) == receipt["after"]
        assert receipt["causes"] == _causes(parts[n] for n in sorted(named))
        assert not named & explained  # no entry explains two tier changes
        explained |= named
        # nor is one left out, but for what the receipt leaves to the next
        assert {n for n in parts if n <= seq and parts[n]["points"]} - explained == set(receipt.get("without", ()))
        assert [codes.index(receipt["from"]), codes.index(receipt["to"])] == part["tier"]
        assert "way_back" not in receipt or receipt["way_back"] >= 0
        measure, last = receipt["after"], seq
    return receipts


_CAUSE_OF = {
    "accrual": "earned",
    "clawback": "clawed_back",
    "expiry": "expired",
    "penalty": "penalised",
    "reinstatement": "reinstated",
    "adjustment": "adjusted",
}


def _causes(parts: Iterable[dict[str, Any]]) -> dict[str, int]:
    causes: dict[str, int] = {}
    for part in parts:
        cause = _CAUSE_OF[part["kind"]]
        causes[cause] = causes.get(cause, 0) + part["points"]
    return {cause: points for cause, points in causes.items() if points}
