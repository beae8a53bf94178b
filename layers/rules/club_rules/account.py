"""A member's account: what the entries add up to, and all that the next decision needs to know.

The account is a fold of the ledger entries: ``apply_entry`` is the only code that changes one, in posting as in
rebuilding, so that ``rebuild(entries) == account`` holds by construction and is still worth proving (architecture 3.2).

Days are proleptic ordinals, points are whole points or minor units of spend.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from club_rules.times import format_instant, parse_instant

Entry = dict[str, Any]
Part = dict[str, Any]

JOURNAL_PAGE = 25
"""So many entries' rows stand in one page of the journal; the account holds those of the page that isn't full."""

MARKS_PAGE = 64
"""So many marks the account holds before they are moved to a page of their own."""

SETTLING = "~"
"""The keys of entries that nobody sent, of what fell due by itself, begin with this; no event id does."""

ERASURE = "erasure"
"""The type of the entry that erases a member for ever: it has no part in any program."""

CAUSES = {
    "accrual": "earned",
    "denied": "earned",
    "clawback": "clawed_back",
    "expiry": "expired",
    "penalty": "penalised",
    "reinstatement": "reinstated",
    "adjustment": "adjusted",
}
"""What a receipt calls the change that an entry of a kind makes."""


class ProgramAccount:
    """A member in one program."""

    __slots__ = (
        "also",
        "causes",
        "changed_at",
        "days",
        "items",
        "lots",
        "measured",
        "months",
        "passed",
        "penalties",
        "period",
        "points",
        "review_on",
        "sellers",
        "since",
        "tier",
        "top",
    )

    def __init__(self) -> None:
        self.points = 0  # the ledger's sum; may be negative
        self.lots: dict[int, int] = {}  # day -> points that have not expired
        self.penalties: dict[str, dict[str, Any]] = {}  # case -> {points, ends, and where it caps: tier, tier_ends}
        self.tier = 0  # index of the held tier
        self.since: int | None = None
        self.top = 0  # the highest tier ever held
        self.period: int | None = None  # first day of the period a tier is held for (basis "period")
        self.review_on: int | None = None  # the day of the next tier review
        self.passed: list[list[int]] = []  # [day, points, seq] of expiries posted ahead of a review that is due
        self.measured = 0  # the measure when the last tier change was posted,
        self.changed_at = 0  # the number of that entry,
        self.causes: dict[str, int] = {}  # what has entered and left since,
        self.also: list[int] = []  # and earlier entries that the last receipt left to the next
        self.sellers: dict[str, dict[int, int]] = {}  # seller -> day -> orders with counted units
        self.items: dict[str, dict[int, int]] = {}  # item -> day -> counted units
        self.days: dict[int, dict[str, int]] = {}  # day -> orders with purchase points, "c:<category>", points by rule
        self.months: dict[int, dict[str, int]] = {}  # year * 12 + month - 1 -> points by rule


class Account:
    """A member in all programs. ``version`` counts the transactions that changed it, ``seq`` its entries."""

    __slots__ = (
        "as_of",
        "cases",
        "erased",
        "filled_journal",
        "filled_marks",
        "journal",
        "journal_pages",
        "marks",
        "marks_pages",
        "member_id",
        "programs",
        "registered",
        "seq",
        "version",
        "warned",
    )

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.version = 0
        self.seq = 0
        self.as_of: datetime | None = None  # posting never goes back behind this instant
        self.registered = False
        self.erased = False  # nothing is posted any more, nothing falls due, nobody is shown it
        self.programs: dict[str, ProgramAccount] = {}
        self.cases: dict[str, str] = {}  # violation case -> "confirmed" or "overturned"
        self.marks: list[str] = []  # things that count once for ever: "<program>/<rule>/<id>"
        self.marks_pages = 0
        self.warned: datetime | None = None  # warnings were given through it (see warnings.py); no part of the fold
        self.journal: list[str] = []  # rows (see journal_row) of the entries since the last full page
        self.journal_pages = 0
        # pages filled since the account was read: page number -> content; not part of the account's state
        self.filled_journal: dict[int, list[str]] = {}
        self.filled_marks: dict[int, list[str]] = {}

    def program(self, program_id: str) -> ProgramAccount:
        """The member in a program; one that the member had no part in so far starts at nothing."""
        state = self.programs.get(program_id)
        if state is None:
            state = self.programs[program_id] = ProgramAccount()
        return state

    def not_before(self, moment: datetime) -> datetime:
        """``moment``, or the instant of what was posted last where that is later: an account never goes back."""
        return moment if self.as_of is None else max(moment, self.as_of)

    def clone(self) -> Account:
        """An independent copy."""
        copy = decode_account(self.member_id, self.version, encode_account(self))
        copy.warned = self.warned
        return copy


def encode_account(account: Account) -> dict[str, Any]:
    """The account as JSON-able data, without its id and version, and without what is empty (it has to stay small)."""
    programs = {program_id: _encode_program(state) for program_id, state in account.programs.items()}
    state: dict[str, Any] = {
        "n": account.seq,
        "p": {name: packed for name, packed in programs.items() if packed},
    }
    if account.as_of is not None:
        state["t"] = format_instant(account.as_of)
    for name, value in (
        ("r", int(account.registered)),
        ("z", int(account.erased)),
        ("c", account.cases),
        ("m", account.marks),
        ("mp", account.marks_pages),
        ("j", account.journal),
        ("jp", account.journal_pages),
    ):
        if value:
            state[name] = value if not isinstance(value, (list, dict)) else value.copy()
    return state


def decode_account(member_id: str, version: int, state: dict[str, Any]) -> Account:
    """The account of ``encode_account``'s answer. ``state`` is not kept; parts of it may be."""
    account = Account(member_id)
    account.version = version
    account.seq = state["n"]
    account.as_of = parse_instant(state["t"]) if "t" in state else None
    account.registered = bool(state.get("r"))
    account.erased = is_erased(state)
    account.programs = {name: _decode_program(packed) for name, packed in state["p"].items()}
    account.cases = dict(state.get("c", {}))
    account.marks = list(state.get("m", ()))
    account.marks_pages = state.get("mp", 0)
    account.journal = list(state.get("j", ()))
    account.journal_pages = state.get("jp", 0)
    return account


def is_erased(state: dict[str, Any]) -> bool:
    """Whether ``encode_account``'s answer is that of an erased member: cheaper than the account."""
    return bool(state.get("z"))


def stored_tiers(state: dict[str, Any]) -> dict[str, int]:
    """The tiers above the lowest, as indices by program, of ``encode_account``'s answer: cheaper than the account."""
    return {name: packed["t"] for name, packed in state["p"].items() if "t" in packed}


# how the program's slots are named in the stored account: short, since every posting writes them
_SCALARS = (
    ("points", "b", 0),
    ("tier", "t", 0),
    ("since", "s", None),
    ("top", "o", 0),
    ("period", "e", None),
    ("review_on", "r", None),
    ("measured", "m", 0),
    ("changed_at", "h", 0),
)


def _encode_program(state: ProgramAccount) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for name, short, default in _SCALARS:
        value = getattr(state, name)
        if value != default:
            packed[short] = value
    if state.lots:
        packed["l"] = [[day, state.lots[day]] for day in sorted(state.lots)]
    for short, by_time in (("d", state.days), ("n", state.months)):
        if by_time:
            packed[short] = [[key, by_time[key].copy()] for key in sorted(by_time)]
    for short, by_name in (("q", state.sellers), ("i", state.items)):
        if by_name:
            packed[short] = {key: [day for pair in sorted(use.items()) for day in pair] for key, use in by_name.items()}
    if state.penalties:
        packed["y"] = {case: penalty.copy() for case, penalty in state.penalties.items()}
    if state.passed:
        packed["x"] = [row.copy() for row in state.passed]
    if state.causes:
        packed["c"] = state.causes.copy()
    if state.also:
        packed["a"] = state.also.copy()
    return packed


def _decode_program(packed: dict[str, Any]) -> ProgramAccount:
    state = ProgramAccount()
    for name, short, _ in _SCALARS:
        if short in packed:
            setattr(state, name, packed[short])
    state.lots = dict(packed.get("l", ()))
    state.days = dict(packed.get("d", ()))
    state.months = dict(packed.get("n", ()))
    state.sellers = _decode_use(packed.get("q", {}))
    state.items = _decode_use(packed.get("i", {}))
    state.penalties = packed.get("y", {})
    state.passed = packed.get("x", [])
    state.causes = packed.get("c", {})
    state.also = packed.get("a", [])
    return state


def _decode_use(packed: dict[str, list[int]]) -> dict[str, dict[int, int]]:
    return {key: dict(zip(flat[::2], flat[1::2], strict=True)) for key, flat in packed.items()}


def apply_entry(account: Account, entry: Entry) -> None:
    """Changes ``account`` by what ``entry`` records: the one step of the fold.

    ``entry`` as ``club_rules.posting`` and ``club_rules.settling`` make them. Raises ``ValueError`` where the entry is
    not the next one of this account.
    """
    seq = entry["seq"]
    if seq != account.seq + 1:
        raise ValueError(f"entry {seq} does not follow entry {account.seq} of {account.member_id}")
    if account.erased:
        raise ValueError(f"entry {seq} of {account.member_id} comes after the member was erased")
    account.seq = seq
    account.as_of = account.not_before(parse_instant(entry["posted_at"]))
    for program_id, part in entry["parts"].items():
        _apply_part(account.program(program_id), part, seq)
    if "case" in entry:
        account.cases[entry["case"][0]] = entry["case"][1]
    if entry.get("type") == "member.registered":
        account.registered = True
    elif entry.get("type") == ERASURE:
        account.erased = True
    _remember(account, entry)


class JournalRow(NamedTuple):
    """What the journal knows of an entry: enough to find those of a span of time, or of a lot, without reading any."""

    seq: int
    key: str
    posted: str  # UTC day, "2026-11-22"
    occurred: str  # UTC day


def journal_row(entry: Entry) -> str:
    """An entry as it stands in the journal: its days and its key, in as few characters as can be."""
    posted, occurred = entry["posted_at"][:10], entry["occurred_at"][:10]
    days = posted if posted == occurred else f"{posted} {occurred}"
    key = entry["key"]
    if is_settling(key):  # the rest of it is the member's id and the entry's number, which the journal's reader knows
        key = key[: key.index(SETTLING, 1)]
    return f"{days} {key}"


def read_journal_row(text: str, member_id: str, seq: int) -> JournalRow:
    """The row that ``journal_row`` wrote of the member's entry number ``seq``. Raises ``ValueError`` for other text."""
    posted, *rest, key = text.split(" ")
    if len(rest) > 1:
        raise ValueError(f"{text!r} is no row of a journal")
    if is_settling(key):
        key = settling_key(key[1:], member_id, seq)
    return JournalRow(seq, key, posted, rest[0] if rest else posted)


def receipt_id(entry: Entry, program_id: str) -> str:
    """What the receipt of a tier change is called: the one that the entry brought in the program."""
    return f"{entry['entry_id']}~{program_id}"


def settling_key(kind: str, member_id: str, seq: int) -> str:
    """The key of the member's entry number ``seq``, of what fell due by itself: ``kind`` is what it does."""
    return f"{SETTLING}{kind}{SETTLING}{member_id}{SETTLING}{seq}"


def is_settling(key: str) -> bool:
    """Whether an entry's key is that of what fell due by itself; an event's key begins with a letter or a digit."""
    return key[0] == SETTLING


def _remember(account: Account, entry: Entry) -> None:
    """The journal and the marks; full pages leave the account for whoever stores it to write."""
    account.journal.append(journal_row(entry))
    if len(account.journal) == JOURNAL_PAGE:
        account.filled_journal[account.journal_pages] = account.journal
        account.journal = []
        account.journal_pages += 1
    if "marks" in entry:
        account.marks.extend(entry["marks"])
        while len(account.marks) >= MARKS_PAGE:
            account.filled_marks[account.marks_pages] = account.marks[:MARKS_PAGE]
            del account.marks[:MARKS_PAGE]
            account.marks_pages += 1


def _apply_part(state: ProgramAccount, part: Part, seq: int) -> None:
    points = part["points"]
    if points:
        state.points += points
        cause = CAUSES[part["kind"]]
        state.causes[cause] = state.causes.get(cause, 0) + points
    lots = state.lots
    for day, delta in part.get("lots", ()):
        left = lots.get(day, 0) + delta
        if left:
            lots[day] = left
        else:
            lots.pop(day, None)
    _apply_use(state, part)
    for case, penalty in part.get("penalties", ()):
        if penalty is None:
            state.penalties.pop(case, None)
        else:
            state.penalties[case] = penalty
    if part.get("passed"):
        state.passed.append([part["passed"], points, seq])
    if "forget" in part:
        _forget(state, *part["forget"])
    if "set" in part:
        for name, value in part["set"].items():
            setattr(state, name, value)
        state.top = max(state.top, state.tier)
    if "receipt" in part:
        _close_receipt(state, part["receipt"], seq)
    if state.passed:
        # an expiry is held back only for a review that falls due before it
        state.passed = [row for row in state.passed if state.review_on is not None and row[0] > state.review_on]


def _apply_use(state: ProgramAccount, part: Part) -> None:
    """What a part uses of the caps, or gives back: tables of tables of whole numbers, without zeroes."""
    for name in ("sellers", "items", "days", "months"):
        if name not in part:
            continue
        outer: dict[Any, dict[Any, int]] = getattr(state, name)
        for key, sub, delta in part[name]:
            inner = outer.get(key)
            if inner is None:
                inner = outer[key] = {}
            left = inner.get(sub, 0) + delta
            if left:
                inner[sub] = left
            else:
                inner.pop(sub, None)
                if not inner:
                    del outer[key]


def _forget(state: ProgramAccount, use_through: int, caps_through: int, month_before: int) -> None:
    """Drops what no event can ask for any more, so that the account stays small."""
    for day in [day for day in state.days if day <= use_through]:
        del state.days[day]
    for month in [month for month in state.months if month < month_before]:
        del state.months[month]
    for table in (state.sellers, state.items):
        for name in list(table):
            use = table[name]
            for day in [day for day in use if day <= caps_through]:
                del use[day]
            if not use:
                del table[name]


def _close_receipt(state: ProgramAccount, receipt: dict[str, Any], seq: int) -> None:
    """A tier change was posted: the next receipt starts from here, with the expiries that this one left to it."""
    later = [row for row in state.passed if row[2] in receipt.get("without", ())]
    state.measured = receipt["after"]
    state.changed_at = seq
    state.also = [row[2] for row in later]
    left = sum(row[1] for row in later)
    state.causes = {"expired": left} if left else {}


def rebuild(member_id: str, entries: Iterable[Entry]) -> Account:
    """The account that ``entries``, in the order of their numbers, add up to.

    Raises ``ValueError`` where a number is missing or stands twice, or where an entry's own balance is not what the
    entries up to it give (invariant I1).
    """
    account = Account(member_id)
    for entry in entries:
        apply_entry(account, entry)
        for program_id, part in entry["parts"].items():
            balance = account.program(program_id).points
            if part["balance"] != balance:
                found = f"balance {part['balance']}, the entries give {balance}"
                raise ValueError(f"entry {entry['seq']} of {member_id}: {program_id} {found}")
    return account
